"""Pictures of another size.

Where a picture shrinks, each new pixel is the mean of the area it covers, which neither aliases nor
rings (cv2's linear and Lanczos filters alias when they shrink). cv2's INTER_AREA gives the same to
within one level, at four times the time.
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
def _cover(old: int, new: int) -> tuple[Places, Weights]:
    """What each of `new` pixels covers of a line of `old` ones.

    All have as many weights as the widest of them, so that the loops over them have no branches:
    where a pixel covers fewer, weights of 0 stand beside its own.

    Returns:
        The first old pixel that each weighs [new], and the weights [new, most].
    """
    most = 1
    for place in range(new):
        # Whole numbers, so that no rounding error puts an edge beyond a pixel's end.
        most = max(most, ((place + 1) * old - 1) // new - place * old // new + 1)
    starts, weights = np.empty(new, np.intp), np.zeros((new, most), np.float32)
    share = new / old
    for place in range(new):
        first, last = place * old // new, ((place + 1) * old - 1) // new
        start = min(first, old - most)
        starts[place] = start
        weights[place, first - start : last - start + 1] = share
        if first == last:
            weights[place, first - start] = 1.0
        else:
            weights[place, first - start] = (first + 1) * share - place
            weights[place, last - start] = (place + 1) - last * share
    return starts, weights


@numba.njit(cache=True, nogil=True)
def _shrink(
    pixels: Pixels,
    shrunk: Pixels,
    top: Places,
    down_weights: Weights,
    left: Places,
    across_weights: Weights,
) -> None:
    """Rows are averaged first, a whole row at a time in the processor's vectors, then columns."""
    lines = pixels.reshape(pixels.shape[0], -1)
    line = np.empty(lines.shape[1], np.float32)
    half = np.float32(0.5)
    for y in range(shrunk.shape[0]):
        line[:] = 0
        for tap in range(down_weights.shape[1]):
            if down_weights[y, tap] != 0:
                _add(line, lines[top[y] + tap], down_weights[y, tap])
        for x in range(shrunk.shape[1]):
            red = green = blue = np.float32(0)
            place = np.uint64(3 * left[x])  # without a sign, it needs no test for being negative
            for tap in range(across_weights.shape[1]):
                weight = across_weights[x, tap]
                red += line[place] * weight
                green += line[place + np.uint64(1)] * weight
                blue += line[place + np.uint64(2)] * weight
                place += np.uint64(3)
            shrunk[y, x, 0] = np.uint8(np.int32(red + half))
            shrunk[y, x, 1] = np.uint8(np.int32(green + half))
            shrunk[y, x, 2] = np.uint8(np.int32(blue + half))


@numba.njit(cache=True, nogil=True)
def _add(line: Weights, pixels: Pixels, weight: np.float32) -> None:
    for place in range(line.size):
        line[place] += pixels[place] * weight
