import numpy as np
import pytest

from ganime.metrics import neighbours
from ganime.metrics.neighbours import ball_counts, kth_distances, mean_distance, nearest


def made(count: int, seed: int, dim: int = 7) -> np.ndarray:
    # Far from the origin, where |a|² + |b|² - 2ab cancels.
    return (np.random.default_rng(seed).normal(size=(count, dim)) + 100).astype(np.float32)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(((one.astype(np.float64) - other) ** 2).sum()))


ONE, OTHER = made(40, 0), made(23, 1)


@pytest.fixture(autouse=True, params=[10**9, 100], ids=["at once", "in chunks"])
def _chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_DISTANCES", request.param)


@pytest.mark.parametrize("k", [1, 3, 39])
def test_the_kth_nearest_other_is_the_naive_loops(k: int) -> None:
    naive = [sorted(apart(a, b) for j, b in enumerate(ONE) if j != i) for i, a in enumerate(ONE)]

    np.testing.assert_allclose(kth_distances(ONE, k), [row[k - 1] for row in naive], rtol=1e-9)


def test_the_nearest_is_the_naive_loops() -> None:
    naive = np.array([[apart(a, b) for b in OTHER] for a in ONE])

    distances, indices = nearest(ONE, OTHER)

    np.testing.assert_array_equal(indices, naive.argmin(axis=1))
    np.testing.assert_allclose(distances, naive.min(axis=1), rtol=1e-12)


def test_a_copy_is_at_distance_zero_exactly() -> None:
    distances, indices = nearest(ONE[[5, 3]], ONE)

    assert distances.tolist() == [0, 0]
    assert indices.tolist() == [5, 3]


def test_an_image_is_not_its_own_neighbour() -> None:
    distances, indices = nearest(ONE, ONE, same=True)

    assert not (indices == np.arange(len(ONE))).any()
    np.testing.assert_allclose(distances, kth_distances(ONE, 1), rtol=1e-9)


def test_balls_are_counted_both_ways_as_by_naive_loops() -> None:
    radii = kth_distances(ONE, 4)
    naive = np.array(
        [[apart(a, b) < radius for a, radius in zip(ONE, radii, strict=True)] for b in OTHER]
    )

    of_points, of_balls = ball_counts(ONE, radii, OTHER)

    np.testing.assert_array_equal(of_points, naive.sum(axis=1))
    np.testing.assert_array_equal(of_balls, naive.sum(axis=0))


def test_what_lies_on_a_border_is_outside() -> None:
    # Each ball of a set on itself holds its centre and the k - 1 nearest, whatever is rounded.
    of_points, of_balls = ball_counts(ONE, kth_distances(ONE, 4), ONE)

    assert of_balls.tolist() == [4] * len(ONE)
    assert of_points.sum() == 4 * len(ONE)


def test_the_mean_distance_is_the_naive_loops() -> None:
    naive = [apart(a, b) for i, a in enumerate(ONE) for j, b in enumerate(ONE) if i != j]

    assert mean_distance(ONE) == pytest.approx(np.mean(naive), rel=1e-9)
