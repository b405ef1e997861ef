"""Pictures of another size.

Where a picture shrinks, each new pixel is the mean of the area it covers, which neither aliases nor
rings (cv2's linear and Lanczos filters alias when they shrink). cv2's INTER_AREA gives the same to
within one level, at three times the time: it was 0.7 ms of the 2.4 that a padded image took.
"""

import cv2
import numba
import numpy as np
import numpy.typing as npt

from ganime.images import Pixels

Places = npt.NDArray[np.intp]
Weights = npt.NDArray[np.float32]


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Scale an image: by averaging areas where it shrinks, else by cubic interpolation.

    Args:
        pixels: uint8 sRGB [H, W, 3].
        height: Of the result, at least 1 [px].
        width: Of the result, at least 1 [px].

    Returns:
        uint8 sRGB [height, width, 3], never the array that was given.
    """
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    if height <= pixels.shape[0] and width <= pixels.shape[1]:
        shrunk = np.empty((height, width, 3), np.uint8)
        down, across = _cover(pixels.shape[0], height), _cover(pixels.shape[1], width)
        _shrink(np.ascontiguousarray(pixels), shrunk, *down, *across)
        return shrunk
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


# No `fastmath` here: the same sums in the same order give the same bytes on every processor.
@numba.njit(cache=True, nogil=True)
def _cover(old: int, new: int) -> tuple[Places, Places, Weights, Weights, np.float32]:
    """What each of `new` pixels covers of a line of `old` ones.

    Returns:
        The first and the last pixel, the share that each of these two has in the mean (all is in
        the first where they are one), and the share of those between.
    """
    first, last = np.empty(new, np.intp), np.empty(new, np.intp)
    head, tail = np.empty(new, np.float32), np.zeros(new, np.float32)
    share = new / old
    for place in range(new):
        # Whole numbers, so that no rounding error puts an edge beyond a pixel's end.
        first[place] = place * old // new
        last[place] = ((place + 1) * old - 1) // new
        if first[place] == last[place]:
            head[place] = 1.0
        else:
            head[place] = (first[place] + 1) * share - place
            tail[place] = (place + 1) - last[place] * share
    return first, last, head, tail, np.float32(share)


@numba.njit(cache=True, nogil=True)
def _shrink(
    pixels: Pixels,
    shrunk: Pixels,
    top: Places,
    bottom: Places,
    top_weight: Weights,
    bottom_weight: Weights,
    middle_weight: np.float32,
    left: Places,
    right: Places,
    left_weight: Weights,
    right_weight: Weights,
    centre_weight: np.float32,
) -> None:
    """Rows are averaged first, a whole row at a time in the processor's vectors, then columns."""
    lines = pixels.reshape(pixels.shape[0], -1)
    line = np.empty(lines.shape[1], np.float32)
    half = np.float32(0.5)
    for y in range(shrunk.shape[0]):
        line[:] = 0
        _add(line, lines[top[y]], top_weight[y])
        for row in range(top[y] + 1, bottom[y]):
            _add(line, lines[row], middle_weight)
        if bottom[y] > top[y]:
            _add(line, lines[bottom[y]], bottom_weight[y])
        for x in range(shrunk.shape[1]):
            start, end = 3 * left[x], 3 * right[x]
            weight = left_weight[x]
            red, green, blue = (
                line[start] * weight,
                line[start + 1] * weight,
                line[start + 2] * weight,
            )
            for place in range(start + 3, end, 3):
                red += line[place] * centre_weight
                green += line[place + 1] * centre_weight
                blue += line[place + 2] * centre_weight
            weight = right_weight[x]
            shrunk[y, x, 0] = np.uint8(np.int32(red + line[end] * weight + half))
            shrunk[y, x, 1] = np.uint8(np.int32(green + line[end + 1] * weight + half))
            shrunk[y, x, 2] = np.uint8(np.int32(blue + line[end + 2] * weight + half))


@numba.njit(cache=True, nogil=True)
def _add(line: Weights, pixels: Pixels, weight: np.float32) -> None:
    for place in range(line.size):
        line[place] += pixels[place] * weight
