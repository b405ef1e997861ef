import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Sets, Value
from ganime.metrics.frechet import frechet_distance, statistics


def made(count: int, seed: int, shift: float = 0.0, dim: int = 16) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, dim)) + shift).astype(np.float32)


def measured(real: np.ndarray, fake: np.ndarray, seed: int = 0, **options: object) -> Value:
    return METRICS.build({"name": "fd_infinity", **options}).measure(Sets(real, fake, seed=seed))[0]


def test_halves_of_one_set_are_at_zero_within_the_interval() -> None:
    real, fake = made(800, 0), made(800, 1)
    plain = frechet_distance(*statistics(real), *statistics(fake))

    value = measured(real, fake)

    assert value.low < 0 < value.high
    assert abs(value.value) < plain / 3


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_it_has_no_bias_and_its_interval_covers_the_truth(shift: float) -> None:
    truth = 16 * shift**2
    found = [measured(made(600, s), made(600, s + 99, shift), s) for s in range(24)]

    values = np.array([value.value for value in found])
    assert abs(values.mean() - truth) < 3.5 * values.std() / np.sqrt(len(values)) + 0.01
    assert sum(value.low < truth < value.high for value in found) >= 20


def test_fixed_reals_keep_their_own_bias_and_more_of_them_have_less() -> None:
    fake = made(2000, 2)

    few, many = (measured(made(n, 3), fake, reals="fixed", bootstraps=0) for n in (200, 4000))

    assert few.value > many.value > -0.05
    assert few.low is None


def test_fewer_images_than_features_are_said_to_be_so() -> None:
    assert measured(made(60, 4), made(60, 5), bootstraps=0).details["singular"]
    assert not measured(made(100, 4), made(100, 5), bootstraps=0).details["singular"]


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="fd_infinity needs at least 40 images"):
        measured(made(39, 6), made(100, 7))
