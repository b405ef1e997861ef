"""The card of a dataset version: what is in it, why, whose it is and how to make it again."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import ganime
from ganime.config import Config
from ganime.rows import PaddedRow, PostRow
from ganime.store.manifest import Table, read_footer
from ganime.store.packing import Members
from ganime.store.rule_settings import RuleSetting
from ganime.store.workspace import Workspace

_SHOWN_TAGS = 50
_RATINGS = ("unknown", "general", "sensitive", "questionable", "explicit")  # the last one counts


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of one rule.

    Attributes:
        rule: Its name.
        first: Images that it was the first to drop.
        dropped: Images that it dropped, first or not.
        abstained: Images about which it could not tell.
        by_people: Images on which a person's answer stands in its place.
    """

    rule: str
    first: int
    dropped: int
    abstained: int
    by_people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a card tells of, beside the members.

    Attributes:
        reference: `name/version`.
        revision: Of the stage that made it.
        config: Its settings.
        tallies: What came of each rule, people first.
        crawl_ids: The crawls that brought the images.
        pad_scope: Where the pixels come from.
        classifiers: By question, the classifier's id and its own threshold.
        num_images: That were decided about.
        doubles: Ids of the kept images, once for each near-duplicate dropped for their sake.
        settings: Options of rules that people saved, and that the rules obeyed.
    """

    reference: str
    revision: int
    config: Config
    tallies: Sequence[Tally]
    crawl_ids: Sequence[str]
    pad_scope: str
    classifiers: Mapping[str, tuple[str, float]]
    num_images: int
    doubles: Sequence[str]
    settings: Sequence[RuleSetting] = ()


def card(workspace: Workspace, story: Story, members: Members) -> str:
    """Markdown for people; equal versions have equal cards."""
    crawls = [_settings(workspace, f"{PostRow.FOLDER}/{name}") for name in story.crawl_ids]
    num = len(members.ids)
    ratings, years = posted(workspace, story.crawl_ids, members.ids)
    sides = Counter(members.splits)
    tags = Counter(dict(zip(members.tags.words, members.tags.counts().tolist(), strict=True)))
    return "\n".join(
        [
            f"# {story.reference}",
            "",
            f"{num} of {story.num_images} images, made by ganime {ganime.__version__}.",
            *markdown_table(("split", "images"), sorted(sides.items(), reverse=True)),
            "",
            "## Rights",
            "",
            *_rights(crawls),
            "",
            "## Where the images come from",
            *markdown_table(("source", "posts"), members.sources.most_common()),
            *markdown_table(("rating", "images"), [(name, ratings[name]) for name in _RATINGS]),
            *markdown_table(("year of the first post", "images"), sorted(years.items())),
            "",
            "## What was left out, and why",
            *_rules(story),
            "",
            *_doubles(story.doubles),
            "",
            "## What they show",
            *markdown_table(
                ("tag", "images", "share"),
                [(tag, n, f"{n / num:.1%}") for tag, n in _first(tags, _SHOWN_TAGS)],
            ),
            "",
            "## How to make it again",
            "",
            *_again(workspace, story, crawls),
            "",
        ]
    )


def posted(
    workspace: Workspace, crawl_ids: Sequence[str], ids: pa.Array
) -> tuple[Counter[str], Counter[str]]:
    """Kept images by rating, the strictest of their posts, and by the year of their first post."""
    found = [pa.table({"image_id": pa.array([], pa.string()), "rating": [], "year": []})]
    for crawl_id in crawl_ids:
        for part in Table(workspace, PostRow, crawl_id).stream(["image_id", "rating", "posted_at"]):
            ours = part.filter(pc.is_in(part["image_id"], value_set=ids))
            rating = pc.fill_null(pc.index_in(ours["rating"], pa.array(_RATINGS)), 0)
            columns = [ours["image_id"], rating, pc.year(ours["posted_at"])]
            found.append(pa.table(columns, ["image_id", "rating", "year"]))
    posts = pa.concat_tables(found, promote_options="permissive")
    images = posts.group_by("image_id").aggregate([("rating", "max"), ("year", "min")])
    ratings = Counter(_RATINGS[int(place)] for place in images["rating_max"].to_pylist())
    years = Counter(
        "unknown" if year is None else str(int(year)) for year in images["year_min"].to_pylist()
    )
    return ratings, years


def _rights(crawls: Sequence[Mapping[str, Any]]) -> list[str]:
    obeyed = all(config.get("obey_robots", True) for config in crawls)
    wishes = (
        "The crawl was set to leave what hosts keep from crawlers (robots.txt) or from training "
        "(`noai`, `noimageai`)."
        if obeyed
        else "The crawl was set **not** to obey robots.txt and `noai` (crawl.obey_robots = false)."
    )
    return [
        "The rights in the images stay with their artists; no licence to them comes with this "
        "folder, and tags belong to those who wrote them. It is for training and study: share "
        "manifests, from which others fetch what they may, and not pixels.",
        "",
        wishes,
    ]


def _rules(story: Story) -> list[str]:
    plain = story.config.model_dump(mode="json")["rules"]
    options = [{key: rule[key] for key in rule if key != "name"} for rule in plain]
    rows = [
        (
            tally.rule,
            _brief(settings),
            tally.first,
            tally.dropped,
            tally.abstained,
            tally.by_people,
        )
        for tally, settings in zip(story.tallies, [{}, *options], strict=True)
    ]
    thresholds = [
        (question, classifier, f"{threshold:g}")
        for question, (classifier, threshold) in sorted(story.classifiers.items())
    ]
    people = [
        (one.rule, one.option, f"{one.number:g}", one.by, f"{one.at:%Y-%m-%d}", one.note)
        for one in story.settings
    ]
    columns = ("rule", "settings", "dropped first", "dropped in all", "could not tell", "by people")
    return [
        *markdown_table(columns, rows),
        *markdown_table(("question", "classifier", "its own threshold"), thresholds),
        *markdown_table(("rule", "option set by a person", "to", "by", "on", "why"), people),
    ]


def _doubles(doubles: Sequence[str]) -> list[str]:
    groups = Counter(doubles)
    if not groups:
        return ["No near-duplicates were dropped."]
    return [
        f"{len(doubles)} near-duplicates were dropped, of {len(groups)} kept images; the most of "
        f"one are {max(groups.values())}."
    ]


def _again(workspace: Workspace, story: Story, crawls: Sequence[Mapping[str, Any]]) -> list[str]:
    queries = [
        (query["source"], query["root"], query["tags"], crawl_id)
        for crawl_id in story.crawl_ids
        for query in _queries(workspace, crawl_id)
    ]
    stages = {
        # Who crawled is nobody's business; others put their own name there.
        "crawl": {key: value for key, value in (crawls or [{}])[0].items() if key != "user"},
        "pad": _settings(workspace, f"{PaddedRow.FOLDER}/{story.pad_scope}"),
        "curate": story.config.model_dump(mode="json"),
    }
    settings = [line for name, values in stages.items() for line in _toml(name, values)]
    return [
        "Sites change, people label on; the same facts, labels and settings give the same version. "
        "With the settings below in `settings.toml`:",
        "",
        "```sh",
        "ganime run --config settings.toml",
        "```",
        *markdown_table(("source", "site", "tags", "crawl"), queries),
        "",
        f"Revision {story.revision} of curate; padded pixels {story.pad_scope}.",
        "",
        "```toml",
        *settings,
        "```",
    ]


def _settings(workspace: Workspace, folder: str) -> dict[str, Any]:
    """Settings of the stage that made a manifest, from its first part; none if it has no part."""
    for key in workspace.list(f"manifests/{folder}", ".parquet")[:1]:
        config: dict[str, Any] = read_footer(workspace, key)["config"]
        return config
    return {}


def _queries(workspace: Workspace, crawl_id: str) -> list[dict[str, str]]:
    key = f"manifests/crawls/{crawl_id}.json"
    queries: list[dict[str, str]] = (
        json.loads(workspace.read_bytes(key))["queries"] if workspace.exists(key) else []
    )
    return queries


def _first(counts: Counter[str], num: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:num]


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a table, an empty one first; none without rows. Hostile cells stay cells."""
    if not rows:
        return []
    marks = ["---:" if isinstance(value, int) else "---" for value in rows[0]]
    lines = [names, marks, *([_cell(value) for value in row] for row in rows)]
    return ["", *(f"| {' | '.join(line)} |" for line in lines)]


def _cell(value: object) -> str:
    """Tags are hostile: no cell may end its row, or become a picture, a link or a tag."""
    text = " ".join(str(value).split())
    return "".join(f"\\{mark}" if mark in "\\|<>[]!`*" else mark for mark in text)


def _brief(settings: Mapping[str, Any]) -> str:
    told = {name: value for name, value in settings.items() if value not in (None, [])}
    return ", ".join(f"{name} {_value(value)}" for name, value in told.items())


def _toml(name: str, values: Mapping[str, Any]) -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return [f"[{name}]", *lines]


def _value(value: Any) -> str:
    """A value as TOML, whose strings, numbers and flags are those of JSON."""
    if isinstance(value, dict):
        pairs = (f"{key} = {_value(item)}" for key, item in value.items() if item is not None)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
