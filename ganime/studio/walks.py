"""The points of a walk from character to character."""

from collections.abc import Sequence

from ganime.studio.engine import Engine, Point
from ganime.studio.points import between


def walk(engine: Engine, points: Sequence[Point], num: int, *, loop: bool) -> list[Point]:
    """Points on the way, equally many on each leg as nearly as it divides.

    Args:
        engine: Who draws them: lines between its styles, arcs between its latents.
        points: Where it leads through, at least two.
        num: How many, at least two.
        loop: Whether it leads back to the first, which is then not drawn twice.
    """
    legs = len(points) if loop else len(points) - 1
    stations = [*points, points[0]] if loop else list(points)
    steps = num if loop else num - 1
    found = []
    for number in range(num):
        leg, rest = divmod(number * legs, steps)
        if rest == 0:  # the characters themselves, exactly
            found.append(stations[leg])
        else:
            found.append(between(engine, stations[leg], stations[leg + 1], rest / steps))
    return found
