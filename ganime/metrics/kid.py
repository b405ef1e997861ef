"""Kernel Inception Distance: unbiased at any number of images, and with an interval.

Bińkowski et al., Demystifying MMD GANs, 2018 (1801.01401), section 4.
"""

import math

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ganime.metrics import METRICS, Metric, Sets, Value, at_least


@METRICS.register("kid")
class Kid(Metric):
    """Squared maximum mean discrepancy of a cubic kernel, averaged over random subsets."""

    subsets: int = Field(100, ge=2, description="Random subsets to average over.")
    subset_size: int = Field(
        1000,
        ge=2,
        description="Images of each kind in one; at most half of them, else the subsets are too "
        "alike to tell how far the value is off.",
    )

    def measure(self, sets: Sets) -> list[Value]:
        """One value, `kid`; below zero is as good as zero.

        The interval is that of subsampling: the variance of subsets of m out of n images is that of
        n images times n / m, less what the subsets have in common.
        """
        total = min(len(sets.real), len(sets.fake))
        at_least(total, 4, "kid")
        size = min(self.subset_size, total // 2)
        values = kid_of_subsets(
            sets.real, sets.fake, subsets=self.subsets, subset_size=size, seed=sets.seed
        )
        mean, deviation = float(values.mean()), float(values.std(ddof=1))
        half = 1.96 * deviation * math.sqrt(size / (total - size))
        details = {"subsets": self.subsets, "subset_size": size, "subset_deviation": deviation}
        return [Value("kid", mean, mean - half, mean + half, details)]


def kid_of_subsets(
    real: npt.NDArray[np.floating],
    fake: npt.NDArray[np.floating],
    *,
    subsets: int,
    subset_size: int,
    seed: int,
) -> npt.NDArray[np.float64]:
    """The unbiased estimate on random subsets, drawn without repetition [subsets].

    Args:
        real: [N, D].
        fake: [M, D].
        subsets: How many.
        subset_size: Images of each kind in one, at most N and M.
        seed: Of the subsets.
    """
    rng = np.random.default_rng(seed)
    found = np.empty(subsets)
    for index in range(subsets):
        chosen = rng.choice(len(real), subset_size, replace=False)
        others = rng.choice(len(fake), subset_size, replace=False)
        found[index] = squared_mmd(real[chosen], fake[others])
    return found


def squared_mmd(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
    """Unbiased estimate of the squared MMD under (x·y / D + 1)³, sets of any two sizes.

    Args:
        one: [N, D].
        other: [M, D].
    """
    n, m = len(one), len(other)
    within = _sum_of_others(one) / (n * (n - 1)) + _sum_of_others(other) / (m * (m - 1))
    return within - 2 * float(_kernel(one, other).mean())


def _kernel(
    one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    base = (one @ other.T).astype(np.float64) / one.shape[1] + 1
    cube: npt.NDArray[np.float64] = base * base * base
    return cube


def _sum_of_others(features: npt.NDArray[np.floating]) -> float:
    kernel = _kernel(features, features)
    return float(kernel.sum() - np.trace(kernel))
