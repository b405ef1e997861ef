"""How two sets of samples differ by a metric, and how sure that is.

How far a difference is off is told by half-samples (Shao and Wu, A General Theory for Jackknife
Variance Estimation, 1989): a statistic of a random half, drawn without repetition, varies by as
much as that of the whole would from one whole to another. A bootstrap would repeat images, and
repeated ones are their own neighbours and alike under every kernel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganime.metrics import Metric, Sets, at_least
from ganime.metrics.extractors import Extractor
from ganime.metrics.frechet_infinity import FrechetInfinity
from ganime.metrics.kid import Kid
from ganime.metrics.measurement import measure

_WIDTH = 1.96  # standard deviations that hold 95 % of a normal distribution
_SUBSETS = 20  # of KID in a half-sample: its noise is then far below that of the samples


@dataclass(frozen=True, slots=True)
class Gap:
    """What one number says of the two.

    Attributes:
        name: The metric's name, or the tag.
        first: Its value for the first.
        second: Its value for the second.
        better: `lower` or `higher`.
        half: Half of the 95 % interval of second - first.
        verdict: The same in words.
    """

    name: str
    first: float
    second: float
    better: str
    half: float
    verdict: str


def metric_gaps(
    metric: Metric,
    sets: Sequence[Sets],
    extractor: Extractor,
    reference: str,
    resamples: int,
    *,
    paired: bool,
) -> list[Gap]:
    """What a metric says of two sets of samples, with an interval of the difference.

    Args:
        metric: With its options.
        sets: Of A and of B, with the same reals and as many samples.
        extractor: What the features were taken with.
        reference: name/version of the reals.
        resamples: Half-samples.
        paired: Whether sample i of A and of B had the same latent: halves then take the same.

    Raises:
        ConfigError: half of an image set is too small for the metric.
    """
    first, second = (measure([metric], one, extractor, reference) for one in sets)
    spread = _differences_of_halves(_quick(metric), sets, resamples, paired=paired).std(0, ddof=1)
    return [
        _gap(one.metric, one.value, other.value, one.better, _WIDTH * float(deviation))
        for one, other, deviation in zip(first, second, spread, strict=True)
    ]


def _differences_of_halves(
    metric: Metric, sets: Sequence[Sets], resamples: int, *, paired: bool
) -> npt.NDArray[np.float64]:
    """B - A of each value of a metric, on random halves of reals and samples [resamples, V]."""
    first, second = sets
    rng = np.random.default_rng(first.seed)
    at_least(min(len(first.real), len(first.fake)), 4, f"a comparison by {metric.component}")
    found: list[npt.NDArray[np.float64]] = []
    for _ in range(resamples):
        real = first.real[_half(rng, len(first.real))]
        one = _half(rng, len(first.fake))
        other = one if paired else _half(rng, len(second.fake))
        halves = (first.fake[one], second.fake[other])
        values = [
            [
                value.value
                for value in metric.measure(Sets(real, half, None, first.head, first.seed))
            ]
            for half in halves
        ]
        found.append(np.subtract(values[1], values[0]))
    return np.array(found)


def _half(rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    return rng.permutation(count)[: count // 2]


def _quick(metric: Metric) -> Metric:
    """The metric without its own interval, which nobody reads of a half-sample."""
    if isinstance(metric, FrechetInfinity):
        return metric.model_copy(update={"bootstraps": 0})
    if isinstance(metric, Kid):
        return metric.model_copy(update={"subsets": min(metric.subsets, _SUBSETS)})
    return metric


def coverage_gap(tag: str, first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Gap:
    """The shares of the same reals that A and B cover.

    The interval is that of other reals, the samples being as they are.

    Args:
        tag: What these reals show.
        first: Which of them A covers [N], N at least 2.
        second: Which of them B covers [N].
    """
    gaps = second.astype(float) - first.astype(float)
    half = _WIDTH * float(gaps.std(ddof=1)) / float(np.sqrt(len(gaps)))
    return _gap(tag, float(first.mean()), float(second.mean()), "higher", half)


def _gap(name: str, first: float, second: float, better: str, half: float) -> Gap:
    return Gap(name, first, second, better, half, verdict(first, second, better, half))


def verdict(first: float, second: float, better: str, half: float) -> str:
    """Which of the two is better, in words, or that nothing shows it.

    Args:
        first: A's value.
        second: B's value.
        better: `lower` or `higher`.
        half: Half of the 95 % interval of the difference.
    """
    gap = second - first
    if not abs(gap) > half:
        return f"no difference shown (B - A is {gap:.3g} ± {half:.2g}, 95 %)"
    winner = "B" if (gap < 0) == (better == "lower") else "A"
    return f"{winner} better by {abs(gap):.3g} ± {half:.2g} (95 %)"
