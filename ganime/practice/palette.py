"""Colours of the drawn characters, and the shades and outlines derived from them."""

import colorsys
from functools import lru_cache

HAIR = {
    "blonde": "#ffd964",
    "brown": "#8d5a3a",
    "black": "#3d3b4d",
    "blue": "#4a82e8",
    "pink": "#ff94be",
    "red": "#d9363f",
    "green": "#4cb96a",
    "purple": "#9a63d6",
    "white": "#e9ecf6",
    "orange": "#ff8f3c",
}
EYES = {
    "blue": "#2f7be6",
    "green": "#2fae5b",
    "red": "#e0343c",
    "brown": "#97582c",
    "purple": "#8b49d4",
    "yellow": "#efb320",
    "pink": "#f25c9c",
    "aqua": "#22b9c9",
}
SKIN = {"fair": "#ffe3d1", "pale": "#fff1ea", "tan": "#eebc8f", "dark": "#a86f4c"}
CLOTH = {
    "red": "#d8323f",
    "blue": "#3566cf",
    "green": "#2f9e5e",
    "black": "#383845",
    "pink": "#ff8db4",
    "purple": "#8450c4",
    "yellow": "#f9c932",
    "aqua": "#3fc6cf",
    "orange": "#f5812a",
    "brown": "#8a5c3d",
    "white": "#f7f7fb",
    "grey": "#9aa0ad",
}
PALE = 0.965  # lightness above which a hue is not seen, and would come out garish when darkened
LEATHER = {"brown": "#7b4a2c", "black": "#33323c", "red": "#b92e38", "white": "#f3f3f7"}


@lru_cache(maxsize=1024)
def shift(colour: str, light: float, turn: float = 0.0, strength: float = 1.0) -> str:
    """A colour with its lightness multiplied, its hue turned and its saturation multiplied.

    Args:
        colour: `#rrggbb`.
        light: Factor of the lightness.
        turn: Added to the hue [turns].
        strength: Factor of the saturation.
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    back = colorsys.hls_to_rgb(
        (hue + turn) % 1.0, min(lightness * light, 1.0), min(saturation * strength, 1.0)
    )
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in back)


def shade(colour: str) -> str:
    """The second tone of cel shading: darker and a little colder."""
    if _lightness(colour) > PALE:
        return "#dcdfec"
    return shift(colour, 0.84, 0.015, 0.8)


def deep(colour: str) -> str:
    """A third tone, for folds and what lies behind."""
    if _lightness(colour) > PALE:
        return "#b9bfd6"
    return shift(colour, 0.68, 0.015, 0.65)


def light(colour: str) -> str:
    """The tone of a highlight."""
    lightness = _lightness(colour)
    return shift(colour, (lightness + 0.45 * (1 - lightness)) / max(lightness, 0.05))


def outline(colour: str) -> str:
    """The line around a shape: the same hue, dark."""
    lightness = _lightness(colour)
    if lightness > PALE:
        return "#6a708c"
    return shift(colour, max(0.2, 0.5 - 0.16 * lightness), 0.02, 0.65)


def _lightness(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return (max(channels) + min(channels)) / 2
