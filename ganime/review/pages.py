"""Pages of images in any order, each continued from the last image of the one before.

Images that come or get labelled meanwhile move no page: a page begins behind an image, not at a
number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ganime.review.cache import Scores, Snapshot
from ganime.review.columns import Array
from ganime.review.query import NotThereError, Selection, find_scores

Sort = Literal["newest", "oldest", "uncertain", "highest", "lowest"]
Order = npt.NDArray[np.uint64]
CURSOR = r"^[0-9a-f]{72}$"  # the sorted-by value, 8 digits, and the image id
_LAST = np.uint32(2**32 - 1)  # images without the value come last
_FEW = 50_000  # rows with a tag that are sorted at once; of more, the order of all is walked
_STEP = 2048  # rows of a walk looked at first; four times as many each time
_STEPS = 4  # then too few pass, and all that do are found and sorted


@dataclass(frozen=True)
class Page:
    """Rows in order, and where the next page begins; None at the end."""

    rows: list[int]
    cursor: str | None


def page(selection: Selection, sort: Sort, score: str | None, cursor: str | None, num: int) -> Page:
    """The next images.

    Args:
        selection: Which.
        sort: `newest` and `oldest` by when they were fetched; the others by a score.
        score: Which score; the first there is if it is not said.
        cursor: Of the page before; None for the first.
        num: At most so many.

    Raises:
        NotThereError: no such score.
    """
    order = order_of(selection.snapshot, sort, score)
    start = _place(selection.snapshot, order, cursor) if cursor else 0
    rows = list(_passing(selection, order, start, num + 1))
    more = len(rows) > num
    rows = rows[:num]
    return Page(rows, _cursor(selection.snapshot, order, rows[-1]) if more else None)


def scored(snapshot: Snapshot, scores: Scores, sort: Sort) -> Iterator[npt.NDArray[np.int64]]:
    """All rows that have a score, in an order of scores, a few at a time."""
    order = order_of(snapshot, sort, scores.name).sorted
    known = int(np.searchsorted(order, np.uint64(_LAST) << np.uint64(32)))
    for start in range(0, known, _STEP):
        yield (order[start : min(start + _STEP, known)] & np.uint64(_LAST)).astype(np.int64)


@dataclass(frozen=True)
class Sorted:
    """All rows in one order.

    Attributes:
        keys: What they are sorted by, smallest first, uint32 [N].
        sorted: `keys` * 2^32 + row, rising, uint64 [N].
    """

    keys: npt.NDArray[np.uint32]
    sorted: Order


def order_of(snapshot: Snapshot, sort: Sort, score: str | None) -> Sorted:
    """All rows in one order, made once.

    Raises:
        NotThereError: no such score.
    """
    if sort in ("newest", "oldest"):
        fetched = snapshot.groups["images"]["fetched"]
        made: Sorted = snapshot.remember(
            f"order {sort}", lambda: _sort(np.where(fetched, _turned(fetched, sort), _LAST))
        )
        return made
    if not score and not snapshot.scores:
        raise NotThereError(f"nothing was measured yet to sort by {sort}: sort by newest")
    scores = find_scores(snapshot, score or next(iter(snapshot.scores)))
    found: Sorted = snapshot.remember(
        f"order {sort} {scores.name}", lambda: _sort(_score_keys(scores, sort))
    )
    return found


def _turned(fetched: Array, sort: Sort) -> Array:
    return _LAST - fetched if sort == "newest" else fetched


def _score_keys(scores: Scores, sort: Sort) -> npt.NDArray[np.uint32]:
    values = scores.values
    if sort == "uncertain":
        values = np.abs(values - np.float32(scores.threshold))
    elif sort == "highest":
        values = -values
    # Floats sort as their bits do once the negative ones are turned over.
    bits = np.ascontiguousarray(values + np.float32(0)).view(np.uint32)  # no -0
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return np.where(np.isnan(values), _LAST, keys)


def _sort(keys: npt.NDArray[np.uint32]) -> Sorted:
    keys = keys.astype(np.uint32)
    # One number per row sorts several times as fast as rows by their keys.
    combined = keys.astype(np.uint64) << np.uint64(32)
    combined |= np.arange(len(keys), dtype=np.uint64)
    combined.sort()
    return Sorted(keys, combined)


def _passing(selection: Selection, order: Sorted, start: int, num: int) -> list[int]:
    """The first rows from a place on that the selection holds."""
    tagged = selection.tagged()
    if tagged is None or len(tagged) > _FEW:
        found, is_whole = _walked(selection, order, start, num, tagged)
        if is_whole:
            return found
    rows, cells = selection.narrow(tagged), selection.cell_mask()
    of_cells = cells[selection.cell if rows is None else selection.cell[rows]]
    return _sorted(order, start, num, np.flatnonzero(of_cells) if rows is None else rows[of_cells])


def _walked(
    selection: Selection, order: Sorted, start: int, num: int, tagged: Array | None
) -> tuple[list[int], bool]:
    """Look along the order, at few rows rather than at all; whether that was enough."""
    cells, inside = selection.cell_mask(), None
    if tagged is not None:
        inside = np.zeros(selection.snapshot.num_rows, bool)
        inside[tagged] = True
    found: list[int] = []
    step = _STEP
    for _ in range(_STEPS):
        rows: Array = (order.sorted[start : start + step] & np.uint64(_LAST)).astype(np.int64)
        rows = rows[cells[selection.cell[rows]]]
        rows = selection.narrow(rows if inside is None else rows[inside[rows]])
        found += rows[: num - len(found)].tolist()
        start, step = start + step, 4 * step
        if len(found) == num or start >= len(order.sorted):
            return found, True
    return found, False


def _sorted(order: Sorted, start: int, num: int, rows: Array) -> list[int]:
    """The first of some rows from a place in the order on."""
    if start >= len(order.sorted):
        return []
    combined = order.keys[rows].astype(np.uint64) << np.uint64(32) | rows.astype(np.uint64)
    combined = combined[combined >= order.sorted[start]]
    combined.sort()
    found: list[int] = (combined[:num] & np.uint64(_LAST)).tolist()
    return found


def _cursor(snapshot: Snapshot, order: Sorted, row: int) -> str:
    return f"{int(order.keys[row]):08x}{snapshot.ids.text(row)}"


def _place(snapshot: Snapshot, order: Sorted, cursor: str) -> int:
    """Behind the cursor's image; images may have come since, or it may be gone."""
    row = snapshot.ids.after(cursor[8:])
    wanted = (int(cursor[:8], 16) << 32) | max(row - 1, 0)
    side: Literal["left", "right"] = "right" if row else "left"
    return int(np.searchsorted(order.sorted, np.uint64(wanted), side=side))
