"""F1 against the number of labels as a picture, a panel per question: what `labels.py` measured."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
COLUMNS = 3
WIDTH, HEIGHT = 480, 330  # of a panel [px]
LEFT, RIGHT, TOP, BOTTOM = 58, 22, 44, 40  # between a panel's edge and its axes [px]
LEGEND = 46  # height of the line under the panels [px]
_FINER = 3  # drawn so many times larger and brought back: Pillow's lines have hard edges
_INK, _GREY, _FAINT = (32, 36, 44), (110, 116, 128), (226, 229, 235)
_COLOURS = {"random": (196, 92, 32), "active": (28, 92, 190)}
_DASH = 9.0  # [px]


def draw(
    curves: Mapping[str, Mapping[str, Sequence[float]]], budgets: Sequence[int], path: Path
) -> None:
    """Write a PNG: random dashed, active solid.

    Args:
        curves: By question, then by "random" and "active": mean F1 after each budget, 0-1.
        budgets: Numbers of labels, ascending.
        path: The file.
    """
    columns = min(COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    size = (columns * WIDTH * _FINER, (rows * HEIGHT + LEGEND) * _FINER)
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for i, (title, panel) in enumerate(curves.items()):
        corner = (i % columns * WIDTH, i // columns * HEIGHT)
        _panel(pen, corner, title, panel, budgets)
    _legend(pen, columns * WIDTH / 2, rows * HEIGHT + LEGEND / 2)
    smaller = image.resize((size[0] // _FINER, size[1] // _FINER), Image.Resampling.LANCZOS)
    smaller.quantize(64).save(path, optimize=True)  # a palette: a third of the bytes


def _panel(
    pen: ImageDraw.ImageDraw,
    corner: Point,
    title: str,
    curves: Mapping[str, Sequence[float]],
    budgets: Sequence[int],
) -> None:
    left, top = corner[0] + LEFT, corner[1] + TOP
    right, bottom = corner[0] + WIDTH - RIGHT, corner[1] + HEIGHT - BOTTOM
    first, last = math.log(budgets[0]), math.log(max(budgets[-1], budgets[0] + 1))

    def place(labels: float, f1: float) -> Point:
        across = (math.log(labels) - first) / (last - first)
        return left + across * (right - left), bottom - f1 * (bottom - top)

    _write(pen, (left, corner[1] + TOP / 2), title, 20, _INK, "lm")
    for tenth in range(0, 11, 2):
        y = place(budgets[0], tenth / 10)[1]
        _line(pen, [(left, y), (right, y)], _FAINT, 1)
        _write(pen, (left - 10, y), f"{tenth / 10:.1f}", 15, _GREY, "rm")
    for budget in budgets:
        _write(pen, (place(budget, 0)[0], bottom + 16), str(budget), 15, _GREY, "mm")
    for how, values in curves.items():
        points = [place(budget, f1) for budget, f1 in zip(budgets, values, strict=True)]
        pieces = _dashes(points) if how == "random" else [points]
        for piece in pieces:
            _line(pen, piece, _COLOURS[how], 3)
        for x, y in points:
            box = [(x - 4) * _FINER, (y - 4) * _FINER, (x + 4) * _FINER, (y + 4) * _FINER]
            pen.ellipse(box, fill=_COLOURS[how])


def _legend(pen: ImageDraw.ImageDraw, middle: float, y: float) -> None:
    texts = (("random", "drawn at random"), ("active", "asked for"))
    for (how, text), x in zip(texts, (middle - 330, middle - 90), strict=True):
        points = [(x, y), (x + 50, y)]
        for piece in _dashes(points) if how == "random" else [points]:
            _line(pen, piece, _COLOURS[how], 3)
        _write(pen, (x + 60, y), text, 17, _INK, "lm")
    _write(pen, (middle + 90, y), "F1 against the number of labels", 17, _GREY, "lm")


def _dashes(points: Sequence[Point]) -> list[list[Point]]:
    """Pieces of a broken line, a gap after each."""
    corners = np.array(points)
    lengths = np.append(0, np.cumsum(np.hypot(*np.diff(corners, axis=0).T)))
    pieces = []
    for start in np.arange(0, lengths[-1], 2 * _DASH):
        end = min(start + _DASH, lengths[-1])
        inside = lengths[(lengths > start) & (lengths < end)]
        along = np.concatenate([[start], inside, [end]])
        xs = np.interp(along, lengths, corners[:, 0])
        ys = np.interp(along, lengths, corners[:, 1])
        pieces.append(list(zip(xs.tolist(), ys.tolist(), strict=True)))
    return pieces


def _line(
    pen: ImageDraw.ImageDraw, points: Sequence[Point], colour: tuple[int, int, int], width: int
) -> None:
    scaled = [(x * _FINER, y * _FINER) for x, y in points]
    pen.line(scaled, fill=colour, width=width * _FINER, joint="curve")


def _write(
    pen: ImageDraw.ImageDraw,
    at: Point,
    text: str,
    size: int,
    colour: tuple[int, int, int],
    anchor: str,
) -> None:
    font = ImageFont.load_default(size * _FINER)
    pen.text((at[0] * _FINER, at[1] * _FINER), text, colour, font, anchor=anchor)
