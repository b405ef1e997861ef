"""Improved precision and recall: how many samples look real, how many reals can be sampled.

Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, 2019
(1904.06991), eq. 1 and 2.
"""

import numpy as np
from pydantic import Field

from ganime.metrics import METRICS, Features, Metric, Sets, Value, at_least
from ganime.metrics.neighbours import ball_counts, kth_distances


@METRICS.register("precision_recall")
class PrecisionRecall(Metric):
    """Shares of one set that lie in a ball around an image of the other."""

    k: int = Field(3, ge=1, description="A ball reaches to the k-th nearest of its own set.")

    def measure(self, sets: Sets) -> list[Value]:
        """Two values in 0-1, `precision` and `recall`."""
        at_least(min(len(sets.real), len(sets.fake)), self.k + 1, "precision_recall")
        details = {"k": self.k}
        return [
            Value("precision", share_covered(sets.fake, sets.real, self.k), details=details),
            Value("recall", share_covered(sets.real, sets.fake, self.k), details=details),
        ]


def share_covered(points: Features, centres: Features, k: int) -> float:
    """Share of the points that lie in the ball of any centre.

    Args:
        points: [M, D].
        centres: [N, D].
        k: A ball reaches to the k-th nearest other centre.
    """
    balls_of_points, _ = ball_counts(centres, kth_distances(centres, k), points)
    return float(np.mean(balls_of_points > 0))
