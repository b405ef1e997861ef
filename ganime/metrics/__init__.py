"""How far generated images are from real ones: one metric a file, each a function of features."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError
from ganime.registry import Component, Registry

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sets:
    """What metrics compare: features of real and of generated images, by one extractor.

    Attributes:
        real: Of the images that the generator was trained on [N, D].
        fake: Of its samples [M, D].
        held_out: Of real images that it was not trained on [H, D]; None where there are none.
        head: Weights of the extractor's classes [D, K]; features times these are logits. None where
            it has no classes.
        seed: Of every random choice.

    Raises:
        ConfigError: fewer than two images, lengths that differ, or a feature that is not finite.
    """

    real: Features
    fake: Features
    held_out: Features | None = None
    head: Features | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("real", "fake", "held_out"):
            given = getattr(self, name)
            if given is None:
                continue
            if given.ndim != 2 or len(given) < 2 or given.shape[1] != self.real.shape[1]:
                raise ConfigError(
                    f"{name} features are {list(given.shape)}, wanted at least 2 rows of as many "
                    f"columns as the real ones have, {list(self.real.shape)}"
                )
            if not np.isfinite(given).all():
                raise ConfigError(
                    f"a {name} feature is not finite: the extractor's weights do not fit its input"
                )


@dataclass(frozen=True)
class Value:
    """One number.

    Attributes:
        base: Name without the extractor's, for example `kid`.
        value: The number.
        low: Lower end of its 95 % interval; None where it has none.
        high: Upper end.
        details: What else was found, fit for JSON.
    """

    base: str
    value: float
    low: float | None = None
    high: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Metric(Component):
    """Base of all metrics: a pure function of features."""

    def measure(self, sets: Sets) -> list[Value]:
        """Measure; the same sets give the same numbers.

        Raises:
            ConfigError: the sets are too small for it, or lack what it needs.
        """
        raise NotImplementedError


METRICS: Registry[Metric] = Registry(Metric, "ganime.metrics")


def at_least(count: int, wanted: int, what: str) -> None:
    """Refuse sets that are too small.

    Raises:
        ConfigError: `count` is below `wanted`.
    """
    if count < wanted:
        raise ConfigError(f"{what} needs at least {wanted} images of each kind, got {count}")
