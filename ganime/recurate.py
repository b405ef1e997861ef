"""Decide anew about a dataset: other thresholds or new labels, without touching a pixel.

Facts and scores were measured once; what is left is a pure function of them, so that a dataset of
many thousand images is decided again in seconds, and one sees which images flip before training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ganime.decide import Judged, statuses, summary
from ganime.errors import ConfigError, ManifestError
from ganime.rows import DecisionRow, LabelRow
from ganime.stages import curate
from ganime.stages.curate import CurateConfig, DatasetRef, Inputs, obey, with_changes
from ganime.store import rule_settings
from ganime.store.lineage import crawled_images, crawls_of, datasets, latest, without_variants
from ganime.store.manifest import Table, read_footer
from ganime.store.workspace import Workspace

_EXAMPLES = 3
KEPT = "kept"


@dataclass(frozen=True)
class Redecision:
    """What a new decision would change, or has changed.

    Attributes:
        before: The dataset version that was decided about.
        after: The new version; None if nothing was written.
        summary: In, kept and dropped now, in one line.
        flips: Image ids by status before and now: `kept`, or the first rule that drops.
    """

    before: DatasetRef
    after: DatasetRef | None
    summary: str
    flips: Mapping[tuple[str, str], Sequence[str]]

    def lines(self) -> list[str]:
        """For people to read."""
        shown = sorted(self.flips.items(), key=lambda item: (-len(item[1]), item[0]))
        lines = [f"{self.before}: {self.summary}"]
        for (was, now), ids in shown:
            examples = ", ".join(image_id[:12] for image_id in ids[:_EXAMPLES])
            lines.append(f"{len(ids):6} {was} -> {now}, for example {examples}")
        if not shown:
            lines.append("nothing flips")
        return [*lines, f"new version: {self.after}" if self.after else "nothing was written"]


def recurate(
    workspace: Workspace,
    dataset: str,
    changes: Mapping[str, Mapping[str, Any]],
    *,
    labels: Sequence[LabelRow],
    run_id: str,
    write: bool = True,
    classifiers: Mapping[str, tuple[str, float]] | None = None,
) -> Redecision:
    """Decide again: with settings that people saved since, others given here, and today's labels.

    Args:
        workspace: Where.
        dataset: `name/version`, or a name alone for its latest version; empty for the only one.
        changes: New options by rule, for example `{"chibi": {"threshold": 0.7}}`; for this time
            they outrank what is saved.
        labels: People's current answers.
        run_id: Of this run.
        write: Whether to make the new version; otherwise it is only said what would flip.
        classifiers: By question, the classifier's id and threshold; None takes the version's own.

    Raises:
        ConfigError: there is no such dataset, rule or option, or no image would be left.
    """
    before = find_dataset(workspace, dataset)
    footer = read_footer(workspace, f"datasets/{before}/decisions/decisions.parquet")
    asked, settings = obey(workspace, as_asked(footer))
    config = with_changes(asked, changes)
    crawl_ids = crawls_of(workspace, before.name, before.version)
    inputs = Inputs(
        crawled_images(workspace, crawl_ids),
        classifiers_of(workspace, before) if classifiers is None else classifiers,
        footer["parents"]["padded"],
        crawl_ids,
        [one for one in settings if one.option not in changes.get(one.rule, {})],
    )
    judged = curate.judge(workspace, config, inputs, labels)
    flips = _flips(workspace, before, inputs.images.ids, judged)
    after = curate.pack(workspace, config, inputs, judged, run_id) if write else None
    return Redecision(before, after, summary(judged), flips)


def find_dataset(workspace: Workspace, reference: str) -> DatasetRef:
    """A dataset version by `name/version`, by name (its latest), or the only one (empty).

    Raises:
        ConfigError: there is none, or more than one; lists them.
    """
    known = datasets(workspace)
    newest = dict(latest(workspace))
    name, _, version = reference.partition("/")
    if not name and len(meant := without_variants(workspace, newest)) == 1:
        (name,) = meant
    version = version or newest.get(name, "")
    if (name, version) not in known:
        there = ", ".join(f"{one}/{other}" for one, other in known) or "none yet"
        asked = f"no dataset is {reference!r};" if reference else "which dataset?"
        raise ConfigError(f"{asked} {workspace.describe()} holds: {there}")
    return DatasetRef(name, version, 0)


def find_reference(workspace: Workspace, learned_from: Mapping[str, str], asked: str) -> DatasetRef:
    """The dataset version to hold models against: the one asked for, or that of all of them.

    Args:
        workspace: Where.
        learned_from: By model, the name/version that it learned from.
        asked: What a person asked for, as for `find_dataset`; empty for nothing.

    Raises:
        ConfigError: none was asked for, and they learned from different ones or from one that is
            not in the workspace, as models that a package brought.
    """
    known = [f"{name}/{version}" for name, version in datasets(workspace)]
    versions = {*learned_from.values()}
    if asked or (len(versions) == 1 and versions <= {*known}):
        return find_dataset(workspace, asked or versions.pop())
    said = " and ".join(f"{model} learned from {one}" for model, one in learned_from.items())
    why = "so no images are the measure of both" if len(versions) > 1 else "which is not here"
    there = ", ".join(known) or "no dataset yet, so crawl and curate one first"
    raise ConfigError(
        f"{said}, {why}: name the images to hold against with --reference; "
        f"{workspace.describe()} holds: {there}"
    )


def classifiers_of(workspace: Workspace, dataset: DatasetRef) -> dict[str, tuple[str, float]]:
    """Id and own threshold of the classifiers that a version obeyed, by question."""
    # Here, since it brings torch, which takes seconds: who only looks for a dataset does not wait.
    from ganime.classifiers.storage import load_figures

    footer = read_footer(workspace, f"datasets/{dataset}/decisions/decisions.parquet")
    scored = {
        key.removeprefix("scores/"): value
        for key, value in footer["parents"].items()
        if key.startswith("scores/")
    }
    return {
        question: (classifier, float(load_figures(workspace, classifier)["threshold"]))
        for question, classifier in scored.items()
    }


def as_asked(footer: Mapping[str, Any]) -> CurateConfig:
    """A version's settings as its run asked for them: without what people had saved by then."""
    changes: dict[str, dict[str, float | None]] = {}
    for one in rule_settings.of_parents(footer["parents"]):
        changes.setdefault(one.rule, {})[one.option] = one.instead_of
    return with_changes(CurateConfig.parse(footer["config"]), changes)


