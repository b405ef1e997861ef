"""The Fréchet distance between two sets of features.

Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium,
2017 (1706.08500), eq. 6: the squared Wasserstein-2 distance of two Gaussians.
"""

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError

Numbers = npt.NDArray[np.float64]


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
    exact = features.astype(np.float64)
    if not np.isfinite(exact).all():
        raise ConfigError("a feature is not finite: the extractor's weights do not fit its input")
    return exact.mean(axis=0), np.cov(exact, rowvar=False).reshape(exact.shape[1], -1)


def frechet_distance(mu1: Numbers, sigma1: Numbers, mu2: Numbers, sigma2: Numbers) -> float:
    """|mu1 - mu2|² + tr(sigma1 + sigma2 - 2 (sigma1 sigma2)^½).

    The trace of the root equals the sum of the square roots of the eigenvalues of
    sigma1^½ sigma2 sigma1^½, which is symmetric: no root of a general matrix is needed, and
    covariances of fewer images than dimensions are no special case.

    Args:
        mu1: [D].
        sigma1: [D, D], symmetric, positive semi-definite.
        mu2: [D].
        sigma2: [D, D].
    """
    values, vectors = np.linalg.eigh(sigma1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = root @ sigma2 @ root
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    trace_of_root = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    gap = mu1 - mu2
    distance = gap @ gap + np.trace(sigma1) + np.trace(sigma2) - 2 * trace_of_root
    return max(float(distance), 0.0)  # rounding can leave equal sets just below zero
