"""Above which score a classifier says yes: a number, a wish for precision or recall, or best F1.

The cut that is best for a handful of yes lies anywhere between them and the next no. But where
scores are chances, the best cut is half of the F1 that it attains (Lipton, Elkan, Narayanaswamy
2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure", arXiv 1402.1892), and that F1 is
known far better than the cut. So few answers take half of it, and many the cut itself, which holds
where scores are no chances too.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from ganime.classifiers.figures import cuts_of, wilson
from ganime.classifiers.logistic import Answers, Numbers
from ganime.config import Config

# Answers of the rarer kind with which cut and half the F1 count alike. Any number from 20 to 100
# does as well on 10 to 150 labels of practice and real drawings.
_HALF_TRUSTED = 50
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
            it, a wished recall the highest; None, or a wish that no cut reaches, the best F1,
            see the module.

    Returns:
        A threshold, and how the wish was met.
    """
    if isinstance(wanted, float | int):
        return Chosen(float(wanted))
    if wanted is None:
        return Chosen(_best_f1(scores, answers))
    reaching = _reaching(scores, answers, wanted)
    threshold = _best_f1(scores, answers) if reaching is None else reaching
    said = scores > threshold
    hits = int((said & answers).sum())
    count = int((said if wanted.precision is not None else answers).sum())
    return Chosen(
        threshold, reaching is not None, hits / count if count else None, wilson(hits, count)
    )


def _best_f1(scores: Numbers, answers: Answers) -> float:
    """The best cut as far as many answers say so, and else half of its F1, see the module."""
    yes = int(answers.sum())
    rarer = min(yes, len(answers) - yes)
    if rarer == 0:
        return 0.5  # one kind of answer tells nothing about where to cut
    cuts, tp, said = cuts_of(scores, answers)
    f1 = 2 * tp / (said + yes)
    best = int(np.argmax(f1))
    trust = rarer / (rarer + _HALF_TRUSTED)
    return float(trust * cuts[best] + (1 - trust) * f1[best] / 2)


def _reaching(scores: Numbers, answers: Answers, wish: ThresholdWish) -> float | None:
    """The lowest cut of a wished precision, the highest of a wished recall; None without one."""
    cuts, tp, said = cuts_of(scores, answers)
    if wish.precision is not None:
        found = np.flatnonzero((tp / said >= wish.precision) & (said >= _LEAST_SAID))[::-1]
    else:
        yes = int(answers.sum())
        # At the lowest cut of all, 0, a score of 0 is still no yes.
        real = cuts < np.unique(scores)[::-1]
        found = np.flatnonzero((tp >= (wish.recall or 1.0) * yes) & real & (yes > 0))
    return float(cuts[found[0]]) if len(found) else None


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
