# ruff: noqa: E501 - the path data of a shape is one line
"""What is behind the figures: plain paper, nothing, or something busy."""

from collections.abc import Callable

import numpy as np

from ganime.practice.palette import deep, light, shade
from ganime.practice.svg import ellipse, number, path, star

WHITE = "#ffffff"
OFF_WHITE = ("#fefdfb", "#fcfcff", "#fbfbfb")  # still white to anybody who tags
PALE = {"#f1f1f3": "grey_background", "#fbeff1": "pink_background", "#eef4fc": "blue_background"}
VIVID = ("#ff6fa8", "#5b8cff", "#ffb03a", "#3fc98a", "#a66bf0", "#ef4d57", "#35c3da", "#ffe04f")
BUSY = {  # name: the tags that tell
    "city": ("cityscape", "outdoors", "night"),
    "meadow": ("outdoors", "sky", "cloud", "grass"),
    "stripes": ("striped_background", "colorful"),
    "sunburst": ("sunburst_background", "colorful"),
    "dots": ("polka_dot_background", "colorful"),
    "sparkles": ("gradient_background", "sparkle", "star_(symbol)"),
    "checker": ("checkered_background", "colorful"),
    "shapes": ("abstract_background", "colorful"),
}


def draw_ground(name: str, width: int, height: int, rng: np.random.Generator) -> str:
    """The background as SVG; a name that starts with # is a plain colour."""
    if name == "transparent":
        return ""
    if name.startswith("#"):
        return f'<rect width="{width}" height="{height}" fill="{name}"/>'
    return _BUSY[name](width, height, rng)


def _pick(rng: np.random.Generator, count: int) -> list[str]:
    return [VIVID[int(i)] for i in rng.permutation(len(VIVID))[:count]]


def _gradient(width: int, height: int, top: str, bottom: str) -> str:
    return (
        f'<defs><linearGradient id="g" x1="0" y1="0" x2="0.3" y2="1"><stop stop-color="{top}"/>'
        f'<stop offset="1" stop-color="{bottom}"/></linearGradient></defs>'
        f'<rect width="{width}" height="{height}" fill="url(#g)"/>'
    )


def _city(width: int, height: int, rng: np.random.Generator) -> str:
    parts = [_gradient(width, height, "#2a2760", "#f2739a")]
    parts.append(
        ellipse(
            width * rng.uniform(0.15, 0.85), height * 0.16, height * 0.07, height * 0.07, "#fff2b8"
        )
    )
    for row, colour in ((0.42, "#4a3f86"), (0.58, "#2f2a5e")):
        x = -10.0
        while x < width:
            wide, top = rng.uniform(0.1, 0.2) * width, height * (row + rng.uniform(-0.14, 0.12))
            parts.append(
                f'<rect x="{x:.0f}" y="{top:.0f}" width="{wide:.0f}" height="{height}" fill="{colour}"/>'
            )
            for _ in range(9):
                wx, wy = x + rng.uniform(0.1, 0.8) * wide, rng.uniform(top + 8, height * 0.95)
                parts.append(
                    f'<rect x="{wx:.0f}" y="{wy:.0f}" width="{height * 0.014:.0f}" height="{height * 0.018:.0f}" fill="#ffd866"/>'
                )
            x += wide + 2
    parts.append(f'<rect y="{height * 0.9:.0f}" width="{width}" height="{height}" fill="#55506e"/>')
    return "".join(parts)


def _meadow(width: int, height: int, rng: np.random.Generator) -> str:
    parts = [_gradient(width, height, "#3d9bf0", "#d4f1ff")]
    for _ in range(5):
        x, y = rng.uniform(0, width), rng.uniform(0.05, 0.4) * height
        for dx, r in ((-0.06, 0.035), (0, 0.05), (0.06, 0.04)):
            parts.append(ellipse(x + dx * height, y, r * height * 1.3, r * height, "#ffffff"))
    for row, colour in ((0.62, "#3a9a50"), (0.74, "#55bf4f")):
        y = row * height
        parts.append(
            path(
                f"M0,{y:.0f} Q{width * 0.3:.0f},{y - height * 0.1:.0f} {width * 0.6:.0f},{y:.0f} T{width},{y:.0f} L{width},{height} L0,{height} Z",
                colour,
            )
        )
    for _ in range(46):
        x, y = rng.uniform(0, width), rng.uniform(0.78, 1.0) * height
        parts.append(path(star(x, y, height * 0.016, 5, 0.5), _pick(rng, 1)[0]))
    return "".join(parts)


