import cv2
import numpy as np
import pytest

from ganime.similarity import MIN_SKETCH_CORRELATION, align, correlation, similarity, sketches


def drawing(seed: int = 0) -> np.ndarray:
    """Some shapes on white, uint8 [32, 32, 3], drawn large and shrunk."""
    rng = np.random.default_rng(seed)
    image = np.full((320, 320, 3), 255, np.uint8)
    for _ in range(9):
        centre = tuple(int(v) for v in rng.integers(60, 260, 2))
        axes = tuple(int(v) for v in rng.integers(20, 70, 2))
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        cv2.ellipse(image, centre, axes, int(rng.integers(180)), 0, 360, colour, -1)
    return image


def thumbnail(image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA))


def score(one: np.ndarray, other: np.ndarray) -> float:
    return float(similarity(thumbnail(one)[None], thumbnail(other)[None])[0])


def test_a_picture_is_wholly_similar_to_itself() -> None:
    assert score(drawing(), drawing()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_shifted_and_stretched_copy_is_the_same(seed: int) -> None:
    image = drawing(seed)
    cropped = image[8:-12, 14:-4]
    assert score(image, cropped) > 0.85
    assert score(cropped, image) > 0.85


@pytest.mark.parametrize("seed", range(5))
def test_a_slight_tint_is_the_same(seed: int) -> None:
    tinted = 255 * (drawing(seed) / 255) ** np.array([1.12, 1.05, 1.0])
    assert score(drawing(seed), tinted.round().astype(np.uint8)) > 0.85


def test_one_part_in_another_colour_is_another_picture() -> None:
    image = np.full((320, 320, 3), 255, np.uint8)
    cv2.rectangle(image, (110, 100), (210, 310), (60, 60, 80), -1)
    blonde, green, brown = image.copy(), image.copy(), image.copy()
    for head, colour in (
        (blonde, (255, 217, 100)),
        (green, (76, 185, 106)),
        (brown, (141, 90, 58)),
    ):
        cv2.circle(head, (160, 70), 42, colour, -1)
    assert score(blonde, green) < 0.5
    assert score(blonde, brown) < 0.5
    assert score(brown, green) < 0.6


@pytest.mark.parametrize("seed", range(5))
def test_another_drawing_is_another_picture(seed: int) -> None:
    assert score(drawing(seed), drawing(seed + 100)) < 0.3


def test_flat_pictures() -> None:
    white, black = np.full((320, 320, 3), 255, np.uint8), np.zeros((320, 320, 3), np.uint8)
    assert score(white, white) == 1
    assert score(white, drawing()) < 0.3
    assert np.isfinite(score(white, black))


def test_correlation_by_hand() -> None:
    one = np.zeros((1, 2, 2, 3), np.float32)
    one[0, 0] = 100
    np.testing.assert_allclose(correlation(one, one * 2 + 7), 1, rtol=1e-5)
    np.testing.assert_allclose(correlation(one, 100 - one), -1, rtol=1e-5)
    flat = np.full_like(one, 9)
    assert correlation(flat, flat)[0] == 1
    assert correlation(one, flat)[0] == 0


def test_alignment_finds_a_shift() -> None:
    image = drawing(3)
    shifted = np.roll(image, (12, -17), axis=(0, 1))  # 1.2 and 1.7 px of 32
    target, moving = (thumbnail(x)[None].astype(np.float32) for x in (image, shifted))
    inner = (slice(None), slice(3, -3), slice(3, -3))
    before = np.abs(target - moving)[inner].mean()
    after = np.abs(target - align(target, moving))[inner].mean()
    assert after < before / 4


def test_each_pair_is_judged_by_itself() -> None:
    one = np.stack([thumbnail(drawing(seed)) for seed in range(6)])
    other = np.stack([thumbnail(drawing(seed)) for seed in (0, 9, 2, 8, 4, 7)])
    together = similarity(one, other)
    alone = [similarity(one[i : i + 1], other[i : i + 1])[0] for i in range(6)]
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert ((together > 0.85) == [True, False, True, False, True, False]).all()


def test_no_pairs_give_no_scores() -> None:
    nothing = np.empty((0, 32, 32, 3), np.uint8)
    assert similarity(nothing, nothing).shape == (0,)


def test_a_sketch_correlates_with_that_of_a_copy() -> None:
    image = drawing(1)
    one, copy, other = sketches(
        np.stack([thumbnail(image), thumbnail(image[8:-12, 14:-4]), thumbnail(drawing(7))])
    )
    assert one @ one == pytest.approx(1, abs=1e-5)
    assert one @ copy > MIN_SKETCH_CORRELATION
    assert one @ other < MIN_SKETCH_CORRELATION
