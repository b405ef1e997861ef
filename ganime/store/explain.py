"""The whole story of one image or post, told from the manifests."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from ganime.errors import ConfigError
from ganime.rows import DecisionRow, ImageRow, NeighbourRow, PostRow, ScoreRow
from ganime.store.labels import LabelLog
from ganime.store.lineage import crawls, datasets, models
from ganime.store.manifest import RowT, Table, from_arrow
from ganime.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of one post or image, in the order it happened.

    Attributes:
        image_id: SHA-256 of the original; None for a post that never became an image.
        chapters: Title and lines of each part.
    """

    image_id: str | None
    chapters: list[tuple[str, list[str]]]


def explain(workspace: Workspace, reference: str) -> list[Story]:
    """Tell the whole story of an image or a post.

    Args:
        workspace: Where.
        reference: An image id or its first digits (6 or more), `source/post_id`, a post's URL, or
            the path of a file whose bytes are an original.

    Returns:
        One story per image that the reference means, and one for a post without an image.

    Raises:
        ConfigError: nothing in the workspace answers to it.
    """
    posts = [row for scope in crawls(workspace) for row in Table(workspace, PostRow, scope).rows()]
    named = [row for row in posts if reference in (f"{row.source}/{row.post_id}", row.post_url)]
    if named:
        found = sorted({row.image_id for row in named if row.image_id})
        lost = [row for row in named if row.image_id is None]
        stories = [Story(None, [("crawl", [_tell_post(row) for row in lost])])] if lost else []
        return stories + [_tell(workspace, image_id, posts) for image_id in found]
    ids = {row.image_id for row in posts if row.image_id} & set(_candidates(reference, posts))
    if not ids:
        raise ConfigError(
            f"nothing in {workspace.describe()} answers to {reference!r}: give an image id (6 or "
            "more hex digits), source/post_id, the post's URL or the image's file"
        )
    return [_tell(workspace, image_id, posts) for image_id in sorted(ids)]


def _candidates(reference: str, posts: Sequence[PostRow]) -> Iterator[str]:
    path = Path(reference)
    if path.is_file():
        yield hashlib.sha256(path.read_bytes()).hexdigest()
    elif len(reference) >= 6:
        yield from (
            row.image_id for row in posts if row.image_id and row.image_id.startswith(reference)
        )


def _tell(workspace: Workspace, image_id: str, posts: Sequence[PostRow]) -> Story:
    chapters = [
        ("crawl", [_tell_post(row) for row in posts if row.image_id == image_id]),
        ("dedupe", _tell_facts(workspace, image_id)),
        ("classify", _tell_scores(workspace, image_id)),
        ("labels", _tell_labels(workspace, image_id)),
    ]
    for name, version in datasets(workspace):
        chapters.append(
            (f"curate {name}/{version}", _tell_decisions(workspace, name, version, image_id))
        )
    return Story(image_id, [(title, lines) for title, lines in chapters if lines])


def _tell_post(row: PostRow) -> str:
    fate = f"{row.outcome}: {row.reason}" if row.reason else row.outcome
    when = f" at {row.fetched_at:%Y-%m-%d %H:%M:%S} UTC" if row.fetched_at else ""
    tags = " ".join(row.artist_tags + row.copyright_tags + row.character_tags + row.tags)
    return (
        f"{row.source}/{row.post_id} {fate}{when}, attempt {row.attempt}, run {row.run_id}\n"
        f"  page {row.post_url}\n  file {row.file_url or 'none named'}\n"
        f"  rating {row.rating}, tags {tags or 'none'}"
    )


def _one(workspace: Workspace, row: type[RowT], image_id: str, scope: str = "") -> list[RowT]:
    table = Table(workspace, row, scope).read()
    return from_arrow(row, table.filter(pc.equal(table["image_id"], image_id)))


def _tell_facts(workspace: Workspace, image_id: str) -> list[str]:
    lines = []
    for row in _one(workspace, ImageRow, image_id):
        if row.problem:
            lines.append(f"unusable: {row.problem} ({row.num_bytes} bytes)")
            continue
        lines.append(
            f"{row.format} {row.mode} {row.width}x{row.height} px, {row.num_bytes} bytes; border "
            f"colour {row.border_colour}, {row.background_fraction or 0:.0%} of the border has it"
        )
    for edges in Table(workspace, NeighbourRow).rows():
        for other, hamming, similarity, mirrored in zip(
            edges.others, edges.hamming, edges.similarity, edges.mirrored, strict=True
        ):
            if image_id in (edges.image_id, other):
                twin = other if edges.image_id == image_id else edges.image_id
                lines.append(
                    f"looks like {twin[:12]}: {hamming} bits apart, similarity "
                    f"{similarity:.3f}" + (", mirrored" if mirrored else "")
                )
    return lines


def _tell_scores(workspace: Workspace, image_id: str) -> list[str]:
    rows = sorted(_one(workspace, ScoreRow, image_id), key=lambda row: (row.measurement, row.at))
    return [
        f"{row.measurement} {row.score:.3f} by classifier {row.revision}, {_time(row.at)}"
        for row in rows
    ]


def _tell_labels(workspace: Workspace, image_id: str) -> list[str]:
    words = {True: "yes", False: "no", None: "answer taken back"}
    return [
        f"{row.by} said {row.question}: {words[row.answer]} ({row.how}), {_time(row.at)}"
        + (f": {row.note}" if row.note else "")
        for row in LabelLog(workspace).history(image_id)
    ]


def _tell_decisions(workspace: Workspace, name: str, version: str, image_id: str) -> list[str]:
    root = f"datasets/{name}/{version}"
    table = Table(workspace, DecisionRow, root=root).read()
    ours = from_arrow(DecisionRow, table.filter(pc.equal(table["image_id"], image_id)))
    if not ours:
        return []
    ours.sort(key=lambda row: row.order)
    lines = [_tell_decision(row) for row in ours]
    dropped_by = next((row.rule for row in ours if row.verdict == "drop"), None)
    if dropped_by:
        return [*lines, f"status: dropped by {dropped_by}"]
    trained = [
        model_id
        for model_id, settings in models(workspace).items()
        if settings.get("dataset_version") in (version, f"{name}/{version}")
    ]
    used = f"; models trained on it: {', '.join(trained)}" if trained else ""
    return [*lines, f"status: kept{used}"]


def _tell_decision(row: DecisionRow) -> str:
    measured = "" if row.score is None else f", score {row.score:.3f}"
    held = "" if row.threshold is None else f" against {row.threshold:g}"
    reason = f" ({row.reason})" if row.reason else ""
    evidence = f" {row.evidence}" if row.evidence else ""
    return f"{row.rule}: {row.verdict}{reason}{measured}{held}, by {row.decided_by}{evidence}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
