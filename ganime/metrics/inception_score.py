"""The Inception score: confident classes, and many of them.

Salimans et al., Improved Techniques for Training GANs, 2016 (1606.03498), section 4. It never looks
at the real images, and drawn characters are hardly among Inception's classes: it is here for
comparison with old papers.
"""

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Metric, Sets, Value, at_least


@METRICS.register("inception_score")
class InceptionScore(Metric):
    """exp E KL(p(y|x) || p(y)), averaged over equal parts of the samples."""

    splits: int = Field(10, ge=1, description="Parts; the papers' number is 10.")

    def measure(self, sets: Sets) -> list[Value]:
        """One value, `inception_score`, from 1 to the number of classes."""
        if sets.head is None:
            raise ConfigError(
                "inception_score needs an extractor with classes, which this one has not: take "
                "the inception extractor, or leave the metric out"
            )
        at_least(len(sets.fake), 2 * self.splits, "inception_score")
        scores = inception_scores(sets.fake @ sets.head, self.splits)
        mean = float(scores.mean())
        if self.splits == 1:
            return [Value("inception_score", mean)]
        deviation = float(scores.std(ddof=1))
        half = 1.96 * deviation / np.sqrt(self.splits)
        # The papers quote the deviation of the parts, as numpy takes it.
        details = {"splits": self.splits, "deviation": float(scores.std())}
        return [Value("inception_score", mean, mean - half, mean + half, details)]


def inception_scores(logits: npt.NDArray[np.floating], splits: int) -> npt.NDArray[np.float64]:
    """The score of each part [splits].

    Args:
        logits: Of the samples, in any order [M, K].
        splits: Parts of nearly equal size.
    """
    return np.array([_score(part) for part in np.array_split(logits, splits)])


def _score(logits: npt.NDArray[np.floating]) -> float:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    chances = np.exp(logs)
    marginal = np.maximum(chances.mean(axis=0), np.finfo(np.float64).tiny)
    return float(np.exp((chances * (logs - np.log(marginal))).sum(axis=1).mean()))
