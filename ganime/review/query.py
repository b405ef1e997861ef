"""Which images a person asks for: filters over columns, as lists of rows and masks of cells."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ganime.review.answers import Answers
from ganime.review.cache import Scores, Snapshot
from ganime.review.columns import Array
from ganime.review.image_columns import RATINGS, UNKNOWN
from ganime.review.tag_search import rows_of_tag
from ganime.review.verdict_columns import KEPT, UNDECIDED

Mask = npt.NDArray[np.bool_]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Several = Annotated[list[Text], Field(max_length=50)]
LABELS = ("none", "yes", "no")  # by state
STATUSES = ("kept", "dropped", "undecided")
_DAY_S = 86_400
CELL_FACETS = ("status", "rule", "reason", "source", "rating")


class NotThereError(LookupError):
    """A rule, score or image that is not there; the message is fit to be shown."""


class Filters(BaseModel):
    """Which images: within one filter any value counts, of several filters all do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Several = Field([], description="kept, dropped or undecided.")
    rule: Several = Field([], description="The first rule that drops the image.")
    reason: Several = Field([], description="Its reason, a short code.")
    source: Several = Field([], description="A source that has a post of the image.")
    rating: Several = Field([], description="The strictest rating of its posts.")
    tag: Several = Field([], description="The image has all of these tags.")
    not_tag: Several = Field([], description="It has none of these.")
    question: Text = Field("keep", description="The question that `label` is about.")
    label: Several = Field([], description="yes, no or none: the current answer.")
    score: Text | None = Field(None, description="A rule or question that has scores.")
    score_min: float | None = Field(
        None, allow_inf_nan=False, description="Least score, itself included."
    )
    score_max: float | None = Field(
        None, allow_inf_nan=False, description="Greatest score, itself included."
    )
    posted_from: date | None = Field(None, description="First day, UTC.")
    posted_to: date | None = Field(None, description="Last day, UTC.")

    @model_validator(mode="after")
    def _check(self) -> "Filters":
        for name, known in (("status", STATUSES), ("rating", RATINGS), ("label", LABELS)):
            if wrong := set(getattr(self, name)) - set(known):
                raise ValueError(f"{name} {sorted(wrong)}: wanted {', '.join(known)}")
        if self.score is None and (self.score_min is not None or self.score_max is not None):
            raise ValueError("score_min and score_max need score: which one?")
        return self


