"""The card of a package: what its model is, what it learned from, how good, whose, its limits."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganime.lite.description import Description, TrainingSet
from ganime.rows import EvaluationRow
from ganime.store.card import markdown_table

_SHOWN_TAGS = 50
_HEALTH = {
    "spread": "how much 256 samples differ, the training images being 1",
    "recall_16px": "share of training images that lie among samples, at 16 px",
    "copied": "share of samples that are copies of training images",
    "score": "what snapshots were chosen by, less being better",
}


def model_card(described: Description, scores: Sequence[EvaluationRow]) -> str:
    """Markdown for people; equal models have equal cards.

    Args:
        described: The model.
        scores: Evaluations of the snapshot, and floors.
    """
    return "\n".join(
        [
            f"# Model {described.model_id}",
            "",
            f"A generator of images of {described.resolution} px by {described.recipe}, after "
            f"{described.nimg} training images were shown; written by {described.made_by}.",
            *_tags(described.tag_names),
            "",
            "## What it was trained on",
            "",
            *_images(described.trained_on),
            "",
            "## How good it is",
            *_scores(described, scores),
            "",
            "## Limits",
            "",
            "It draws what its training images show, with their mistakes and habits, and nothing "
            "else; some samples are broken. A sample may resemble a training image: compare before "
            "publishing. Metrics of other extractors, numbers of samples or reference images do "
            "not compare with these.",
            "",
            "## Rights",
            "",
            "The training images belong to their artists, and no licence to them comes with this "
            "file; it holds none of their pixels except as far as the generator learned them. "
            "Whether and how its images may be used depends on where you are: ask before you sell.",
            "",
            "## How to use it",
            "",
            "```sh",
            "ganime models import FILE.ganime",
            f"ganime generate {described.model_id} --seeds 0-63 --grid",
            "```",
            "",
        ]
    )


def _tags(names: Sequence[str]) -> list[str]:
    if not names:
        return ["It takes no tags."]
    rest = len(names) - _SHOWN_TAGS
    more = [(f"and {rest} more",)] if rest > 0 else []
    return markdown_table(("tag",), [*((name,) for name in names[:_SHOWN_TAGS]), *more])


def _images(found: TrainingSet) -> list[str]:
    if found.members_sha256 is None:
        return [
            f"{found.num_images} images of the dataset {found.dataset}, which was not at hand when "
            "this was written."
        ]
    wishes = (
        "The crawls were set to leave what hosts keep from crawlers (robots.txt) or from training "
        "(`noai`, `noimageai`)."
        if found.obeyed_robots
        else "Not all crawls obeyed robots.txt and `noai`."
    )
    rules = [(rule["name"], _options(rule)) for rule in found.rules]
    return [
        f"{found.num_images} images of the dataset {found.dataset}. SHA-256 of their ids in order, "
        f"one per line: `{found.members_sha256}`. {wishes}",
        *markdown_table(("site", "images"), sorted(found.sites.items())),
        *markdown_table(("rating", "images"), sorted(found.ratings.items())),
        *markdown_table(("rule that chose them", "settings"), rules),
    ]


def _options(rule: Mapping[str, Any]) -> str:
    told = {name: value for name, value in rule.items() if name != "name" and value is not None}
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in sorted(told.items()))


def _scores(described: Description, scores: Sequence[EvaluationRow]) -> list[str]:
    rows = [
        (
            row.metric,
            f"{row.value:.4g}",
            "" if row.low is None else f"{row.low:.4g} to {row.high:.4g}",
            row.better,
            f"{row.extractor} {row.weights}",
            row.num_fake,
            row.num_real,
            row.reference,
        )
        for row in scores
    ]
    columns = (
        *("metric", "value", "95 % interval", "better", "extractor and its weights"),
        *("samples", "images", "reference"),
    )
    health = [
        (_HEALTH.get(name, name), f"{value:.4g}")
        for name, value in sorted(described.health.items())
    ]
    told = [*markdown_table(columns, rows), *markdown_table(("in training", "value"), health)]
    return told or ["", "Nothing was measured."]
