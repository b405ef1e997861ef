import cv2
import numpy as np
import pytest

from ganime.scaling import resize


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(((400, 300), (256, 192)), ((401, 299), (256, 191)), ((512, 512), (256, 256))),
        *(((90, 700), (12, 96)), ((257, 256), (256, 256)), ((64, 48), (1, 1)), ((3, 5), (3, 2))),
        *(((1, 9), (1, 4)), ((700, 31), (32, 31))),
    ],
)
def test_shrinking_is_the_mean_over_each_pixels_area(
    old: tuple[int, int], new: tuple[int, int]
) -> None:
    given = noise(*old)
    wanted = cv2.resize(given.astype(np.float64), new[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(resize(given, *new) - wanted).max() < 0.51


def test_a_flat_colour_stays_the_same_at_every_size() -> None:
    for level in (0, 1, 127, 254, 255):
        given = np.full((97, 61, 3), level, np.uint8)
        for side in range(1, 62):
            assert (resize(given, side, side) == level).all()


def test_a_part_of_an_image_is_scaled_as_a_copy_of_it_is() -> None:
    given = noise(120, 90)
    part = given[10:110:2, 5:80]
    assert (resize(part, 20, 30) == resize(part.copy(), 20, 30)).all()


def test_the_same_size_is_a_copy() -> None:
    given = noise(20, 30)
    same = resize(given, 20, 30)
    assert (same == given).all()
    assert not np.shares_memory(same, given)


def test_growing_is_cubic_and_keeps_colours_in_place() -> None:
    given = np.zeros((4, 8, 3), np.uint8)
    given[:, 4:] = 200
    grown = resize(given, 40, 80)
    assert grown.shape == (40, 80, 3)
    assert (grown[:, :20] == 0).all()
    assert (grown[:, 60:] == 200).all()
