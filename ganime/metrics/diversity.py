"""How different samples are from each other: it falls when a generator repeats itself."""

import numpy as np
from pydantic import Field

from ganime.metrics import METRICS, Features, Metric, Sets, Value
from ganime.metrics.neighbours import mean_distance


@METRICS.register("diversity")
class Diversity(Metric):
    """Mean distance of all pairs of samples."""

    most: int = Field(
        10_000, ge=2, description="A random choice of more images than this stands for them."
    )

    def measure(self, sets: Sets) -> list[Value]:
        """`diversity`, in the features' unit; what the reals have stands in its details."""
        details = {"real": mean_distance(self._chosen(sets.real, sets.seed))}
        return [
            Value(
                "diversity", mean_distance(self._chosen(sets.fake, sets.seed)), None, None, details
            )
        ]

    def _chosen(self, features: Features, seed: int) -> Features:
        if len(features) <= self.most:
            return features
        rng = np.random.default_rng(seed)
        return features[np.sort(rng.choice(len(features), self.most, replace=False))]
