"""Above which score a classifier says yes: a number, a wish for precision or recall, or best F1."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from ganime.classifiers.figures import cuts_of, wilson
from ganime.classifiers.logistic import Answers, Numbers
from ganime.config import Config

_LEAST_SAID = 5  # a precision counted on fewer says nothing: one of one is 100 %


class ThresholdWish(Config):
    """What a threshold shall reach on answers that were not learned from."""

    precision: float | None = Field(
        None, gt=0, le=1, description="Share of right ones among the yes said, as low a threshold."
    )
    recall: float | None = Field(
        None, gt=0, le=1, description="Share found of the true yes, as high a threshold."
    )

    @model_validator(mode="after")
    def _one_wish(self) -> "ThresholdWish":
        if (self.precision is None) == (self.recall is None):
            raise ValueError("give precision or recall, one of the two")
        return self


Wanted = float | ThresholdWish | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A threshold.

    Attributes:
        threshold: Yes is above it.
        reached: Whether the wish is met; without one, true.
        value: The wished precision or recall at the threshold, on the scores it was chosen by;
            None without a wish.
        interval: Wilson's 95 % around it.
    """

    threshold: float
    reached: bool = True
    value: float | None = None
    interval: list[float] | None = None

    def told(self, wanted: Wanted) -> dict[str, Any] | None:
        """JSON-ready, beside what was wanted; None where there was no wish."""
        if not isinstance(wanted, ThresholdWish):
            return None
        return {
            **wanted.model_dump(exclude_none=True),
            "reached": self.reached,
            "value": self.value,
            "interval": self.interval,
        }


def choose_threshold(scores: Numbers, answers: Answers, wanted: Wanted = None) -> Chosen:
    """Where to cut.

    Args:
        scores: Calibrated, of examples that were not learned from [N].
        answers: Yes or no [N].
        wanted: A number is taken as it is. A wished precision takes the lowest cut that reaches
            it, a wished recall the highest; None, or a wish that no cut reaches, the best F1.

    Returns:
        A threshold between two scores, and how the wish was met.
    """
    if isinstance(wanted, float | int):
        return Chosen(float(wanted))
    cuts, tp, said = cuts_of(scores, answers)
    yes = int(answers.sum())
    best = int(np.argmax(2 * tp / (said + yes)))
    if wanted is None:
        return Chosen(float(cuts[best]))
    if wanted.precision is not None:
        of = said
        found = np.flatnonzero((tp / said >= wanted.precision) & (said >= _LEAST_SAID))[::-1]
    else:
        of = np.full(len(cuts), yes)
        # At the lowest cut of all, 0, a score of 0 is still no yes.
        real = cuts < np.unique(scores)[::-1]
        found = np.flatnonzero((tp >= (wanted.recall or 1.0) * yes) & real & (yes > 0))
    place = int(found[0]) if len(found) else best
    count = int(of[place])
    return Chosen(
        float(cuts[place]),
        bool(len(found)),
        float(tp[place] / count) if count else None,
        wilson(int(tp[place]), count),
    )


def thresholds_by_fold(
    scores: Numbers, answers: Answers, folds: npt.NDArray[np.int64], used: Answers, wanted: Wanted
) -> Numbers:
    """For each example the threshold chosen without its fold [N], for figures free of that choice.

    Args:
        scores: Held out [N].
        answers: Yes or no [N].
        folds: Fold of each, from 0 [N].
        used: Which take part in the choice [N].
        wanted: See `choose_threshold`.
    """
    found = np.empty(len(scores))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        others = used & ~out
        others = others if others.any() else used
        found[out] = choose_threshold(scores[others], answers[others], wanted).threshold
    return found