def _flips(
    workspace: Workspace,
    before: DatasetRef,
    image_ids: pa.Array,
    judged: Sequence[Judged],
) -> dict[tuple[str, str], list[str]]:
    """Images whose status changes; those that were not decided about before are `new`."""
    was = _statuses_of(workspace, before)
    rules = np.array([KEPT, *(decision.rule for decision in judged)])
    now = rules[statuses(judged) + 1].tolist()
    flips: dict[tuple[str, str], list[str]] = {}
    for image_id, status in zip(image_ids.to_pylist(), now, strict=True):
        earlier = was.get(image_id, "new")
        if earlier != status:
            flips.setdefault((earlier, status), []).append(image_id)
    return flips


def _statuses_of(workspace: Workspace, dataset: DatasetRef) -> dict[str, str]:
    """Status of each image of a version, from its decisions, rule by rule as they were written."""
    table = Table(workspace, DecisionRow, root=f"datasets/{dataset}").read(
        ["image_id", "rule", "order", "verdict"]
    )
    if table.num_rows == 0:
        raise ManifestError(f"{dataset} has no decisions: run the pipeline again")
    orders = np.asarray(table["order"])
    dropped = np.asarray(table["verdict"].to_numpy(zero_copy_only=False) == "drop")
    found = dict.fromkeys(table["image_id"].to_pylist(), KEPT)
    places = np.flatnonzero(dropped)
    # The first rule counts: later ones are put in first, to be overwritten.
    for place in places[np.argsort(-orders[places], kind="stable")].tolist():
        found[table["image_id"][place].as_py()] = table["rule"][place].as_py()
    return found
