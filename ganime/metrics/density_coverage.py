"""Density and coverage: precision and recall that single outliers do not decide.

Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020 (2002.09797),
section 3.
"""

import numpy as np
from pydantic import Field

from ganime.metrics import METRICS, Metric, Sets, Value, at_least
from ganime.metrics.neighbours import ball_counts, kth_distances


@METRICS.register("density_coverage")
class DensityCoverage(Metric):
    """How many balls of reals a sample lies in, and how many of them hold a sample."""

    k: int = Field(5, ge=1, description="A ball reaches to the k-th nearest other real.")

    def measure(self, sets: Sets) -> list[Value]:
        """`density`, 1 where samples are as dense as reals, and `coverage` in 0-1."""
        at_least(min(len(sets.real), len(sets.fake)), self.k + 1, "density_coverage")
        radii = kth_distances(sets.real, self.k)
        balls_of_fakes, fakes_in_balls = ball_counts(sets.real, radii, sets.fake)
        details = {"k": self.k}
        return [
            Value("density", float(np.mean(balls_of_fakes)) / self.k, details=details),
            Value("coverage", float(np.mean(fakes_in_balls > 0)), details=details),
        ]
