import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Sets, frechet
from ganime.metrics.frechet import frechet_distance, statistics


def covariance(dim: int, seed: int, rank: int | None = None) -> np.ndarray:
    factor = np.random.default_rng(seed).normal(size=(dim, rank or 2 * dim))
    return factor @ factor.T / factor.shape[1]


def test_equal_gaussians_are_at_distance_zero() -> None:
    sigma = covariance(20, 0)

    assert frechet_distance(np.ones(20), sigma, np.ones(20), sigma) == pytest.approx(0, abs=1e-9)


def test_moved_gaussians_are_apart_by_the_square_of_the_move() -> None:
    sigma = covariance(8, 1)

    assert frechet_distance(np.zeros(8), sigma, np.full(8, 0.5), sigma) == pytest.approx(2.0)


def test_diagonal_covariances_have_a_closed_form() -> None:
    # (1 - 2)² + (3 - 1)² + (0 - 4)² for the deviations
    one, two = np.diag([1.0, 9.0, 0.0]), np.diag([4.0, 1.0, 16.0])

    assert frechet_distance(np.zeros(3), one, np.zeros(3), two) == pytest.approx(1 + 4 + 16)


def test_one_dimension_has_a_closed_form() -> None:
    found = frechet_distance(
        np.array([1.0]), np.array([[4.0]]), np.array([3.0]), np.array([[0.25]])
    )

    assert found == pytest.approx((1 - 3) ** 2 + (2 - 0.5) ** 2)


def test_rotated_commuting_covariances_have_a_closed_form() -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    a, b = np.arange(1.0, 7), np.arange(6.0, 0, -1) / 3
    one, two = (rotation @ np.diag(x**2) @ rotation.T for x in (a, b))

    found = frechet_distance(np.zeros(6), one, np.zeros(6), two)

    assert found == pytest.approx(((a - b) ** 2).sum())


def test_the_order_does_not_matter() -> None:
    one, two = covariance(12, 3), covariance(12, 4)

    forth = frechet_distance(np.zeros(12), one, np.ones(12), two)
    back = frechet_distance(np.ones(12), two, np.zeros(12), one)

    assert forth == pytest.approx(back, rel=1e-9)


def test_singular_covariances_are_no_special_case() -> None:
    # Without a common direction the trace of the root vanishes.
    one, two = np.diag([2.0, 3.0, 0, 0]), np.diag([0, 0, 5.0, 1.0])

    assert frechet_distance(np.zeros(4), one, np.zeros(4), two) == pytest.approx(11.0)


def test_a_general_matrix_root_gives_the_same() -> None:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy is not installed")
    one, two = covariance(40, 5), covariance(40, 6)
    root = linalg.sqrtm(one @ two).real

    found = frechet_distance(np.zeros(40), one, np.ones(40), two)

    assert found == pytest.approx(40 + np.trace(one + two - 2 * root), rel=1e-8)


def test_eigenvalues_of_the_product_give_the_same() -> None:
    one, two = covariance(40, 5), covariance(40, 6, rank=25)
    eigenvalues = np.linalg.eigvals(one @ two).real.clip(0)

    found = frechet_distance(np.zeros(40), one, np.zeros(40), two)

    expected = np.trace(one) + np.trace(two) - 2 * np.sqrt(eigenvalues).sum()
    assert found == pytest.approx(expected, rel=1e-6)


def test_statistics_are_exact_for_large_offsets() -> None:
    features = np.array([[1, 0], [3, 0], [5, 6]], np.float32) + np.float32(4096)

    mu, sigma = statistics(features)

    np.testing.assert_allclose(mu, [4099, 4098])
    np.testing.assert_allclose(sigma, [[4, 6], [6, 12]])
    assert sigma.dtype == np.float64


def test_one_feature_is_a_matrix_too() -> None:
    assert statistics(np.array([[1.0], [3.0]]))[1].shape == (1, 1)


@pytest.mark.parametrize(
    ("features", "words"),
    [(np.zeros((1, 4)), "at least 2"), (np.array([[0.0], [np.nan]]), "not finite")],
)
def test_what_has_no_statistics_is_refused(features: np.ndarray, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        statistics(features)


def test_statistics_in_chunks_are_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frechet, "_CHUNK", 7)
    features = np.random.default_rng(7).normal(size=(50, 6)).astype(np.float32)

    mu, sigma = statistics(features)

    np.testing.assert_allclose(mu, features.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(sigma, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-9)


@pytest.mark.parametrize("ranks", [(None, None), (None, 5), (5, None), (5, 5)])
def test_any_mixture_of_full_and_low_rank_gives_the_same(ranks: tuple[int | None, ...]) -> None:
    one, two = (covariance(30, seed, rank) for seed, rank in zip((8, 9), ranks, strict=True))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    expected = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(0)).sum()

    assert frechet.trace_of_root(one, two) == pytest.approx(expected, rel=1e-6)


def test_as_a_metric_it_says_when_there_are_fewer_images_than_features() -> None:
    features = np.random.default_rng(10).normal(size=(20, 20)).astype(np.float32)

    small = METRICS.build("fd").measure(Sets(features, features))[0]
    large = METRICS.build("fd").measure(Sets(features[:, :4], features[:, :4]))[0]

    assert small.value == pytest.approx(0, abs=1e-5)
    assert small.details["singular"]
    assert not large.details["singular"]
