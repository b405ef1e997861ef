import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Sets
from ganime.metrics.kid import kid_of_subsets, squared_mmd


def made(count: int, seed: int, shift: float = 0.0, dim: int = 8) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, dim)) + shift).astype(np.float32)


def naive(one: np.ndarray, other: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x.astype(np.float64) @ y / len(x) + 1) ** 3)

    n, m = len(one), len(other)
    first = sum(kernel(one[i], one[j]) for i in range(n) for j in range(n) if i != j)
    second = sum(kernel(other[i], other[j]) for i in range(m) for j in range(m) if i != j)
    between = sum(kernel(x, y) for x in one for y in other)
    return first / (n * (n - 1)) + second / (m * (m - 1)) - 2 * between / (n * m)


@pytest.mark.parametrize(("n", "m"), [(12, 12), (9, 14)])
def test_the_estimate_is_the_naive_loops(n: int, m: int) -> None:
    one, other = made(n, 0), made(m, 1, shift=0.5)

    assert squared_mmd(one, other) == pytest.approx(naive(one, other), rel=1e-5)


def test_two_points_can_be_worked_out_by_hand() -> None:
    # In one dimension: k(0, 0) = 1, k(1, 1) = 8, k(0, 1) = 1.
    one, other = np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32)

    assert squared_mmd(one, other) == pytest.approx(1 + 8 - 2 * 1)


def test_subsets_are_drawn_without_repetition_and_by_the_seed() -> None:
    one, other = made(30, 2), made(40, 3)

    whole = kid_of_subsets(one, other[:30], subsets=3, subset_size=30, seed=0)
    again = [kid_of_subsets(one, other, subsets=3, subset_size=10, seed=s) for s in (1, 1, 2)]

    np.testing.assert_allclose(whole, squared_mmd(one, other[:30]), rtol=1e-5)
    np.testing.assert_array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])


def test_it_is_unbiased_where_the_frechet_distance_is_not() -> None:
    values = [squared_mmd(made(20, s), made(20, s + 1000)) for s in range(400)]

    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    truth = squared_mmd(made(4000, 1), made(4000, 2, shift=0.3))
    kid = METRICS.build("kid")

    found = [
        kid.measure(Sets(made(200, s + 10), made(200, s + 500, shift=0.3), seed=s))[0]
        for s in range(40)
    ]

    covered = sum(value.low < truth < value.high for value in found)
    assert 35 <= covered <= 40


def test_halves_of_one_set_are_at_zero_within_the_interval() -> None:
    value = METRICS.build("kid").measure(Sets(made(500, 4), made(500, 5)))[0]

    assert value.low < 0 < value.high
    assert value.details["subset_size"] == 250


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="kid needs at least 4 images of each kind, got 3"):
        METRICS.build("kid").measure(Sets(made(3, 0), made(9, 1)))