def _stripes(width: int, height: int, rng: np.random.Generator) -> str:
    colours = _pick(rng, int(rng.integers(2, 5)))
    step = height * rng.uniform(0.05, 0.1)
    lean = rng.uniform(-0.6, 0.6) * height
    parts, x, i = [], -height * 0.7, 0
    while x < width + height * 0.7:
        data = f"M{x:.0f},0 L{x + step + 1:.0f},0 L{x + step + 1 + lean:.0f},{height} L{x + lean:.0f},{height} Z"
        parts.append(path(data, colours[i % len(colours)]))
        x, i = x + step, i + 1
    return "".join(parts)


def _sunburst(width: int, height: int, rng: np.random.Generator) -> str:
    one, two = _pick(rng, 2)
    x, y = width * rng.uniform(0.3, 0.7), height * rng.uniform(0.25, 0.6)
    rays = int(rng.integers(11, 20))
    reach = 1.5 * (width + height)
    parts = [f'<rect width="{width}" height="{height}" fill="{one}"/>']
    for i in range(rays):
        low, high = 2 * np.pi * i / rays, 2 * np.pi * (i + 0.5) / rays
        data = (
            f"M{x:.0f},{y:.0f} L{x + reach * np.cos(low):.0f},{y + reach * np.sin(low):.0f} "
            f"L{x + reach * np.cos(high):.0f},{y + reach * np.sin(high):.0f} Z"
        )
        parts.append(path(data, two))
    return "".join(parts)


def _dots(width: int, height: int, rng: np.random.Generator) -> str:
    base, *colours = _pick(rng, 4)
    step = height * rng.uniform(0.07, 0.12)
    parts = [f'<rect width="{width}" height="{height}" fill="{base}"/>']
    for row in range(int(height / step) + 2):
        for column in range(int(width / step) + 2):
            x = (column + 0.5 * (row % 2)) * step
            colour = colours[(row + 2 * column) % len(colours)]
            parts.append(ellipse(x, row * step, step * 0.3, step * 0.3, colour))
    return "".join(parts)


def _sparkles(width: int, height: int, rng: np.random.Generator) -> str:
    one, two = _pick(rng, 2)
    parts = [_gradient(width, height, deep(one), two)]
    for _ in range(16):
        radius = rng.uniform(0.03, 0.12) * height
        parts.append(
            ellipse(
                rng.uniform(0, width),
                rng.uniform(0, height),
                radius,
                radius,
                light(two),
                extra=' fill-opacity="0.3"',
            )
        )
    for _ in range(44):
        corners = 4 if rng.random() < 0.6 else 5
        inner = 0.22 if corners == 4 else 0.48
        radius = rng.uniform(0.012, 0.05) * height
        place = (rng.uniform(0, width), rng.uniform(0, height))
        parts.append(
            path(star(*place, radius, corners, inner), "#ffffff" if corners == 4 else "#ffe27a")
        )
    return "".join(parts)


def _checker(width: int, height: int, rng: np.random.Generator) -> str:
    one, two = _pick(rng, 2)
    step = height * rng.uniform(0.06, 0.12)
    parts = [f'<rect width="{width}" height="{height}" fill="{one}"/>']
    for row in range(int(height / step) + 1):
        for column in range(row % 2, int(width / step) + 1, 2):
            parts.append(
                f'<rect x="{number(column * step)}" y="{number(row * step)}" '
                f'width="{number(step)}" height="{number(step)}" fill="{two}"/>'
            )
    return "".join(parts)


def _shapes(width: int, height: int, rng: np.random.Generator) -> str:
    base = _pick(rng, 1)[0]
    parts = [_gradient(width, height, light(base), shade(base))]
    for _ in range(70):
        x, y, r = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.02, 0.09) * height
        colour = _pick(rng, 1)[0]
        sort = int(rng.integers(3))
        if sort == 0:
            parts.append(ellipse(x, y, r, r, colour))
        elif sort == 1:
            parts.append(path(star(x, y, r, int(rng.integers(3, 7)), 0.6), colour))
        else:
            ring = f' stroke="{colour}" stroke-width="{number(r * 0.3)}"'
            parts.append(ellipse(x, y, r * 0.9, r * 0.9, "none", extra=ring))
    return "".join(parts)


_BUSY: dict[str, Callable[[int, int, np.random.Generator], str]] = {
    "city": _city,
    "meadow": _meadow,
    "stripes": _stripes,
    "sunburst": _sunburst,
    "dots": _dots,
    "sparkles": _sparkles,
    "checker": _checker,
    "shapes": _shapes,
}
