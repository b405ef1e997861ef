"""How a picture is filled: the figures on its ground, whether the frame cuts them, its colours.

All is measured on a small copy, so sizes are shares and not pixels.
"""

import math
from dataclasses import dataclass

import cv2
import numba
import numpy as np
import numpy.typing as npt

from ganime.borders import border_pixels, median_colour
from ganime.connected import Mask, figures
from ganime.images import Pixels

NEAR = 24  # levels of 255: JPEG noise stays below, a pale line on white above
_GROUND_FRACTION = 0.5  # of the border: with less of one colour there is no ground
_HALF = 1 << 13  # rounds what is shifted by 14 bits
_GROUND_BORDER = 2  # width of the border that shows the ground [px]
_CUT_PART = 0.05  # of the largest figure's area: smaller parts, as a signature, may touch the frame
_FIGURE_PART = 0.15  # of the largest figure's area: smaller parts are props and marks
# A collar as pale as the ground parts no head from its body: gaps up to 4 px of 256. Wider ones
# are left, as companions stand that close.
_BRIDGE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))

Colour = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """Facts of one picture; see the columns of the same names in `ganime.rows.ImageRow`."""

    figures: int
    touched_left: float
    touched_top: float
    touched_right: float
    touched_bottom: float


def composition(solid: Pixels) -> Composition:
    """Count the figures, and see which sides of the frame they touch.

    Args:
        solid: `ganime.connected.filled`: 0 on the ground around the figures, uint8 [H, W].
    """
    parts = np.asarray(cv2.dilate(solid, _BRIDGE), np.uint8)
    found = figures(parts, solid, _CUT_PART, _FIGURE_PART)
    left, top, right, bottom = (round(share, 6) for share in found.touched)
    return Composition(
        figures=found.num,
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
    if content is None:
        content = np.ones(image.shape[:2], np.bool_)
    num, *sums = _sums(image, content)
    if not num:
        return 0.0
    red_mean, blue_mean, red, blue, both = (value / num for value in sums)
    red, blue, both = red - red_mean**2, blue - blue_mean**2, both - red_mean * blue_mean
    smaller = (red + blue) / 2 - math.hypot((red - blue) / 2, both)
    return round(math.sqrt(max(0.0, smaller)), 6)


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


@numba.njit(cache=True, nogil=True)
def _sums(image: Pixels, where: Mask) -> tuple[int, int, int, int, int, int]:
    """Of an image [H, W, RGB]: number of pixels, sums of Cr, Cb, Cr², Cb², Cr·Cb.

    Half the rows and columns say as much. The chroma is that of T.871 in whole numbers, 14 bits
    behind the point, and sums of whole numbers are exact: equal pictures have equal facts
    everywhere.
    """
    num = red = blue = red_red = blue_blue = red_blue = 0
    for row in range(0, image.shape[0], 2):
        for column in range(0, image.shape[1], 2):
            if where[row, column]:
                level = int(image[row, column, 0]), int(image[row, column, 2])
                light = 4899 * level[0] + 9617 * int(image[row, column, 1]) + 1868 * level[1]
                light = (light + _HALF) >> 14
                one = ((level[0] - light) * 11682 + _HALF) >> 14
                other = ((level[1] - light) * 9241 + _HALF) >> 14
                num, red, blue = num + 1, red + one, blue + other
                red_red, blue_blue = red_red + one * one, blue_blue + other * other
                red_blue += one * other
    return num, red, blue, red_red, blue_blue, red_blue
