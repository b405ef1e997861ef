"""The Fréchet distance between two sets of features.

Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium,
2017 (1706.08500), eq. 6: the squared Wasserstein-2 distance of two Gaussians.
"""

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Metric, Sets, Value

Numbers = npt.NDArray[np.float64]
_CHUNK = 4096  # rows in float64 at a time: 64 MB of 2048 features


@METRICS.register("fd")
class Frechet(Metric):
    """FID with the published Inception, else the same distance in other features."""

    def measure(self, sets: Sets) -> list[Value]:
        """One value, `fd`; it falls with the number of images, so only equal counts compare."""
        value = frechet_distance(*statistics(sets.real), *statistics(sets.fake))
        smaller = min(len(sets.real), len(sets.fake))
        return [Value("fd", value, details={"singular": smaller <= sets.real.shape[1]})]


def statistics(features: npt.NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """Mean and unbiased covariance, in float64.

    Args:
        features: [N, D], N at least 2.

    Returns:
        mu [D], sigma [D, D].

    Raises:
        ConfigError: fewer than two images, or a feature that is not finite.
    """
    if len(features) < 2:
        raise ConfigError(f"a covariance needs at least 2 images, got {len(features)}")
    mu = features.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mu).all():
        raise ConfigError("a feature is not finite: the extractor's weights do not fit its input")
    sigma = np.zeros((len(mu), len(mu)))
    for start in range(0, len(features), _CHUNK):
        centred = features[start : start + _CHUNK] - mu
        sigma += centred.T @ centred
    return mu, sigma / (len(features) - 1)


def frechet_distance(mu1: Numbers, sigma1: Numbers, mu2: Numbers, sigma2: Numbers) -> float:
    """|mu1 - mu2|² + tr(sigma1 + sigma2 - 2 (sigma1 sigma2)^½).

    Args:
        mu1: [D].
        sigma1: [D, D], symmetric, positive semi-definite.
        mu2: [D].
        sigma2: [D, D].
    """
    gap = mu1 - mu2
    distance = gap @ gap + np.trace(sigma1) + np.trace(sigma2) - 2 * trace_of_root(sigma1, sigma2)
    return max(float(distance), 0.0)  # rounding can leave equal sets just below zero


def trace_of_root(sigma1: Numbers, sigma2: Numbers) -> float:
    """tr (sigma1 sigma2)^½, without a root of a general matrix.

    With sigma1 = L L' the product has the eigenvalues of the symmetric L' sigma2 L, and the trace
    is the sum of their square roots. L is Cholesky's where either matrix is positive definite, else
    the symmetric root, so that covariances of fewer images than dimensions are no special case.
    """
    factor, other = _factor(sigma1, sigma2)
    product = factor.T @ other @ factor
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    return float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())


def _factor(sigma1: Numbers, sigma2: Numbers) -> tuple[Numbers, Numbers]:
    """L with L L' = one of the two, and the other one; both orders have the same eigenvalues."""
    for one, other in ((sigma1, sigma2), (sigma2, sigma1)):
        try:
            lower = np.linalg.cholesky(one).astype(np.float64, copy=False)
        except np.linalg.LinAlgError:
            continue
        return lower, other
    values, vectors = np.linalg.eigh(sigma1)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T, sigma2
