"""Images as cards: what was measured, what it was held against, where it came from."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow.compute as pc

from ganime.report.records import Records
from ganime.report.thumbnails import Thumbnails
from ganime.report.words import number, say, web_link
from ganime.rows import DecisionRow, NeighbourRow, PostRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

ItemT = TypeVar("ItemT")
_MAX_TAGS = 60
_KEPT_SHOWN = 21
_DROPPED_SHOWN = 21
_POSTS_SHOWN = 12
_GROUPS_SHOWN = 24
_PAIRS_SHOWN = 6
_ALT_TAGS = 4


@dataclass(frozen=True, slots=True)
class PostLink:
    """A post: `source/post_id`, and its page where that may be a link."""

    name: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """A score held against a threshold; `position` and `mark` are percentages if both are 0-1."""

    rule: str
    score: str
    sign: str
    threshold: str
    position: float | None = None
    mark: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One image, or a post that never became one."""

    image_id: str | None
    picture: str | None
    alt: str
    missing: str
    posts: list[PostLink]
    tags: list[str]
    measured: Measured | None = None
    evidence: list[tuple[str, str]] = field(default_factory=list)
    decided_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Cards of one reason, of `total` in all."""

    title: str
    code: str
    total: int
    cards: list[Card]

    @property
    def pictured(self) -> bool:
        """Whether there is a picture to show."""
        return any(card.picture for card in self.cards)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two kept images that look alike, and how much."""

    one: Card
    other: Card
    similarity: float


@dataclass(frozen=True, slots=True)
class Group:
    """Near-duplicates: the one that was kept, and those it stands for."""

    kept: Card
    others: list[Card]


class Cards:
    """Makes cards of the images of one run."""

    def __init__(self, records: Records, thumbnails: Thumbnails) -> None:
        self._records = records
        self._thumbnails = thumbnails

    def image(self, image_id: str, decision: DecisionRow | None = None, note: str = "") -> Card:
        """The card of an image, with one decision on it."""
        posts = self._records.posts_of.get(image_id, [])
        tags = sorted({tag for row in posts for tag in all_tags(row)})
        problem = self._records.problems.get(image_id)
        name = f"{posts[0].source}/{posts[0].post_id}" if posts else image_id[:12]
        return Card(
            image_id=image_id,
            picture=self._thumbnails.get(image_id),
            alt=", ".join([name, *tags[:_ALT_TAGS]]),
            missing=say(problem) if problem else "no thumbnail",
            posts=[_link(row) for row in posts],
            tags=tags[:_MAX_TAGS],
            measured=measured(decision) if decision else None,
            evidence=evidence(decision) if decision else [],
            decided_by=decision.decided_by if decision else "",
            note=note,
        )

    def post(self, row: PostRow) -> Card:
        """The card of a post without an image."""
        status = f"HTTP {row.http_status}" if row.http_status else ""
        return Card(
            image_id=None,
            picture=None,
            alt="",
            missing=say(row.reason or row.outcome),
            posts=[_link(row)],
            tags=all_tags(row)[:_MAX_TAGS],
            note=", ".join(part for part in (status, f"attempt {row.attempt}") if part),
        )


def kept_examples(records: Records, cards: Cards) -> Examples:
    """Kept images, spread evenly, each with the verdict that came closest to dropping it."""
    chosen = spread(records.kept, _KEPT_SHOWN)
    verdicts = records.verdicts(chosen)
    shown = [cards.image(image_id, closest(verdicts[image_id])) for image_id in chosen]
    return Examples("kept", "kept", len(records.kept), shown)


def dropped_examples(records: Records, cards: Cards) -> list[Examples]:
    """Dropped images by rule and reason, in the order of the rules."""
    groups: dict[tuple[int, str, str], list[DecisionRow]] = {}
    for image_id, row in records.drops.items():
        if image_id in records.image_ids:
            groups.setdefault((row.order, row.rule, row.reason or row.rule), []).append(row)
    result = []
    for (_, rule, reason), rows in sorted(groups.items()):
        # From the borderline to the clear-cut: that is how a threshold is judged.
        chosen = spread(sorted(rows, key=_clearness), _DROPPED_SHOWN)
        title = (
            say(reason)
            if rule in reason or say(rule) == say(reason)
            else f"{say(rule)}: {say(reason)}"
        )
        shown = [cards.image(row.image_id, row) for row in chosen]
        result.append(Examples(title, reason, len(rows), shown))
    return result


