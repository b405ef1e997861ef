"""Shapes as SVG text: the few kinds of strokes that the characters are drawn with."""

import math
from collections.abc import Iterable, Sequence

from ganime.practice.palette import outline

Point = tuple[float, float]
LINE = 2.3  # width of outlines [figure units; a figure is 500 high]


def number(value: float) -> str:
    """A coordinate, short and the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")


def path(
    data: str, fill: str = "none", line: str | None = None, width: float = LINE, extra: str = ""
) -> str:
    """One path; without `line` it has no stroke."""
    stroke = (
        f' stroke="{line}" stroke-width="{number(width)}" stroke-linejoin="round"'
        ' stroke-linecap="round"'
        if line
        else ""
    )
    return f'<path d="{data}" fill="{fill}"{stroke}{extra}/>'


def shape(data: str, colour: str, width: float = LINE) -> str:
    """A filled shape with the outline that suits its colour."""
    return path(data, colour, outline(colour), width)


def ellipse(
    x: float, y: float, rx: float, ry: float, fill: str, line: str | None = None, extra: str = ""
) -> str:
    """One ellipse, outlined if `line` is given."""
    stroke = f' stroke="{line}" stroke-width="{LINE}"' if line else ""
    return (
        f'<ellipse cx="{number(x)}" cy="{number(y)}" rx="{number(rx)}" ry="{number(ry)}"'
        f' fill="{fill}"{stroke}{extra}/>'
    )


def line(data: str, colour: str, width: float = LINE * 0.7) -> str:
    """An open line without filling."""
    return path(data, "none", colour, width)


def group(parts: Iterable[str], transform: str = "") -> str:
    """Several shapes under one transform."""
    body = "".join(parts)
    return f'<g transform="{transform}">{body}</g>' if transform else f"<g>{body}</g>"


def mirror(part: str) -> str:
    """The same on the other side of the axis x = 0."""
    return group([part], "scale(-1 1)")


def both(part: str) -> str:
    """A shape and its mirror image."""
    return part + mirror(part)


def polyline(points: Iterable[Point]) -> str:
    """Path data through points, straight, open."""
    return "M" + "L".join(f"{number(x)},{number(y)}" for x, y in points)


def polygon(points: Iterable[Point]) -> str:
    """Path data through points, straight, closed."""
    return polyline(points) + "Z"


def smooth(points: Sequence[Point], closed: bool = True) -> str:
    """Path data of a Catmull-Rom curve through the points."""
    count = len(points)
    data = [f"M{number(points[0][0])},{number(points[0][1])}"]
    for i in range(count if closed else count - 1):
        if closed:
            before, start = points[i - 1], points[i]
            end, after = points[(i + 1) % count], points[(i + 2) % count]
        else:
            before, start = points[max(i - 1, 0)], points[i]
            end, after = points[i + 1], points[min(i + 2, count - 1)]
        first = (start[0] + (end[0] - before[0]) / 6, start[1] + (end[1] - before[1]) / 6)
        second = (end[0] - (after[0] - start[0]) / 6, end[1] - (after[1] - start[1]) / 6)
        numbers = (*first, *second, *end)
        data.append("C" + " ".join(number(value) for value in numbers))
    return "".join(data) + ("Z" if closed else "")


def star(x: float, y: float, radius: float, points: int = 5, inner: float = 0.45) -> str:
    """Path data of a star."""
    corners = []
    for i in range(2 * points):
        reach = radius if i % 2 == 0 else radius * inner
        angle = math.pi * i / points - math.pi / 2
        corners.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
    return polygon(corners)


class Limb:
    """An arm or a leg: a smooth tube through joints, of which any stretch can be drawn.

    Args:
        joints: (x, y, radius) from the root to the tip.
    """

    STEPS = 7  # samples between two joints

    def __init__(self, joints: Sequence[tuple[float, float, float]]) -> None:
        self.samples = [
            _spline(joints, i, step / self.STEPS)
            for i in range(len(joints) - 1)
            for step in range(self.STEPS)
        ] + [joints[-1]]
        self.tip = joints[-1]
        self.angle = math.degrees(
            math.atan2(joints[-1][1] - joints[-2][1], joints[-1][0] - joints[-2][0])
        )

    def at(self, place: float) -> tuple[float, float, float]:
        """(x, y, radius) at a place, 0 at the root and 1 at the tip."""
        return self.samples[round(place * (len(self.samples) - 1))]

    def tube(
        self, start: float = 0.0, end: float = 1.0, wider: float = 0.0, flare: float = 0.0
    ) -> str:
        """Path data of the stretch from `start` to `end`.

        Args:
            wider: Added to the radius, for clothes.
            flare: Added on top, growing towards `end`.
        """
        last = len(self.samples) - 1
        low, high = round(start * last), round(end * last)
        left, right = [], []
        for i in range(low, high + 1):
            x, y, radius = self.samples[i]
            before, after = self.samples[max(i - 1, 0)], self.samples[min(i + 1, last)]
            dx, dy = after[0] - before[0], after[1] - before[1]
            length = math.hypot(dx, dy) or 1.0
            grown = radius + wider + flare * (i - low) / max(high - low, 1)
            left.append((x - dy / length * grown, y + dx / length * grown))
            right.append((x + dy / length * grown, y - dx / length * grown))
        return polygon(left + right[::-1])


def _spline(
    joints: Sequence[tuple[float, float, float]], i: int, t: float
) -> tuple[float, float, float]:
    ends = (joints[max(i - 1, 0)], joints[i], joints[i + 1], joints[min(i + 2, len(joints) - 1)])
    a, b, c, d = (
        0.5 * (-t + 2 * t * t - t**3),
        0.5 * (2 - 5 * t * t + 3 * t**3),
        0.5 * (t + 4 * t * t - 3 * t**3),
        0.5 * (-t * t + t**3),
    )
    x, y, radius = (
        a * ends[0][k] + b * ends[1][k] + c * ends[2][k] + d * ends[3][k] for k in range(3)
    )
    return (x, y, radius)
