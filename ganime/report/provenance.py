"""Where everything came from: sites, ratings, people, digests."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ganime.report.inputs import ReportInputs
from ganime.report.records import Records
from ganime.report.words import host, moment
from ganime.rows import ImageRow, NeighbourRow, PaddedRow, PostRow
from ganime.store.manifest import Table, read_footer
from ganime.store.rule_settings import of_parents
from ganime.store.workspace import Workspace

Counts = list[tuple[str, int]]
_MOST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Counts of posts and labels by where they came from.

    Attributes:
        sources: Posts by source.
        hosts: Posts by the host that names or serves them.
        ratings: Posts by rating.
        queries: The tags that were asked for.
        artists: Different artist tags on posts that became images.
        num_bytes: Length of all that was received.
        fetched: First and last time of a fetch, in words.
        people: Labels by person.
        settings: Options of rules that people saved and the dataset obeys, in words.
        digests: What identifies data, models and tables, by name.
    """

    sources: Counts
    hosts: Counts
    ratings: Counts
    queries: list[str]
    artists: int
    num_bytes: int
    fetched: tuple[str, str] | None
    people: Counts
    settings: list[str]
    digests: list[tuple[str, str]]


def read_origins(workspace: Workspace, records: Records, inputs: ReportInputs) -> Origins:
    """Count where the posts of a run came from."""
    posts = records.posts
    hosts = [{host(row.post_url), host(row.file_url)} - {None} for row in posts]
    times = [row.fetched_at for row in posts if row.fetched_at is not None]
    ours = [row for row in records.labels if row.image_id in records.image_ids]
    return Origins(
        sources=_most_common(Counter(row.source for row in posts)),
        hosts=_most_common(Counter(name for found in hosts for name in found if name)),
        ratings=_most_common(Counter(row.rating for row in posts)),
        queries=sorted({row.query for row in posts if row.query}),
        artists=len({tag for row in posts if row.image_id for tag in row.artist_tags}),
        num_bytes=sum(row.num_bytes or 0 for row in posts),
        fetched=_span(times),
        people=_most_common(Counter(row.by for row in ours)),
        settings=_settings(workspace, inputs),
        digests=_digests(workspace, inputs),
    )


def _settings(workspace: Workspace, inputs: ReportInputs) -> list[str]:
    """What people saved of single rules, as the dataset's footer names it."""
    key = f"datasets/{inputs.dataset_name}/{inputs.dataset_version}/decisions/decisions.parquet"
    if not inputs.dataset_name or not workspace.exists(key):
        return []
    parents = read_footer(workspace, key)["parents"]
    return [f"{one.rule}: {one.told()}" for one in of_parents(parents)]


def flattened(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and values in words, in the order given."""
    lines: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            lines += flattened(value, f"{name}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            for i, item in enumerate(value):
                lines += flattened(
                    item if isinstance(item, Mapping) else {"": item}, f"{name}[{i}]."
                )
        else:
            lines.append((name, _plain(value)))
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "not set"}[value]
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value != "" and value != {} else "empty"


def _most_common(counter: Counter[str]) -> Counts:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:_MOST]


def _span(times: list[datetime]) -> tuple[str, str] | None:
    return (moment(min(times)), moment(max(times))) if times else None


def _digests(workspace: Workspace, inputs: ReportInputs) -> list[tuple[str, str]]:
    found = [
        (f"crawl {crawl_id}", Table(workspace, PostRow, crawl_id)) for crawl_id in inputs.crawl_ids
    ]
    lines = [(f"posts of {name}", table.digest()) for name, table in found]
    lines.append(("image facts", Table(workspace, ImageRow).digest()))
    lines.append(("neighbours", Table(workspace, NeighbourRow).digest()))
    if inputs.pad_scope:
        table = Table(workspace, PaddedRow, inputs.pad_scope)
        lines.append((f"padded images, {inputs.pad_scope}", table.digest()))
    if inputs.dataset_name:
        lines.append((f"dataset {inputs.dataset_name}", inputs.dataset_version))
    lines += [(f"classifier of {name}", key) for name, key in sorted(inputs.classifiers.items())]
    if inputs.model_id:
        lines.append(("model", inputs.model_id))
    return lines