class Selection:
    """The images that filters leave, of one snapshot and the answers of now.

    Args:
        snapshot: All images.
        answers: What people said.
        filters: Which of them.

    Raises:
        NotThereError: no such score.
    """

    def __init__(self, snapshot: Snapshot, answers: Answers, filters: Filters) -> None:
        self.snapshot, self.answers, self.filters = snapshot, answers, filters
        self.cells = snapshot.groups["cells"]
        self.cell: npt.NDArray[np.int32] = snapshot.groups["cell"]["cell"]
        self.masks = {name: self._cell_mask(name) for name in CELL_FACETS}
        self.scores = find_scores(snapshot, filters.score) if filters.score else None

    def cell_mask(self, without: str = "") -> Mask:
        """Cells that pass all filters but one [C]."""
        mask = np.ones(self.cells.num_rows, bool)
        for name, one in self.masks.items():
            if one is not None and name != without:
                mask &= one
        return mask

    def rows(self, without: Literal["", "score", "label"] = "") -> Array | None:
        """Rows that pass all filters but one, those on cells left out; rising. None for all."""
        rows: Array | None = self.narrow(self.tagged(), without)
        return rows

    def narrow(self, rows: Any, without: Literal["", "score", "label"] = "") -> Any:
        """Those of some rows that pass the filters on answers, dates and scores.

        Args:
            rows: Rows in any order, or None for all.
            without: A filter to leave out.

        Returns:
            Rows in the same order; None for all only where all were given.
        """
        if self.filters.label and without != "label":
            states = self.answers.states(self.snapshot.ids, self.filters.question)
            wanted = np.array([name in self.filters.label for name in LABELS])
            rows = _narrow(rows, wanted, states)
        if self.filters.posted_from or self.filters.posted_to:
            rows = self._posted(rows)
        if self.scores is not None and without != "score":
            rows = self._scored(rows, self.scores)
        return rows

    def _cell_mask(self, name: str) -> Mask | None:
        wanted = getattr(self.filters, name)
        if not wanted:
            return None
        status, cells, groups = self.cells["status"], self.cells, self.snapshot.groups
        if name == "status":
            tests = {
                "kept": status == KEPT,
                "undecided": status == UNDECIDED,
                "dropped": status >= 0,
            }
            return np.asarray(np.any([tests[value] for value in wanted], axis=0))
        if name == "rule":
            return np.isin(status, _places(self.snapshot.rules, wanted))
        if name == "reason":
            return np.isin(cells["reason"], _places(groups["decisions"].notes["reasons"], wanted))
        if name == "rating":
            return np.isin(cells["rating"], _places(RATINGS, wanted))
        bits = sum(1 << place for place in _places(groups["images"].notes["sources"], wanted))
        return np.asarray(cells["sources"] & np.uint32(bits) != 0)

    def tagged(self) -> Array | None:
        """Rows that pass the filters on tags, rising; None for all."""
        wanted = sorted((rows_of_tag(self.snapshot, tag) for tag in self.filters.tag), key=len)
        rows = wanted[0] if wanted else None
        inside = np.empty(self.snapshot.num_rows, bool)
        for others in wanted[1:]:
            inside[:] = False
            inside[others] = True
            rows = rows[inside[rows]] if rows is not None else others
        if self.filters.not_tag:
            inside[:] = True
            for tag in self.filters.not_tag:
                inside[rows_of_tag(self.snapshot, tag)] = False
            rows = np.flatnonzero(inside) if rows is None else rows[inside[rows]]
        return rows

    def _posted(self, rows: Array | None) -> Array:
        posted = self.snapshot.groups["images"]["posted"]
        first = _seconds(self.filters.posted_from) if self.filters.posted_from else UNKNOWN + 1
        day = self.filters.posted_to
        last = _seconds(day) + _DAY_S - 1 if day else 2**32 - 1
        return _between(rows, posted, np.uint32(max(first, 1)), np.uint32(min(last, 2**32 - 1)))

    def _scored(self, rows: Array | None, scores: Scores) -> Array | None:
        low, high = self.filters.score_min, self.filters.score_max
        if low is None and high is None:
            return rows
        least, most = (-np.inf if low is None else low), (np.inf if high is None else high)
        return _between(rows, scores.values, np.float32(least), np.float32(most))


def find_scores(snapshot: Snapshot, name: str) -> Scores:
    """What was measured under a name.

    Raises:
        NotThereError: nothing was.
    """
    if name not in snapshot.scores:
        known = ", ".join(snapshot.scores) or "none yet"
        raise NotThereError(f"nothing is measured as {name!r}; there are scores of: {known}")
    return snapshot.scores[name]


def _between(rows: Array | None, values: Array, low: np.number, high: np.number) -> Array:
    if rows is None:
        return np.flatnonzero((values >= low) & (values <= high))
    ours = values[rows]
    return np.asarray(rows[(ours >= low) & (ours <= high)])


def _narrow(rows: Array | None, wanted: Mask, codes: Array) -> Array:
    if rows is None:
        return np.flatnonzero(wanted[codes])
    return np.asarray(rows[wanted[codes[rows]]])


def _places(names: list[str] | tuple[str, ...], wanted: list[str]) -> list[int]:
    return [place for place, name in enumerate(names) if name in wanted]


def _seconds(day: date) -> int:
    """Of its beginning; days that no 32 bits hold are cut to those that they do."""
    seconds = int(datetime.combine(day, time(), UTC).timestamp())
    return min(max(seconds, 0), 2**32 - 1)