def lost_posts(records: Records, cards: Cards) -> list[Examples]:
    """Posts that never became an image, by outcome and reason."""
    groups: dict[tuple[str, str], list[PostRow]] = {}
    for row in records.posts:
        if row.outcome in ("skipped", "failed"):
            groups.setdefault((row.outcome, row.reason or row.outcome), []).append(row)
    return [
        Examples(
            f"{outcome}: {say(reason)}",
            reason,
            len(rows),
            [cards.post(row) for row in spread(rows, _POSTS_SHOWN)],
        )
        for (outcome, reason), rows in sorted(groups.items())
    ]


def duplicate_groups(records: Records, cards: Cards) -> tuple[list[Group], int]:
    """Groups of near-duplicates, the least alike first, and how many groups there are in all."""
    members: dict[str, list[DecisionRow]] = {}
    for image_id, row in records.drops.items():
        kept = _parsed(row).get("kept")
        if isinstance(kept, str) and image_id in records.image_ids:
            members.setdefault(kept, []).append(row)
    for rows in members.values():
        rows.sort(key=lambda row: (row.score if row.score is not None else 0.0, row.image_id))
    order = sorted(members, key=lambda kept: (members[kept][0].score or 0.0, kept))
    groups = [
        Group(cards.image(kept), [cards.image(row.image_id, row) for row in members[kept][:6]])
        for kept in order[:_GROUPS_SHOWN]
    ]
    return groups, len(members)


def near_misses(workspace: Workspace, records: Records, cards: Cards) -> list[Pair]:
    """Pairs of kept images that were compared and kept apart, the most alike first."""
    table = Table(workspace, NeighbourRow).read(["image_id", "others", "similarity"])
    busy = table.filter(pc.greater(pc.list_value_length(table["others"]), 0))
    kept = set(records.kept)
    pairs = {
        tuple(sorted((row["image_id"], other))): similarity
        for row in busy.to_pylist()
        for other, similarity in zip(row["others"], row["similarity"], strict=True)
        if row["image_id"] in kept and other in kept
    }
    order = sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:_PAIRS_SHOWN]
    return [Pair(cards.image(pair[0]), cards.image(pair[1]), pairs[pair]) for pair in order]


def measured(row: DecisionRow) -> Measured | None:
    """What a decision measured, in words; None if it measured nothing."""
    if row.score is None:
        return None
    if row.threshold is None:
        return Measured(row.rule, number(row.score), "", "")
    sign = "<" if row.score < row.threshold else ">" if row.score > row.threshold else "="
    if 0 <= row.score <= 1 and 0 <= row.threshold <= 1:
        return Measured(
            row.rule,
            _fraction(row.score, row.threshold),
            sign,
            _fraction(row.threshold, row.score),
            round(100 * row.score, 1),
            round(100 * row.threshold, 1),
        )
    return Measured(row.rule, number(row.score), sign, number(row.threshold))


def evidence(row: DecisionRow) -> list[tuple[str, str]]:
    """A decision's evidence as names and values."""
    found = _parsed(row)
    if row.decided_by == "person":
        found = {"said by": found.get("by", ""), "note": found.get("note", "")}
    return [(say(name), _value(value)) for name, value in found.items() if value != ""]


def all_tags(row: PostRow) -> list[str]:
    """The tags of a post, every category."""
    return row.character_tags + row.copyright_tags + row.artist_tags + row.tags


def closest(rows: Iterable[DecisionRow]) -> DecisionRow | None:
    """A person's answer if there is one, else the verdict nearest to its threshold."""
    said = [row for row in rows if row.decided_by == "person"]
    scored = [row for row in rows if row.score is not None and row.threshold]
    # Only a count hits its threshold exactly (one figure where one is allowed), and there it is the
    # plain case, not a close one.
    close = [row for row in scored if row.score != row.threshold] or scored
    return said[0] if said else min(close, key=_clearness, default=None)


def spread(items: Sequence[ItemT], most: int) -> list[ItemT]:
    """At most so many of them, evenly spread, the first and the last among them."""
    chosen = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[i] for i in chosen]


def _clearness(row: DecisionRow) -> tuple[float, str]:
    """How far a score is from its threshold, relative to it."""
    if row.score is None or row.threshold is None:
        return 0.0, row.image_id
    return abs(row.score - row.threshold) / (abs(row.threshold) or 1.0), row.image_id


def _fraction(value: float, other: float) -> str:
    """Two decimals, more where the two would look the same."""
    digits = next((n for n in (2, 3, 4) if f"{value:.{n}f}" != f"{other:.{n}f}"), 2)
    return f"{value:.{digits}f}"


def _parsed(row: DecisionRow) -> dict[str, Any]:
    try:
        found = json.loads(row.evidence or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = str(value)
    # Ids are 64 digits long; the first twelve find the image.
    return text[:12] if len(text) == 64 else text


def _link(row: PostRow) -> PostLink:
    return PostLink(f"{row.source}/{row.post_id}", web_link(row.post_url))
