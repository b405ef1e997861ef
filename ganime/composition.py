"""How a picture is filled: the figures on its ground, whether the frame cuts them, its colours.

All is measured on a small copy, so sizes are shares and not pixels.
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numba
import numpy as np
import numpy.typing as npt

from ganime.images import Pixels, border_pixels, median_colour

NEAR = 24  # levels of 255: JPEG noise stays below, a pale line on white above
_GROUND_FRACTION = 0.5  # of the border: with less of one colour there is no ground
_GROUND_BORDER = 2  # width of the border that shows the ground [px]
_CUT_PART = 0.05  # of the largest figure's area: smaller parts, as a signature, may touch the frame
_FIGURE_PART = 0.15  # of the largest figure's area: smaller parts are props and marks
# A collar as pale as the ground parts no head from its body: gaps up to 4 px of 256. Wider ones
# are left, as companions stand that close.
_BRIDGE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]
Level = TypeVar("Level", np.uint8, np.int32)
Colour = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """Facts of one picture; see the columns of the same names in `ganime.rows.ImageRow`."""

    figures: int
    touched_left: float
    touched_top: float
    touched_right: float
    touched_bottom: float


def composition(content: Mask) -> Composition:
    """Count the figures, and see which sides of the frame they touch.

    Args:
        content: True where a picture differs from its ground [H, W].
    """
    solid = filled(content)
    labels, areas = _parts(np.asarray(cv2.dilate(solid, _BRIDGE), np.uint8))
    largest = areas.max(initial=1)
    touching = areas >= _CUT_PART * largest
    left, top, right, bottom = (
        round(float((touching[part] & (line > 0)).mean()), 6)
        for part, line in zip(_frame(labels), _frame(solid), strict=True)
    )
    return Composition(
        figures=int(np.count_nonzero(areas >= _FIGURE_PART * largest)),
        touched_left=left,
        touched_top=top,
        touched_right=right,
        touched_bottom=bottom,
    )


def colour_spread(image: Pixels, content: Mask | None = None) -> float:
    """How far colours stray from a single hue and its opposite: near 0 for grey, sepia, blue ink.

    The standard deviation of chroma (Cb, Cr of ITU-T T.871) across its main axis.

    Args:
        image: uint8 sRGB [H, W, 3].
        content: Where to look [H, W]; None looks everywhere.

    Returns:
        Levels of 255, 0 to 128.
    """
    some = np.ascontiguousarray(image[::2, ::2])  # half the rows and columns say as much
    chroma = np.asarray(cv2.cvtColor(some, cv2.COLOR_RGB2YCrCb), np.uint8)
    where = np.ones(image.shape[:2], np.bool_) if content is None else content
    num, *sums = _sums(chroma, where[::2, ::2])
    if not num:
        return 0.0
    red_mean, blue_mean, red, blue, both = (value / num for value in sums)
    red, blue, both = red - red_mean**2, blue - blue_mean**2, both - red_mean * blue_mean
    smaller = (red + blue) / 2 - np.hypot((red - blue) / 2, both)
    return round(float(np.sqrt(max(0.0, smaller))), 6)


def ground_colour(image: Pixels) -> Colour | None:
    """The one colour of most of the border, sRGB 0-255; None where there is none."""
    border = border_pixels(image, _GROUND_BORDER)
    median: Colour = median_colour(border).astype(np.int16)
    plain = 1.0 - differs(border[None], median).mean()
    return median if plain >= _GROUND_FRACTION else None


def differs(image: Pixels, colour: Colour) -> Mask:
    """True where a picture uint8 sRGB [H, W, 3] is not close to a colour [H, W]."""
    return np.asarray(close(image, colour) == 0)


def close(image: Pixels, colour: Colour) -> Pixels:
    """255 where a picture uint8 sRGB [H, W, 3] is close to a colour, else 0, uint8 [H, W]."""
    low, high = tuple((colour - NEAR).tolist()), tuple((colour + NEAR).tolist())
    return np.asarray(cv2.inRange(image, low, high), np.uint8)


def large(content: Mask | Pixels, fraction: float) -> Pixels:
    """1 in connected parts of at least this fraction of the largest one's area, uint8 [H, W]."""
    labels, areas = _parts(content.view(np.uint8))
    return _chosen(labels, areas >= fraction * areas.max(initial=1))


def filled(content: Mask) -> Pixels:
    """0 where the ground is in touch with the outside, else 1, uint8 [H, W]."""
    ground = (~content).view(np.uint8)
    outside = cv2.copyMakeBorder(ground, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0]).view(np.uint8)


def _frame(image: npt.NDArray[Level]) -> list[npt.NDArray[Level]]:
    """The outermost lines: left, top, right, bottom."""
    return [image[:, 0], image[0], image[:, -1], image[-1]]


def _parts(content: Pixels) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Connected parts: the label of each pixel [H, W], 0 on the ground, and areas by label, the
    ground's as 0. (OpenCV's own statistics take three times as long as its labels.)
    """
    num, found = cv2.connectedComponents(content, connectivity=8)
    labels = np.asarray(found, np.int32)
    return labels, _areas(labels, num)


@numba.njit(cache=True, nogil=True)
def _sums(image: Pixels, where: Mask) -> tuple[int, int, int, int, int, int]:
    """Of an image [H, W, (Y, Cr, Cb)]: number of pixels, sums of Cr, Cb, Cr², Cb², Cr·Cb.

    Sums of whole numbers are exact, so that equal pictures have equal facts everywhere.
    """
    num = red = blue = red_red = blue_blue = red_blue = 0
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            if where[row, column]:
                one, other = int(image[row, column, 1]) - 128, int(image[row, column, 2]) - 128
                num, red, blue = num + 1, red + one, blue + other
                red_red, blue_blue = red_red + one * one, blue_blue + other * other
                red_blue += one * other
    return num, red, blue, red_red, blue_blue, red_blue


@numba.njit(cache=True, nogil=True)
def _areas(labels: Labels, num: int) -> npt.NDArray[np.int64]:
    areas = np.zeros(num, np.int64)
    for label in labels.flat:
        areas[label] += 1
    areas[0] = 0
    return areas


@numba.njit(cache=True, nogil=True)
def _chosen(labels: Labels, wanted: Mask) -> Pixels:
    chosen = np.empty(labels.shape, np.uint8)
    for row in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            chosen[row, column] = wanted[labels[row, column]]
    return chosen
