"""The content of a picture: without its border, its captions and its small floating marks."""

from dataclasses import dataclass

import cv2
import numba
import numpy as np

from ganime.borders import median_of
from ganime.composition import (
    NEAR,
    Colour,
    Composition,
    colour_spread,
    composition,
    differs,
    ground_colour,
)
from ganime.connected import Mask, filled, large
from ganime.images import Pixels

_FIGURE = 0.05  # of the largest figure's area: smaller ones do not count for the box
_MARK = 0.01  # of the largest part's area: smaller ones that float are painted over
_STRIP = 0.2  # of the height or width: nothing thicker is a strip
_STRIP_CLEAN = 0.1  # of a line between the letters and the picture at most
_STRIP_END = 0.85  # of a line differ right beyond a strip
_THICK_FRACTION = 0.5  # of the content: with less left there are only thin lines
_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))  # thinner strokes are writing
_LINE_FRACTION = 0.01  # of a row or column: more pixels off the ground make it content

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The content of an image.

    Attributes:
        box: Left, top, right, bottom [px]; right and bottom are the first beyond it.
        pixels: uint8 sRGB [H, W, 3], the image inside the box, floating marks painted over.
        strip_fraction: Share of the image that strips along its sides take.
        colour_spread: See `ganime.composition.colour_spread`; of what is not ground.
        composition: Of the image without its strips; None where the ground is not clean.
    """

    box: Box
    pixels: Pixels
    strip_fraction: float
    colour_spread: float
    composition: Composition | None


def trim(image: Pixels) -> Trimmed:
    """Cut the border off, side by side, then what is left of floating marks.

    A fixed level fails on tinted paper, so each side is trimmed by its own median colour. A strip
    of another colour along a side, with a caption or without, goes first. On a plain ground, marks
    much smaller than the figure (a signature, a line of text) do not count as content.

    Args:
        image: uint8 sRGB [H, W, 3].
    """
    strips, margins = _sides(image, NEAR)
    picture = image
    if any(strips):
        picture = _without(image, strips)
        _, margins = _sides(picture, NEAR)
    strip_fraction = 1.0 - (picture.shape[0] * picture.shape[1]) / (image.shape[0] * image.shape[1])
    height, width = picture.shape[:2]
    if margins[0] + margins[2] >= width or margins[1] + margins[3] >= height:
        margins = [0, 0, 0, 0]  # nothing would be left
    box = (margins[0], margins[1], width - margins[2], height - margins[3])
    ground = ground_colour(picture)
    content = None if ground is None else differs(picture, ground)
    spread = colour_spread(picture, content)
    filling = None
    if ground is not None and content is not None:
        solid = filled(content)
        filling = composition(solid)
        picture, box = _without_marks(picture, box, ground, content, solid)
    left, top, right, bottom = box
    return Trimmed(
        (strips[0] + left, strips[1] + top, strips[0] + right, strips[1] + bottom),
        np.ascontiguousarray(picture[top:bottom, left:right]),
        strip_fraction,
        spread,
        filling,
    )


def _without(image: Pixels, margins: list[int]) -> Pixels:
    left, top, right, bottom = margins
    height, width = image.shape[:2]
    return image[top : height - bottom, left : width - right]


def _without_marks(
    picture: Pixels, box: Box, ground: Colour, content: Mask, solid: Pixels
) -> tuple[Pixels, Box]:
    """The picture with its small floating marks painted over, and the box of the figures."""
    left, top, right, bottom = box
    content, solid = content[top:bottom, left:right], solid[top:bottom, left:right]
    x, y, width, height = cv2.boundingRect(_figures(solid))
    if not width:
        return picture, box
    clean = _flat(picture.shape[0], picture.shape[1], ground)
    cv2.copyTo(
        picture[top:bottom, left:right], large(content, _MARK), clean[top:bottom, left:right]
    )
    return clean, (left + x, top + y, left + x + width, top + y + height)


def _figures(solid: Pixels) -> Pixels:
    """The large parts of the content, without thin strokes that hang on to them, uint8 [H, W].

    A signature may cross the feet, so whatever is thinner than a few pixels goes. What outlines
    enclose counts as content, or line art of pale figures would go too.
    """
    thick = np.asarray(cv2.morphologyEx(solid, cv2.MORPH_OPEN, _DISC), np.uint8)
    if cv2.countNonZero(thick) < _THICK_FRACTION * cv2.countNonZero(solid):
        thick = solid  # a sketch of open lines
    return large(thick, _FIGURE)


def _flat(height: int, width: int, colour: Colour) -> Pixels:
    flat = np.empty((height, width, 3), np.uint8)
    cv2.rectangle(flat, (0, 0), (width, height), tuple(colour.tolist()), cv2.FILLED)
    return flat


@numba.njit(cache=True, nogil=True)
def _sides(image: Pixels, near: int) -> tuple[list[int], list[int]]:
    """Of the left, the top, the right and the bottom: the thickness of a strip, 0 if there is none,
    and the lines without content.
    """
    across = image.transpose(1, 0, 2)
    strips, margins = [0, 0, 0, 0], [0, 0, 0, 0]
    for side in range(2):
        strips[2 * side], margins[2 * side] = _side(across[:: 1 - 2 * side], near)
        strips[2 * side + 1], margins[2 * side + 1] = _side(image[:: 1 - 2 * side], near)
    return strips, margins


@numba.njit(cache=True, nogil=True)
def _side(lines: Pixels, near: int) -> tuple[int, int]:
    """One side's strip and margin, from its lines [L, N, 3], the outermost first.

    A strip is of one colour but for letters, and ends at once all along the line, as no drawing
    does: a clean line, then one of which nearly all differs. No line is looked at that cannot
    matter.
    """
    median = median_of(lines[0])
    low, high = np.empty(3, np.int16), np.empty(3, np.int16)
    for channel in range(3):
        level = np.int16(median[channel])
        low[channel], high[channel] = level - near, level + near
    thickest = round(_STRIP * len(lines)) + 2
    strip, margin = -1, -1
    before = earlier = 1.0  # shares of the last two lines that differ; one may hold a bit of both
    for line in range(len(lines)):
        off = 1.0 - _num_near(lines[line], low, high) / lines.shape[1]
        if margin < 0 and off > _LINE_FRACTION:
            margin = line
        if strip < 0 and (off > _STRIP_END or line >= thickest):
            ends = line < thickest and line >= 2 and min(before, earlier) < _STRIP_CLEAN
            strip = line if ends else 0
        if strip >= 0 and margin >= 0:
            break
        before, earlier = off, before
    return max(strip, 0), len(lines) if margin < 0 else margin


@numba.njit(cache=True, nogil=True)
def _num_near(line: Pixels, low: Colour, high: Colour) -> int:
    num = 0
    for place in range(len(line)):
        red, green, blue = line[place, 0], line[place, 1], line[place, 2]
        num += (
            (red >= low[0])
            & (red <= high[0])
            & (green >= low[1])
            & (green <= high[1])
            & (blue >= low[2])
            & (blue <= high[2])
        )
    return num
