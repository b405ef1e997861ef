"""The outermost pixels of an image, and the one colour that most of them have."""

import numba
import numpy as np
import numpy.typing as npt

from ganime.images import Pixels


def border_pixels(pixels: Pixels, width: int) -> Pixels:
    """The outermost pixels of an image.

    Args:
        pixels: uint8 [H, W, C].
        width: Of the border [px]; a thin image is all border.

    Returns:
        uint8 [N, C], every pixel once.
    """
    height, across, channels = pixels.shape
    if height <= 2 * width or across <= 2 * width:
        return pixels.reshape(-1, channels)
    middle = pixels[width:-width]
    sides = [pixels[:width], pixels[-width:], middle[:, :width], middle[:, -width:]]
    return np.concatenate([side.reshape(-1, channels) for side in sides])


def border_colour(pixels: Pixels) -> tuple[int, int, int]:
    """Median sRGB, per channel, of the outermost hundredth of an image.

    Args:
        pixels: uint8 [H, W, 3].
    """
    width = max(1, round(0.01 * min(pixels.shape[:2])))
    red, green, blue = median_colour(border_pixels(pixels, width)).tolist()
    return round(red), round(green), round(blue)


def median_colour(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Median per channel, what `numpy.median` gives; from counts of each level, so without a sort.

    Args:
        pixels: uint8 [N, C], at least one.

    Returns:
        Levels of 255 [C], halves where N is even.
    """
    return median_of(pixels)


@numba.njit(cache=True, nogil=True)
def median_of(pixels: Pixels) -> npt.NDArray[np.float64]:
    """`median_colour`, for compiled code."""
    num, channels = pixels.shape
    counts = np.zeros((channels, 256), np.int64)
    for row in range(num):
        for channel in range(channels):
            counts[channel, pixels[row, channel]] += 1
    medians = np.zeros(channels)
    for channel in range(channels):
        for rank in ((num - 1) // 2, num // 2):
            level, below = 0, counts[channel, 0]
            while below <= rank:
                level += 1
                below += counts[channel, level]
            medians[channel] += level / 2
    return medians
