"""How a picture is filled: the figures on its ground, whether the frame cuts them, its colours.

All is measured on a small copy, so sizes are shares and not pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ganime.images import Pixels, border_pixels

NEAR = 24  # levels of 255: JPEG noise stays below, a pale line on white above
_GROUND_FRACTION = 0.5  # of the border: with less of one colour there is no ground
_GROUND_BORDER = 2  # width of the border that shows the ground [px]
_CUT_PART = 0.05  # of the largest figure's area: smaller parts, as a signature, may touch the frame
_FIGURE_PART = 0.15  # of the largest figure's area: smaller parts are props and marks
# A collar as pale as the ground parts no head from its body: gaps up to 4 px of 256. Wider ones
# are left, as companions stand that close.
_BRIDGE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))

Mask = npt.NDArray[np.bool_]
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
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        cv2.dilate(solid, _BRIDGE), connectivity=8
    )
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = areas.max(initial=1)
    touching = np.concatenate([[False], areas >= _CUT_PART * largest])
    touched = touching[labels] & (solid > 0)
    sides = (touched[:, 0], touched[0], touched[:, -1], touched[-1])
    left, top, right, bottom = (round(float(side.mean()), 6) for side in sides)
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
    chroma = cv2.cvtColor(some, cv2.COLOR_RGB2YCrCb)[..., 1:].reshape(-1, 2)
    if content is not None:
        chroma = chroma[content[::2, ::2].ravel()]
    if not len(chroma):
        return 0.0
    # Sums of whole numbers are exact, so that equal pictures have equal facts everywhere.
    values = chroma.astype(np.int64) - 128
    mean = values.sum(axis=0) / len(values)
    (red, both), (_, blue) = values.T @ values / len(values) - np.outer(mean, mean)
    smaller = (red + blue) / 2 - np.hypot((red - blue) / 2, both)
    return round(float(np.sqrt(max(0.0, smaller))), 6)


def ground_colour(image: Pixels) -> Colour | None:
    """The one colour of most of the border, sRGB 0-255; None where there is none."""
    border = border_pixels(image, _GROUND_BORDER)
    median: Colour = np.median(border, axis=0).astype(np.int16)
    plain = 1.0 - differs(border[None], median).mean()
    return median if plain >= _GROUND_FRACTION else None


def differs(image: Pixels, colour: Colour) -> Mask:
    """True where a picture uint8 sRGB [H, W, 3] is not close to a colour [H, W]."""
    low = np.clip(colour - NEAR, 0, 255).astype(np.uint8)
    high = np.clip(colour + NEAR, 0, 255).astype(np.uint8)
    inside = cv2.inRange(image, low, high)
    return np.asarray(inside == 0)


def large(content: Mask | Pixels, fraction: float) -> Pixels:
    """1 in connected parts of at least this fraction of the largest one's area, uint8 [H, W]."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(content.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    chosen = np.concatenate([[0], areas >= fraction * areas.max(initial=1)]).astype(np.uint8)
    return np.asarray(chosen[labels], np.uint8)


def filled(content: Mask) -> Pixels:
    """0 where the ground is in touch with the outside, else 1, uint8 [H, W]."""
    outside = np.pad((~content).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels[1:-1, 1:-1] != labels[0, 0], np.uint8)
