"""From what a network draws to what is asked for: size, ground, and a file that explains itself."""

import io
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganime.studio.characters import Character, Format
from ganime.studio.matte import cut_out
from ganime.training.pictures import described_png
from ganime.training.sheets import square

Pixels = npt.NDArray[np.uint8]
QUALITY = 90  # of JPEG and WebP: above it files grow and nothing is seen
PNG_LEVEL = 1  # of 12: half of the time of 6, and files no larger to a third larger
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


def finish(pixels: Pixels, wanted: Character) -> Pixels:
    """An image as its settings say: uint8 sRGB [S, S, 3], or [S, S, 4] on a transparent ground."""
    if wanted.background == "transparent":
        pixels = cut_out(pixels)
    return pixels if wanted.size is None else resized(pixels, wanted.size)


def resized(pixels: Pixels, size: int) -> Pixels:
    """An image with its longer side at a size; nothing of a transparent ground bleeds into it."""
    height, width = pixels.shape[:2]
    if max(height, width) == size:
        return pixels
    scale = size / max(height, width)
    new = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(pixels)
    if image.mode == "RGBA":  # colours weighed by alpha, else hidden ones would shine through
        return np.array(image.convert("RGBa").resize(new, Image.Resampling.LANCZOS).convert("RGBA"))
    return np.array(image.resize(new, Image.Resampling.LANCZOS))


def encode(pixels: Pixels, format: Format, wanted: Character, nimg: int) -> bytes:
    """An image as a file.

    Args:
        pixels: uint8 sRGB [H, W, 3 or 4]; JPEG has no alpha.
        format: Which kind.
        wanted: Its settings, which a PNG holds as text: one entry for each, as
            `ganime generate` writes them, and all of them as `ganime:settings`.
        nimg: Real images shown to the model.
    """
    if format == "png":
        plain = wanted.plain()
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
        known = {"model": wanted.model.partition("@")[0], "nimg": nimg, "seed": wanted.seed}
        listed = {"truncation": wanted.truncation, "tags": wanted.tags}
        told = {**known, **listed, "settings": text}
        return described_png(pixels, told, level=PNG_LEVEL)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, quality=QUALITY)
    return buffer.getvalue()


def sheet(images: Sequence[Pixels]) -> Pixels:
    """Images of one size as one, on white: uint8 sRGB [rows·S, columns·S, 3]."""
    return square(np.stack([over_white(image) for image in images]))


def over_white(pixels: Pixels) -> Pixels:
    """An image without alpha."""
    if pixels.shape[2] == 3:
        return pixels
    share = pixels[..., 3:].astype(np.float32) / 255
    return np.rint(share * pixels[..., :3] + (1 - share) * 255).astype(np.uint8)
