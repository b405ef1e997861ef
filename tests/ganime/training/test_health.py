import cv2
import numpy as np
import pytest

from ganime.training.health import SIDE, Examiner, distances, vectors_of


@pytest.fixture(scope="module")
def reals() -> np.ndarray:
    """400 different pictures: smooth patterns of random colours."""
    random = np.random.default_rng(0)
    patterns = random.integers(0, 256, (400, 3, 3, 3), dtype=np.uint8)
    return np.stack([cv2.resize(pattern, (32, 32)) for pattern in patterns])


def test_other_pictures_of_the_kind_are_varied_cover_the_reals_and_copy_none(
    reals: np.ndarray,
) -> None:
    found = Examiner(reals[:200]).examine(reals[200:])
    assert found.spread == pytest.approx(1.0, abs=0.15)
    assert found.recall > 0.8
    assert found.copied < 0.1


def test_samples_that_are_all_alike_have_no_spread_and_no_recall(reals: np.ndarray) -> None:
    alike = np.repeat(reals[:1], 50, axis=0)
    found = Examiner(reals[1:]).examine(alike)
    assert found.spread < 0.01
    assert found.recall < 0.05


def test_half_of_the_modes_are_half_of_the_recall(reals: np.ndarray) -> None:
    dark, light = reals // 3, 170 + reals // 3
    both = np.concatenate([dark, light])
    assert Examiner(both).examine(both).recall > 0.9
    assert Examiner(both).examine(dark).recall == pytest.approx(0.5, abs=0.05)


def test_copies_are_counted(reals: np.ndarray) -> None:
    samples = np.concatenate([reals[:30], reals[200:230]])
    samples[:30] = np.clip(samples[:30].astype(int) + 2, 0, 255)  # as good as the same
    assert Examiner(reals[:200]).examine(samples).copied == pytest.approx(0.5, abs=0.05)


def test_the_nearest_image_of_a_copy_is_the_one_it_was_copied_from(reals: np.ndarray) -> None:
    assert Examiner(reals).nearest(reals[7:9], num=2)[:, 0].tolist() == [7, 8]


def test_distances_are_euclidean() -> None:
    one, other = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
    expected = np.linalg.norm(one[:, None] - other[None], axis=2)
    assert np.allclose(distances(one, other), expected, atol=1e-5)


def test_images_are_reduced_by_area() -> None:
    checks = np.indices((32, 32)).sum(axis=0) % 2 * 255
    image = np.repeat(checks[None, :, :, None], 3, axis=3).astype(np.uint8)
    assert vectors_of(image).shape == (1, SIDE * SIDE * 3)
    assert np.allclose(vectors_of(image), 0.5, atol=0.01)
