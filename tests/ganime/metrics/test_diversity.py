import numpy as np
import pytest

from ganime.metrics import METRICS, Sets


def test_three_points_can_be_worked_out_by_hand() -> None:
    # A triangle of sides 3, 4 and 5.
    triangle = np.array([[0, 0], [3, 0], [0, 4]], np.float32)
    value = METRICS.build("diversity").measure(Sets(triangle * 2, triangle))[0]

    assert value.value == pytest.approx(4)
    assert value.details["real"] == pytest.approx(8)


def test_a_generator_that_repeats_one_image_has_none() -> None:
    real = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)

    value = METRICS.build("diversity").measure(Sets(real, np.tile(real[:1], (30, 1))))[0]

    assert value.value == pytest.approx(0, abs=1e-6)


def test_a_choice_of_many_images_stands_for_them() -> None:
    many = np.random.default_rng(1).normal(size=(900, 16)).astype(np.float32)
    whole = METRICS.build("diversity").measure(Sets(many, many))[0].value

    chosen = [
        METRICS.build({"name": "diversity", "most": 300}).measure(Sets(many, many, seed=seed))[0]
        for seed in (0, 0, 1)
    ]

    assert chosen[0].value == pytest.approx(whole, rel=0.02)
    assert chosen[0].value == chosen[1].value != chosen[2].value
