import numpy as np
import pytest

from ganime.metrics import METRICS, Sets, Value


def made(count: int, seed: int, dim: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


REAL, HELD_OUT = made(600, 0), made(300, 1)


def measured(fake: np.ndarray, held_out: np.ndarray | None = HELD_OUT, **options: int) -> Value:
    metric = METRICS.build({"name": "memorisation", **options})
    return metric.measure(Sets(REAL, fake, held_out))[0]


@pytest.mark.parametrize("held_out", [HELD_OUT, None], ids=["held-out", "leave-one-out"])
def test_planted_copies_are_found_and_named(held_out: np.ndarray | None) -> None:
    fake = made(400, 2)
    planted = {17: 5, 101: 44, 399: 599}
    for sample, original in planted.items():
        fake[sample] = REAL[original] + made(1, sample)[0] * 0.01
    fake[200] = REAL[7]

    value = measured(fake, held_out, worst=4)

    assert value.details["pairs"][0] == [200, 7, 0.0]
    assert {(pair[0], pair[1]) for pair in value.details["pairs"][1:]} == set(planted.items())
    assert all(pair[2] < value.details["threshold"] / 2 for pair in value.details["pairs"])
    assert value.details["calibration"] == ("leave-one-out" if held_out is None else "held-out")


def test_the_share_grows_with_the_share_of_copies() -> None:
    shares = []
    for copies in (0, 20, 60, 200):
        fake = made(400, 3)
        fake[:copies] = REAL[:copies] + made(400, 4)[:copies] * 0.01
        shares.append(measured(fake).value)

    assert shares == sorted(shares)
    assert [share * 400 for share in shares] == pytest.approx([0, 20, 60, 200], abs=12)


def test_a_generator_that_copies_nothing_has_the_expected_share() -> None:
    value = measured(made(2000, 5))

    assert value.details["expected"] == 0.01
    assert value.value == pytest.approx(0.01, abs=0.012)


def test_copies_of_an_image_that_the_training_set_repeats_count_too() -> None:
    real = REAL.copy()
    real[:8] = real[0]
    fake = made(50, 6)
    fake[3] = real[0]

    value = METRICS.build("memorisation").measure(Sets(real, fake, HELD_OUT))[0]

    assert value.details["pairs"][0][0] == 3
    assert value.value >= 1 / 50


def test_rare_neighbourhoods_are_held_to_their_own_density() -> None:
    # Half of the images lie ten times as far apart; a sample at a tenth of their distance is a copy
    # there, and would be none among the others.
    real = REAL.copy()
    real[300:] = real[300:] * 10 + 1000
    held_out = HELD_OUT.copy()
    held_out[150:] = held_out[150:] * 10 + 1000
    fake = np.concatenate([real[:1] + made(1, 7), real[300:301] + made(1, 8)])

    value = METRICS.build("memorisation").measure(Sets(real, np.tile(fake, (5, 1)), held_out))[0]

    assert value.value == 0.5
    assert value.details["pairs"][0][1] == 300
