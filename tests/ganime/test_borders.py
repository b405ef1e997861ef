import numpy as np

from ganime.borders import border_colour, border_pixels, median_colour

RED, BLUE, WHITE = (200, 30, 40), (20, 40, 220), (255, 255, 255)


def test_the_border_counts_every_pixel_once() -> None:
    pixels = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    border = border_pixels(pixels, 1)
    assert len(border) == 2 * 6 + 2 * 3
    assert len(np.unique(border, axis=0)) == len(border)
    assert border_pixels(pixels, 3).shape == (30, 3)


def test_the_border_colour_is_the_median() -> None:
    pixels = np.full((200, 100, 3), BLUE, np.uint8)
    pixels[20:180, 10:90] = RED
    pixels[:2, :10] = WHITE  # a few marks at the border do not matter
    assert border_colour(pixels) == BLUE


def test_the_median_is_numpys() -> None:
    rng = np.random.default_rng(3)
    for number in (1, 2, 7, 100, 1001):
        colours = rng.integers(0, 256, (number, 3), np.uint8)
        assert (median_colour(colours) == np.median(colours, axis=0)).all()
