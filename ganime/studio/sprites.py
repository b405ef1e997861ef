"""Sprites for games: single pictures, a sheet of them, and an atlas that says where each lies."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import ganime
from ganime.errors import ConfigError
from ganime.images import encode_png

Pixels = npt.NDArray[np.uint8]
GAP = 2  # px between sprites: filtering at other scales must not fetch the neighbour's edge
LARGEST_SHEET = 8192  # px a side; the largest texture that every desktop GPU takes
CARD = "LICENCE.md"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of all members: equal sprites give equal archives


@dataclass(frozen=True, slots=True)
class Sprite:
    """One picture to pack.

    Attributes:
        name: Of its file.
        pixels: uint8 sRGB with straight alpha [H, W, 4].
        source: Width and height before it was trimmed [px].
        corner: Where its left top corner lay there [px].
    """

    name: str
    pixels: Pixels
    source: tuple[int, int]
    corner: tuple[int, int]


def sprite(name: str, pixels: Pixels, *, trim: bool) -> Sprite:
    """A picture as a sprite.

    Args:
        name: Of its file.
        pixels: uint8 sRGB [H, W, 3 or 4].
        trim: Whether to leave out what is transparent around it.
    """
    if pixels.shape[2] == 3:
        pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    height, width = pixels.shape[:2]
    seen = pixels[..., 3] > 0
    if not trim or not seen.any():
        return Sprite(name, pixels, (width, height), (0, 0))
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    cut = pixels[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return Sprite(name, cut, (width, height), (left, top))


def pack(
    sprites: Sequence[Sprite], *, power_of_two: bool
) -> tuple[Pixels, Sequence[tuple[int, int]]]:
    """Put sprites side by side in rows, the tallest first, on as square a sheet as they allow.

    Args:
        sprites: At least one.
        power_of_two: Whether the sheet's sides shall be powers of two, as older GPUs want.

    Returns:
        uint8 sRGB with alpha [H, W, 4], and the left top corner of each sprite [px].

    Raises:
        ConfigError: a side would be too long for a texture.
    """
    shapes = [one.pixels.shape[:2] for one in sprites]
    area = sum((height + GAP) * (width + GAP) for height, width in shapes)
    across = max(max(width for _, width in shapes), int(np.ceil(np.sqrt(area))))
    if power_of_two:
        across = _power(across)
    corners, height = _rows(shapes, across)
    across = max(left + shape[1] for (left, _), shape in zip(corners, shapes, strict=True))
    if power_of_two:
        across, height = _power(across), _power(height)
    if max(across, height) > LARGEST_SHEET:
        raise ConfigError(
            f"the sheet would be {across} x {height} px, wanted at most {LARGEST_SHEET} a side: "
            "ask for fewer or smaller sprites, or set sheet to false"
        )
    canvas = np.zeros((height, across, 4), np.uint8)
    for one, (left, top) in zip(sprites, corners, strict=True):
        tall, wide = one.pixels.shape[:2]
        canvas[top : top + tall, left : left + wide] = one.pixels
    return canvas, corners


def _rows(shapes: Sequence[tuple[int, int]], across: int) -> tuple[Sequence[tuple[int, int]], int]:
    corners = [(0, 0)] * len(shapes)
    left = top = deep = 0
    for place in sorted(range(len(shapes)), key=lambda place: (-shapes[place][0], place)):
        height, width = shapes[place]
        if left and left + width > across:
            left, top, deep = 0, top + deep + GAP, 0
        corners[place] = (left, top)
        left, deep = left + width + GAP, max(deep, height)
    return corners, top + deep


def _power(side: int) -> int:
    return 1 << (side - 1).bit_length()


def atlas(
    sprites: Sequence[Sprite], corners: Sequence[tuple[int, int]], sheet: Pixels
) -> dict[str, Any]:
    """Where each sprite lies, in the JSON-hash form of TexturePacker that engines read."""
    frames = {
        one.name: {
            "frame": _box(*corner, *one.pixels.shape[1::-1]),
            "rotated": False,
            "trimmed": one.pixels.shape[1::-1] != one.source,
            "spriteSourceSize": _box(*one.corner, *one.pixels.shape[1::-1]),
            "sourceSize": {"w": one.source[0], "h": one.source[1]},
        }
        for one, corner in zip(sprites, corners, strict=True)
    }
    meta = {
        "app": "ganime",
        "version": ganime.__version__,
        "image": "sheet.png",
        "format": "RGBA8888",
        "size": {"w": sheet.shape[1], "h": sheet.shape[0]},
        "scale": "1",
    }
    return {"frames": frames, "meta": meta}


def _box(left: int, top: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}


def archive(sprites: Sequence[Sprite], card: str, *, sheet: bool, power_of_two: bool) -> bytes:
    """All as one zip: the single pictures, the sheet with its atlas, and the card.

    Args:
        sprites: At least one.
        card: Where they come from and whose rights to mind.
        sheet: Whether to make a sheet and an atlas.
        power_of_two: See `pack`.

    Raises:
        ConfigError: the sheet would be too large.
    """
    members = {one.name: encode_png(one.pixels) for one in sprites}
    if sheet:
        canvas, corners = pack(sprites, power_of_two=power_of_two)
        members["sheet.png"] = encode_png(canvas)
        members["atlas.json"] = json.dumps(atlas(sprites, corners, canvas), indent=1).encode()
    members[CARD] = card.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            # PNG is deflated already.
            kind = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            file.writestr(zipfile.ZipInfo(name, _EPOCH), content, kind)
    return buffer.getvalue()
