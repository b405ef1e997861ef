"""Precision, recall, density and coverage beside naive loops."""

import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Sets


def made(count: int, seed: int, shift: float = 0.0, dim: int = 5) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, dim)) + shift).astype(np.float32)


def measured(name: str, real: np.ndarray, fake: np.ndarray, k: int) -> dict[str, float]:
    metric = METRICS.build({"name": name, "k": k})
    return {value.base: value.value for value in metric.measure(Sets(real, fake))}


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    gaps = one[:, None].astype(np.float64) - other[None]
    return np.sqrt((gaps * gaps).sum(axis=2))


def radii(features: np.ndarray, k: int) -> np.ndarray:
    return np.sort(distances(features, features), axis=1)[:, k]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_all_four_are_the_naive_loops(k: int) -> None:
    real, fake = made(60, 0), made(45, 1, shift=0.4)
    between = distances(real, fake)
    in_real = between < radii(real, k)[:, None]
    in_fake = between < radii(fake, k)[None]

    found = measured("precision_recall", real, fake, k) | measured(
        "density_coverage", real, fake, k
    )

    assert found["precision"] == pytest.approx(np.mean([column.any() for column in in_real.T]))
    assert found["recall"] == pytest.approx(np.mean([row.any() for row in in_fake]))
    assert found["density"] == pytest.approx(in_real.sum() / (k * len(fake)))
    assert found["coverage"] == pytest.approx(np.mean([row.any() for row in in_real]))


def test_a_set_on_itself_has_one_of_everything() -> None:
    same = made(50, 2)
    found = measured("precision_recall", same, same, 3) | measured(
        "density_coverage", same, same, 5
    )

    assert found == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}


def test_sets_far_apart_have_nothing() -> None:
    real, fake = made(30, 3), made(30, 4, shift=100)
    found = measured("precision_recall", real, fake, 3) | measured(
        "density_coverage", real, fake, 5
    )

    assert found == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_a_generator_stuck_in_one_mode_is_precise_and_forgets_the_others() -> None:
    real = np.concatenate([made(100, 5), made(100, 6, shift=50)])
    found = measured("precision_recall", real, made(100, 7), 3)
    covered = measured("density_coverage", real, made(100, 7), 5)

    assert found["precision"] > 0.8
    assert found["recall"] <= 0.5
    assert 0.4 < covered["coverage"] <= 0.5


def test_one_outlier_among_the_reals_moves_precision_more_than_density() -> None:
    # An outlier's ball is so large that it holds every sample (2002.09797).
    real, fake = made(100, 8), made(100, 9, shift=6)
    spoilt = np.concatenate([real, np.full((1, 5), 12.0, np.float32)])

    clean = measured("precision_recall", real, fake, 3) | measured(
        "density_coverage", real, fake, 3
    )
    found = measured("precision_recall", spoilt, fake, 3) | measured(
        "density_coverage", spoilt, fake, 3
    )

    assert clean["precision"] < 0.05
    assert found["precision"] > 0.9
    assert found["density"] < 0.4


@pytest.mark.parametrize("name", ["precision_recall", "density_coverage"])
def test_too_few_images_for_k_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} needs at least 8 images of each kind, got 7"):
        METRICS.build({"name": name, "k": 7}).measure(Sets(made(7, 0), made(20, 1)))
