"""Connected parts of what a picture shows.

Each line is taken as the runs of pixels it holds, and runs that touch are joined (A. Rosenfeld, J.
Pfaltz, Sequential Operations in Digital Picture Processing, 1966, with a union-find over runs).
Drawings have a few runs a line, so that this takes a quarter of the time that labels for every
pixel do.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from ganime.images import Pixels

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int32]
Areas = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """Parts that are large, and where they touch the frame.

    Attributes:
        num: How many are large.
        touched: Share of the left, the top, the right and the bottom line that they touch, 0-1.
    """

    num: int
    touched: tuple[float, float, float, float]


def large(content: Mask | Pixels, fraction: float) -> Pixels:
    """1 in connected parts of at least this fraction of the largest one's area.

    Args:
        content: Not 0 in the parts, which hang together by corners too [H, W].
        fraction: 0-1.

    Returns:
        uint8 [H, W].
    """
    return _large(content.view(np.uint8), fraction)


def filled(content: Mask) -> Pixels:
    """0 where the ground is in touch with the frame, not only by corners, else 1, uint8 [H, W]."""
    return _filled((~content).view(np.uint8))


def figures(parts: Pixels, solid: Pixels, touching: float, counted: float) -> Figures:
    """Count the large parts, and see how much of the frame they touch.

    Args:
        parts: Not 0 in the parts [H, W].
        solid: Not 0 in what can touch the frame, all of it in some part [H, W].
        touching: Of the largest area: smaller ones may touch the frame.
        counted: Of the largest area: smaller ones do not count.
    """
    height, width = parts.shape
    num, left, top, right, bottom = _figures(parts, solid, touching, counted)
    return Figures(num, (left / height, top / width, right / height, bottom / width))


@numba.njit(cache=True, nogil=True)
def _runs(content: Pixels, corner: int) -> tuple[Places, Places, Places, Places]:
    """The runs of all lines, those that touch joined.

    Args:
        content: Not 0 in the runs [H, W].
        corner: 1 where corners touch, else 0.

    Returns:
        The first run of each line and the number of all [H + 1]; of each run [R] its first place,
        the place behind its last, and the first run of its part.
    """
    height, width = content.shape
    most = height * ((width + 1) // 2)
    lines = np.empty(height + 1, np.int32)
    begins, ends = np.empty(most, np.int32), np.empty(most, np.int32)
    parts = np.empty(most, np.int32)
    num = 0
    for y in range(height):
        lines[y] = num
        inside = False
        for x in range(width):
            if (content[y, x] != 0) != inside:
                if inside:
                    ends[num] = x
                    num += 1
                else:
                    begins[num], parts[num] = x, num
                inside = not inside
        if inside:
            ends[num] = width
            num += 1
        above, below = (lines[y - 1] if y else num), lines[y]
        while above < lines[y] and below < num:
            if begins[above] < ends[below] + corner and begins[below] < ends[above] + corner:
                _join(parts, above, below)
            if ends[above] < ends[below]:
                above += 1
            else:
                below += 1
    lines[height] = num
    for run in range(num):  # a part's first run is the first of all, so it is settled already
        parts[run] = parts[parts[run]]
    return lines, begins[:num], ends[:num], parts[:num]


@numba.njit(cache=True, nogil=True)
def _join(parts: Places, one: int, other: int) -> None:
    while parts[one] != one:
        one = parts[one]
    while parts[other] != other:
        parts[other] = parts[parts[other]]
        other = parts[other]
    if one < other:
        parts[other] = one
    else:
        parts[one] = other


@numba.njit(cache=True, nogil=True)
def _areas(begins: Places, ends: Places, parts: Places) -> tuple[Areas, int]:
    """Area of each part, at its first run [R], and the largest of them."""
    areas = np.zeros(len(parts), np.int64)
    largest = 1
    for run in range(len(parts)):
        areas[parts[run]] += ends[run] - begins[run]
        largest = max(largest, areas[parts[run]])
    return areas, largest


@numba.njit(cache=True, nogil=True)
def _large(content: Pixels, fraction: float) -> Pixels:
    lines, begins, ends, parts = _runs(content, 1)
    areas, largest = _areas(begins, ends, parts)
    chosen = np.zeros(content.shape, np.uint8)
    for y in range(len(content)):
        for run in range(lines[y], lines[y + 1]):
            if areas[parts[run]] >= fraction * largest:
                chosen[y, begins[run] : ends[run]] = 1
    return chosen


@numba.njit(cache=True, nogil=True)
def _filled(ground: Pixels) -> Pixels:
    height, width = ground.shape
    lines, begins, ends, parts = _runs(ground, 0)
    outside = np.zeros(len(parts), np.bool_)
    for y in range(height):
        for run in range(lines[y], lines[y + 1]):
            if y in (0, height - 1) or begins[run] == 0 or ends[run] == width:
                outside[parts[run]] = True
    solid = np.ones(ground.shape, np.uint8)
    for y in range(height):
        for run in range(lines[y], lines[y + 1]):
            if outside[parts[run]]:
                solid[y, begins[run] : ends[run]] = 0
    return solid


@numba.njit(cache=True, nogil=True)
def _figures(
    content: Pixels, solid: Pixels, touching: float, counted: float
) -> tuple[int, int, int, int, int]:
    height, width = content.shape
    lines, begins, ends, parts = _runs(content, 1)
    areas, largest = _areas(begins, ends, parts)
    num = left = top = right = bottom = 0
    for run in range(len(parts)):
        num += parts[run] == run and areas[run] >= counted * largest
    for y in range(height):
        for run in range(lines[y], lines[y + 1]):
            if areas[parts[run]] < touching * largest:
                continue
            left += begins[run] == 0 and solid[y, 0] > 0
            right += ends[run] == width and solid[y, width - 1] > 0
            if y in (0, height - 1):
                touched = 0
                for x in range(begins[run], ends[run]):
                    touched += solid[y, x] > 0
                top += touched if y == 0 else 0
                bottom += touched if y == height - 1 else 0
    return num, left, top, right, bottom
