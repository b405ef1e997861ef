"""The whole story of one image or post, told from the manifests."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ganime.errors import ConfigError
from ganime.rows import DecisionRow, ImageRow, NeighbourRow, PostRow, ScoreRow
from ganime.store.labels import LabelLog
from ganime.store.lineage import datasets, models
from ganime.store.lookup import KeyRange, Lookup, id_range, word_range
from ganime.store.manifest import Table, from_arrow, read_equal, read_footer
from ganime.store.rule_settings import of_parents
from ganime.store.workspace import Workspace

_FACTS = (
    *("problem", "num_bytes", "format", "mode", "width", "height"),
    *("border_colour", "background_fraction"),
)


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
    posts = Lookup(workspace, PostRow)
    named = _posts(posts, word_range(reference))
    named = [row for row in named if reference in (f"{row.source}/{row.post_id}", row.post_url)]
    if named:
        found = sorted({row.image_id for row in named if row.image_id})
        lost = [row for row in named if row.image_id is None]
        stories = [Story(None, [("crawl", [_tell_post(row) for row in lost])])] if lost else []
        return stories + [_tell(workspace, image_id, posts) for image_id in found]
    digits = _digits(reference)
    keys = id_range(digits) if len(digits) >= 6 else None
    rows = _posts(posts, keys) if keys else []
    ids = {row.image_id for row in rows if row.image_id and row.image_id.startswith(digits)}
    if not ids:
        raise ConfigError(
            f"nothing in {workspace.describe()} answers to {reference!r}: give an image id (6 or "
            "more hex digits), source/post_id, the post's URL or the image's file"
        )
    return [_tell(workspace, image_id, posts) for image_id in sorted(ids)]


def _digits(reference: str) -> str:
    """The image id, or its beginning, that a file or digits stand for."""
    path = Path(reference)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else reference


def _posts(posts: Lookup, keys: KeyRange) -> list[PostRow]:
    """Posts with such a key as their last attempt left them, by crawl, as they were committed."""
    found = posts.find(keys, ["source", "post_id"]).to_pylist()
    names = sorted({f"{row['source']}/{row['post_id']}" for row in found})
    # An image's post may have been settled again since, without that image.
    tables = [posts.find(word_range(name)) for name in names]
    return from_arrow(PostRow, pa.concat_tables(tables)) if tables else []


def _tell(workspace: Workspace, image_id: str, posts: Lookup) -> Story:
    rows = [row for row in _posts(posts, _keys(image_id)) if row.image_id == image_id]
    chapters = [
        ("crawl", [_tell_post(row) for row in rows]),
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


def _keys(image_id: str) -> KeyRange:
    keys = id_range(image_id)
    assert keys is not None, image_id
    return keys


def _tell_facts(workspace: Workspace, image_id: str) -> list[str]:
    lines = []
    table = Lookup(workspace, ImageRow).find(_keys(image_id), ["image_id", *_FACTS])
    for row in table.filter(pc.equal(table["image_id"], image_id)).to_pylist():
        if row["problem"]:
            lines.append(f"unusable: {row['problem']} ({row['num_bytes']} bytes)")
            continue
        lines.append(
            f"{row['format']} {row['mode']} {row['width']}x{row['height']} px, "
            f"{row['num_bytes']} bytes; border colour {row['border_colour']}, "
            f"{row['background_fraction'] or 0:.0%} of the border has it"
        )
    for edges in from_arrow(NeighbourRow, Lookup(workspace, NeighbourRow).find(_keys(image_id))):
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
    found = from_arrow(ScoreRow, Lookup(workspace, ScoreRow).find(_keys(image_id)))
    rows = [row for row in found if row.image_id == image_id]
    return [
        f"{row.measurement} {row.score:.3f} by classifier {row.revision}, {_time(row.at)}"
        for row in sorted(rows, key=lambda row: (row.measurement, row.at))
    ]


def _tell_labels(workspace: Workspace, image_id: str) -> list[str]:
    words = {True: "yes", False: "no", None: "answer taken back"}
    return [
        f"{row.by} said {row.question}: {words[row.answer]} ({row.how}), {_time(row.at)}"
        + (f": {row.note}" if row.note else "")
        for row in LabelLog(workspace).history(image_id)
    ]


def _tell_decisions(workspace: Workspace, name: str, version: str, image_id: str) -> list[str]:
    parts = Table(workspace, DecisionRow, root=f"datasets/{name}/{version}").parts()
    # Each rule's decisions stand in the order of the ids, so that few row groups may hold them.
    tables = [read_equal(workspace, key, DecisionRow, "image_id", image_id) for key in parts]
    ours = [row for table in tables for row in from_arrow(DecisionRow, table)]
    if not ours:
        return []
    ours.sort(key=lambda row: row.order)
    footer = read_footer(workspace, parts[0])
    people = {one.rule: one.told() for one in of_parents(footer["parents"])}
    lines = [_tell_decision(row, people.get(row.rule, "")) for row in ours]
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


def _tell_decision(row: DecisionRow, setting: str) -> str:
    measured = "" if row.score is None else f", score {row.score:.3f}"
    held = "" if row.threshold is None else f" against {row.threshold:g}"
    reason = f" ({row.reason})" if row.reason else ""
    evidence = f" {row.evidence}" if row.evidence else ""
    people = f"; {setting}" if setting else ""
    return (
        f"{row.rule}: {row.verdict}{reason}{measured}{held}, by {row.decided_by}{evidence}{people}"
    )


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
