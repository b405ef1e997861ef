"""Pictures: characters placed on a ground, seen from somewhere, rasterised."""

from dataclasses import dataclass

import cv2
import numpy as np
import resvg_py
from numpy.typing import NDArray

from ganime.practice.characters import Character, View
from ganime.practice.figure import CHIBI_BODY, HEIGHT, draw_chibi, draw_figure, half_width
from ganime.practice.grounds import draw_ground
from ganime.practice.svg import group

Pixels = NDArray[np.uint8]
FILL = (0.9, 0.94)  # share of the picture's height that a standing figure takes
VIEWS: dict[str, View] = {"from_behind": "back", "from_side": "side"}
TILT = {  # widths of the upper and the lower edge after the perspective, and the height
    "from_above": (1.28, 0.42, 0.86),
    "from_below": (0.52, 1.35, 0.92),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that is decided about one picture; two equal ones give equal pixels."""

    kind: str  # standing, chibi, multiple, flashy or viewpoint
    characters: tuple[Character, ...]
    viewpoint: str  # front, from_behind, from_side, from_above, from_below or lying
    ground: str  # a colour, `transparent`, or the name of a busy background
    height: int  # [px]
    slack: float  # width beyond what the figures need, as a share of the height
    fill: float
    seed: tuple[int, int]  # of the random details of a busy background

    @property
    def view(self) -> View:
        """The side from which the figures themselves are drawn."""
        return VIEWS.get(self.viewpoint, "front")


def render(scene: Scene) -> Pixels:
    """Draw a scene.

    Returns:
        uint8 sRGB [H, W, 3], or with alpha [H, W, 4] on a transparent ground.
    """
    content, needed = _content(scene)
    size = scene.height
    scale = scene.fill * size / HEIGHT
    width = round(needed * scale + scene.slack * size)
    transform = (
        f"translate({width / 2:.2f} {size * (1 - scene.fill) * 0.58:.2f}) scale({scale:.4f})"
    )
    placed = group([content], transform)
    if scene.viewpoint == "lying":
        turn = -90 if scene.characters[0].flipped else 90
        width, size = size, width
        placed = group(
            [placed],
            f"translate({width / 2} {size / 2}) rotate({turn}) translate({-size / 2} {-width / 2})",
        )
    ground = draw_ground(scene.ground, width, size, np.random.default_rng(scene.seed))
    markup = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{size}">'
        f"{ground}{placed}</svg>"
    )
    pixels = _rasterise(markup, scene.ground == "transparent")
    return _tilt(pixels, *TILT[scene.viewpoint]) if scene.viewpoint in TILT else pixels


def _rasterise(markup: str, alpha: bool) -> Pixels:
    png = resvg_py.svg_to_bytes(svg_string=markup, skip_system_fonts=True)
    mode = cv2.IMREAD_UNCHANGED if alpha else cv2.IMREAD_COLOR
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), mode)
    assert decoded is not None  # resvg wrote it
    order = cv2.COLOR_BGRA2RGBA if alpha else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(decoded, order), dtype=np.uint8)


def _content(scene: Scene) -> tuple[str, float]:
    """The figures around x = 0, and the width they need [figure units]."""
    first = scene.characters[0]
    if scene.kind == "chibi":
        return draw_chibi(first), max(270, 2 * CHIBI_BODY[0] * half_width(first))
    if scene.kind != "multiple":
        return draw_figure(first, scene.view), 2 * half_width(first)
    reaches = [half_width(character) for character in scene.characters]
    total = 2 * sum(reaches)
    parts, left = [], -total / 2
    for i, (character, reach) in enumerate(zip(scene.characters, reaches, strict=True)):
        shorter = 1 - 0.06 * ((i + scene.height) % 3)
        lowered = HEIGHT * (1 - shorter)
        parts.append(
            group(
                [draw_figure(character)],
                f"translate({left + reach:.1f} {lowered:.1f}) scale({shorter:.2f})",
            )
        )
        left += 2 * reach
    return group(parts), total


def _tilt(pixels: Pixels, upper: float, lower: float, tall: float) -> Pixels:
    """Perspective: the near end grows, the far end shrinks."""
    height, width = pixels.shape[:2]
    wide = round(width * max(upper, lower) * 0.94)
    top, bottom = (1 - tall) / 2 * height, (1 + tall) / 2 * height
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    target = np.array(
        [
            [(wide - upper * width) / 2, top],
            [(wide + upper * width) / 2, top],
            [(wide + lower * width) / 2, bottom],
            [(wide - lower * width) / 2, bottom],
        ],
        np.float32,
    )
    matrix = cv2.getPerspectiveTransform(source, target)
    border = tuple(int(value) for value in pixels[0, 0])
    warped = cv2.warpPerspective(
        pixels, matrix, (wide, height), flags=cv2.INTER_AREA, borderValue=border
    )
    return np.asarray(warped, dtype=np.uint8)
