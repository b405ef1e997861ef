"""How many images each filter would leave, and how scores spread: sums over cells.

A count ignores its own filter, so that one sees what else could be chosen.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from ganime.review.answers import NO, YES
from ganime.review.cache import Scores, Snapshot
from ganime.review.columns import Array
from ganime.review.image_columns import RATINGS
from ganime.review.query import LABELS, Mask, Selection
from ganime.review.schemas import Facets, Histogram, Month, Value
from ganime.review.verdict_columns import KEPT, UNDECIDED

NUM_BINS = 100
_NO_SCORE = NUM_BINS  # a bin of its own, for those that a stage did not reach
Counts = npt.NDArray[np.int64]


def count(selection: Selection) -> Facets:
    """All facets of a selection, and the histogram of its score."""
    counts = _cell_counts(selection, selection.rows())
    every = selection.cell_mask()
    return Facets(
        total=int(counts[every].sum()),
        num_images=selection.snapshot.num_rows,
        status=list(_statuses(selection, counts)),
        rule=list(_rules(selection, counts)),
        reason=list(_reasons(selection, counts)),
        source=list(_sources(selection, counts)),
        rating=list(_named(selection, counts, "rating", RATINGS)),
        month=list(_months(selection, counts[every], every)),
        label=_labels(selection, every, counts),
        histogram=_histogram(selection, selection.scores, every) if selection.scores else None,
    )


def _cell_counts(selection: Selection, rows: Array | None) -> Counts:
    """How many of some rows lie in each cell [C]."""
    if rows is None:
        whole: Counts = selection.cells["count"]
        return whole
    return np.bincount(selection.cell[rows], minlength=selection.cells.num_rows)


def _summed(
    selection: Selection, counts: Counts, facet: str, column: str, num: int, first: int = 0
) -> Counts:
    """Counts by the values of a column, which begin at `first` [num]."""
    passing = selection.cell_mask(without=facet)
    places = selection.cells[column][passing].astype(np.int64) - first
    found: Counts = np.bincount(places, counts[passing], minlength=num).astype(np.int64)
    return found


def _statuses(selection: Selection, counts: Counts) -> Iterator[Value]:
    num = len(selection.snapshot.rules)
    found = _summed(selection, counts, "status", "status", num + 2, UNDECIDED)
    yield Value(value="kept", count=int(found[KEPT - UNDECIDED]))
    yield Value(value="dropped", count=int(found[2:].sum()))
    yield Value(value="undecided", count=int(found[0]))


def _rules(selection: Selection, counts: Counts) -> Iterator[Value]:
    names = selection.snapshot.rules
    found = _summed(selection, counts, "rule", "status", len(names) + 2, UNDECIDED)
    yield from _values(names, found[2:])


def _reasons(selection: Selection, counts: Counts) -> Iterator[Value]:
    names = selection.snapshot.groups["decisions"].notes["reasons"]
    found = _summed(selection, counts, "reason", "reason", len(names) + 1, -1)
    yield from _values(names, found[1:])


def _sources(selection: Selection, counts: Counts) -> Iterator[Value]:
    passing = selection.cell_mask(without="source")
    bits, ours = selection.cells["sources"][passing], counts[passing]
    names = selection.snapshot.groups["images"].notes["sources"]
    # An image that two sources have counts for both.
    found = [int(ours[bits & np.uint32(1 << place) != 0].sum()) for place in range(len(names))]
    yield from _values(names, found)


def _named(
    selection: Selection, counts: Counts, name: str, names: tuple[str, ...]
) -> Iterator[Value]:
    yield from _values(names, _summed(selection, counts, name, name, len(names)))


def _values(names: Iterable[str], counts: Iterable[int]) -> Iterator[Value]:
    pairs = zip(names, counts, strict=True)
    return (Value(value=name, count=int(number)) for name, number in pairs if number)


def _months(selection: Selection, counts: Counts, every: Mask) -> Iterator[Month]:
    """By the month of the first post; images without a date are left out."""
    found = np.bincount(selection.cells["month"][every].astype(np.int64), counts)
    for months in np.flatnonzero(found[1:]).tolist():
        year, month = divmod(months + 1, 12)
        yield Month(month=f"{1970 + year}-{month + 1:02}", count=int(found[months + 1]))


def _labels(selection: Selection, every: Mask, counts: Counts) -> list[Value]:
    """By the current answer to the question; few images have one, all others are counted."""
    rows = selection.rows(without="label") if selection.filters.label else None
    others = _cell_counts(selection, rows) if selection.filters.label else counts
    total = int(others[every].sum())
    states = selection.answers.states(selection.snapshot.ids, selection.filters.question)
    ours = np.flatnonzero(states)
    ours = ours[every[selection.cell[ours]]]
    allowed = rows if selection.filters.label else selection.rows()
    if allowed is not None:
        ours = np.intersect1d(ours, allowed, assume_unique=True)
    yes, no = (int((states[ours] == state).sum()) for state in (YES, NO))
    numbers = (total - yes - no, yes, no)
    return [Value(value=name, count=n) for name, n in zip(LABELS, numbers, strict=True)]


def _histogram(selection: Selection, scores: Scores, every: Mask) -> Histogram:
    low, high, bins, by_cell = bins_of(selection.snapshot, scores.name)
    rows = selection.rows(without="score")
    if rows is None:
        found = by_cell[every].sum(axis=0)
    else:
        ours = rows if every.all() else rows[every[selection.cell[rows]]]
        found = np.bincount(bins[ours], minlength=NUM_BINS + 1)
    return Histogram(
        score=scores.name,
        threshold=scores.threshold,
        drops_above=scores.above,
        low=low,
        high=high,
        counts=found[:NUM_BINS].tolist(),
        num_without=int(found[_NO_SCORE]),
    )


def bins_of(snapshot: Snapshot, name: str) -> tuple[float, float, Array, Array]:
    """Bins of a score, made once: their range, the bin of each image, counts by cell and bin."""
    found: tuple[float, float, Array, Array] = snapshot.remember(
        f"bins of {name}", lambda: _bin(snapshot, snapshot.scores[name])
    )
    return found


def _bin(snapshot: Snapshot, scores: Scores) -> tuple[float, float, Array, Array]:
    """Range of the bins, bin of each image uint8 [N], and counts by cell and bin [C, NUM_BINS + 1].

    Probabilities span 0-1. Of pixels and the like a few are huge: the range ends where 99 of 100
    images do, or at the threshold, and the last bin takes the rest.
    """
    values = scores.values
    known = values[~np.isnan(values)]
    low, high = 0.0, 1.0
    if len(known) and (known.max() > 1 or known.min() < 0):
        sample = known[:: max(1, len(known) // 100_000)]
        low = min(float(np.quantile(sample, 0.01)), scores.threshold)
        high = max(float(np.quantile(sample, 0.99)), scores.threshold)
    scale = NUM_BINS / (high - low) if high > low else 0.0
    with np.errstate(invalid="ignore"):
        places = np.clip((values - np.float32(low)) * np.float32(scale), 0, NUM_BINS - 1)
        bins = np.where(np.isnan(places), _NO_SCORE, places).astype(np.uint8)
    cell = snapshot.groups["cell"]["cell"].astype(np.int64)
    num = snapshot.groups["cells"].num_rows
    by_cell = np.bincount(cell * (NUM_BINS + 1) + bins, minlength=num * (NUM_BINS + 1))
    return low, high, bins, by_cell.reshape(num, NUM_BINS + 1)
