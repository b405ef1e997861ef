"""Numbers with all that decides whether two of them may be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ganime.metrics import Metric, Sets
from ganime.metrics.extractors import Extractor, metric_name

_LIBRARIES = ("ganime", "torch", "torchvision", "numpy")  # what features and sums are made by
_HIGHER_IS_BETTER = frozenset(  # of all others less is better
    ("precision", "recall", "density", "coverage", "diversity", "inception_score")
)


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        metric: Its name, with the extractor's unless that is the published Inception.
        value: The number.
        low: Lower end of its 95 % interval; None where it has none.
        high: Upper end.
        better: `lower` or `higher`.
        extractor: Network that gave the features.
        weights: SHA-256 of its weights, first 12 hex digits.
        resize: How images were brought to its input size.
        num_real: Real images.
        num_fake: Generated images.
        reference: Dataset name/version of the real images.
        seed: Of all random choices.
        settings: The metric's options, as JSON.
        versions: Of the libraries that took part.
        details: What else was found, fit for JSON.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    better: str
    extractor: str
    weights: str
    resize: str
    num_real: int
    num_fake: int
    reference: str
    seed: int
    settings: str
    versions: Mapping[str, str]
    details: Mapping[str, Any]


def measure(
    metrics: Sequence[Metric], sets: Sets, extractor: Extractor, reference: str
) -> list[Measurement]:
    """Each metric's values, in order.

    Args:
        metrics: See `ganime.metrics.METRICS`.
        sets: Features by this extractor.
        extractor: What the features were taken with.
        reference: Dataset name/version of the real images.

    Raises:
        ConfigError: the sets are too small for a metric, or lack what it needs.
    """
    versions = {name: version(name) for name in _LIBRARIES}
    return [
        Measurement(
            metric=metric_name(value.base, extractor),
            value=value.value,
            low=value.low,
            high=value.high,
            better="higher" if value.base in _HIGHER_IS_BETTER else "lower",
            extractor=extractor.name,
            weights=extractor.weights_digest,
            resize=extractor.resize,
            num_real=len(sets.real),
            num_fake=len(sets.fake),
            reference=reference,
            seed=sets.seed,
            settings=metric.canonical(),
            versions=versions,
            details=value.details,
        )
        for metric in metrics
        for value in metric.measure(sets)
    ]
