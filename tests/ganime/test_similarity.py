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


def portrait(*, angry: bool = False, shoes: tuple[int, int, int] = (90, 60, 40)) -> np.ndarray:
    """A round head over a small body, uint8 [320, 320, 3]."""
    image = np.full((320, 320, 3), 255, np.uint8)
    cv2.circle(image, (160, 120), 110, (90, 200, 230), -1)
    for side in (-1, 1):
        cv2.ellipse(image, (160 + 40 * side, 120), (10, 22), 0, 0, 360, (30, 30, 50), -1)
        inner, outer = (95, 60) if angry else (78, 82)
        ends = ((160 + 18 * side, inner), (160 + 70 * side, outer))
        cv2.line(image, *ends, (30, 30, 50), 9)
        cv2.rectangle(image, (160 + 45 * side - 22, 262), (160 + 45 * side + 22, 292), shoes, -1)
    cv2.ellipse(image, (160, 180), (30, 16), 0, 0, 360, (200, 60, 60), -1)
    cv2.rectangle(image, (90, 222), (230, 262), (60, 60, 120), -1)
    return image


def test_a_small_part_drawn_anew_is_another_picture() -> None:
    same = cv2.resize(portrait(), (150, 150), interpolation=cv2.INTER_AREA)
    assert score(portrait(), np.asarray(same, np.uint8)) > 0.95
    assert score(portrait(), portrait(angry=True)) < 0.85
    assert score(portrait(), portrait(shoes=(235, 235, 230))) < 0.85


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
