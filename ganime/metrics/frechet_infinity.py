"""The Fréchet distance as of infinitely many images.

Chong and Forsyth, Effectively Unbiased FID and Inception Score and where to find them, 2020
(1911.07023): the distance is nearly linear in 1 / N, so a line through several N gives
it at 1 / N = 0.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from ganime.metrics import METRICS, Features, Metric, Sets, Value, at_least
from ganime.metrics.frechet import frechet_distance, statistics

_LEAST = 10  # images in the smallest part: they still have a covariance


@METRICS.register("fd_infinity")
class FrechetInfinity(Metric):
    """The intercept of a line, with an interval by resampling the images.

    The line is straight for many more images than features alone; with fewer the value is a better
    guess than the plain distance, and no more (`singular` in the details).
    """

    parts: int = Field(
        4, ge=2, description="The line goes through the whole, halves, thirds, up to as many parts."
    )
    reals: Literal["sampled", "fixed"] = Field(
        "sampled",
        description="sampled takes fewer reals too, so that two halves of one set are at 0; fixed "
        "is the paper's, for reals that are the whole of what is to be learned.",
    )
    bootstraps: int = Field(20, ge=0, description="Resampled sets; 0 leaves the interval out.")

    def measure(self, sets: Sets) -> list[Value]:
        """One value, `fd_infinity`; it can lie below zero.

        Resampling repeats images, which raises the distance as a smaller set would. So a resampled
        value is held against the plain distance, which is the truth where resamples are drawn from,
        and the interval is moved by their difference (Efron's basic bootstrap, with a normal's
        width, as a few resamples have no tails).
        """
        total = min(len(sets.real), len(sets.fake))
        at_least(total, _LEAST * self.parts, "fd_infinity")
        rng = np.random.default_rng(sets.seed)
        value, slope = self._extrapolate(sets.real, sets.fake, rng)
        details = {"slope": slope, "singular": total // self.parts <= sets.real.shape[1]}
        if self.bootstraps < 2:
            return [Value("fd_infinity", value, details=details)]
        plain = frechet_distance(*statistics(sets.real), *statistics(sets.fake))
        errors = np.array([found - plain for found in self._resampled(sets, rng)])
        middle, half = value - errors.mean(), 1.96 * errors.std(ddof=1)
        return [Value("fd_infinity", value, middle - half, middle + half, details)]

    def _resampled(self, sets: Sets, rng: np.random.Generator) -> Iterator[float]:
        for _ in range(self.bootstraps):
            real = sets.real
            if self.reals == "sampled":
                real = real[rng.integers(len(real), size=len(real))]
            fake = sets.fake[rng.integers(len(sets.fake), size=len(sets.fake))]
            yield self._extrapolate(real, fake, rng)[0]

    def _extrapolate(
        self, real: Features, fake: Features, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Intercept of the line, and its slope per part.

        At N / m images it takes the mean over all m parts of one random division. What single
        images add to a distance is then the same in every m, and only the bias is left to differ:
        of Gaussians, the paper's random subsets give at equal cost an intercept that is a quarter
        to two thirds noisier.
        """
        counts = range(1, self.parts + 1)
        reals, fakes = (features[rng.permutation(len(features))] for features in (real, fake))
        distances = [self._mean_distance(reals, fakes, count) for count in counts]
        slope, intercept = np.polyfit(counts, distances, 1)
        return float(intercept), float(slope)

    def _mean_distance(self, real: Features, fake: Features, count: int) -> float:
        """Mean distance of `count` parts of the one to as many of the other."""
        theirs = [real] if self.reals == "fixed" else np.array_split(real, count)
        known = [statistics(part) for part in theirs]
        found = [
            frechet_distance(*known[index % len(known)], *statistics(part))
            for index, part in enumerate(np.array_split(fake, count))
        ]
        return float(np.mean(found))
