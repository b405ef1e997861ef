"""What an image looks like, in 64 bits and 32x32 pixels: the facts near-duplicates are found by.

The hash is the DCT hash ("pHash": Zauner, Implementation and Benchmarking of Perceptual Image Hash
Functions, 2010) of the image without its border. Plain DCT hashes fail on full-body art, where most
of the picture is one white ground: they then describe the ground. So the border goes first, each
side by its own median colour, and so do small marks that float on the ground, such as a signature
or a line of caption.

All is measured on a small copy. A JPEG or a PNG is decoded for it at a half, a quarter or an eighth
of its size, never below the copy's: that takes its whole file all the same, so what is broken is
noticed, and half the time.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numba
import numpy as np
import numpy.typing as npt

from ganime.borders import border_pixels, median_colour
from ganime.composition import differs
from ganime.images import DecodedImage, Pixels, decode
from ganime.scaling import resize
from ganime.trimming import Box, trim

THUMBNAIL = 32  # side [px]
_WORKING_SIDE = 256  # all is measured on a copy whose longer side is this [px]
# A reduced decode's, at least [px]. Below one and a half times the copy, scaling by a fraction
# blurs edges: sharpness loses 40 % rather than 10, and a third fewer of framed copies are found.
_DECODED_SIDE = 384
_BORDER = 10  # width of the border that is measured, of 256 [px]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Facts of one image; see the columns of the same names in `ganime.rows.ImageRow`.

    Those of the composition are None where the ground is not clean.
    """

    format: str
    mode: str
    width: int
    height: int
    frames: int
    phash: int
    phash_mirrored: int
    trim_box: list[int]
    thumbnail: bytes
    alpha_fraction: float
    border_colour: list[int]
    background_fraction: float
    background_texture: float
    sharpness: float
    strip_fraction: float
    colour_spread: float
    figures: int | None = None
    touched_left: float | None = None
    touched_top: float | None = None
    touched_right: float | None = None
    touched_bottom: float | None = None


def fingerprint(content: bytes) -> Fingerprint:
    """Decode a file and measure it.

    Raises:
        ImageError: it cannot be used.
    """
    decoded = decode(content, at_least=_DECODED_SIDE)
    image = _working_copy(decoded.pixels)
    grey = _grey(image)
    trimmed = trim(image)
    thumbnail = _square(trimmed.pixels)
    phash, mirrored = phash_pair(_grey(thumbnail))
    return Fingerprint(
        format=decoded.format,
        mode=decoded.mode,
        width=decoded.width,
        height=decoded.height,
        frames=decoded.frames,
        phash=phash,
        phash_mirrored=mirrored,
        trim_box=_in_file(trimmed.box, image, decoded),
        thumbnail=thumbnail.tobytes(),
        alpha_fraction=decoded.alpha_fraction,
        **_border_facts(image, grey),
        sharpness=_sharpness(grey),
        strip_fraction=trimmed.strip_fraction,
        colour_spread=trimmed.colour_spread,
        **(asdict(trimmed.composition) if trimmed.composition else {}),
    )


def phash_pair(grey: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """DCT hash of a picture and of its mirror image.

    Args:
        grey: uint8 [32, 32].

    Returns:
        64 bits each, row by row of the 8 x 8 lowest frequencies, the lowest first: whether the
        coefficient is above the median of all but the mean's.
    """
    hashes = _hashes(grey, _DCT)
    return int(hashes[0]), int(hashes[1])


def _working_copy(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = _WORKING_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    return resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def _square(pixels: Pixels) -> Pixels:
    return resize(pixels, THUMBNAIL, THUMBNAIL)


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _in_file(box: Box, image: Pixels, decoded: DecodedImage) -> list[int]:
    height, width = image.shape[:2]
    across, down = decoded.width / width, decoded.height / height
    return [round(side * scale) for side, scale in zip(box, (across, down) * 2, strict=True)]


def _sharpness(grey: Pixels) -> float:
    """Variance of the Laplacian, the frame mirrored."""
    return _variance_of_laplacian(_mirrored_by_one(grey))


def _border_facts(image: Pixels, grey: Pixels) -> dict[str, Any]:
    border = border_pixels(image, _BORDER)
    median = median_colour(border).astype(np.int16)
    return {
        "border_colour": [int(channel) for channel in median],
        "background_fraction": float(1.0 - differs(border[None], median).mean()),
        "background_texture": round(_border_slope(_mirrored_by_one(grey), _BORDER), 6),
    }


def _mirrored_by_one(grey: Pixels) -> Pixels:
    return np.asarray(cv2.copyMakeBorder(grey, 1, 1, 1, 1, cv2.BORDER_REFLECT_101), np.uint8)


def _dct_matrix() -> npt.NDArray[np.float64]:
    frequency, place = np.arange(8)[:, None], np.arange(THUMBNAIL)[None]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * THUMBNAIL))


_DCT = _dct_matrix()


@numba.njit(cache=True, nogil=True)
def _hashes(grey: Pixels, dct: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Loops and no matrix products, which sum in an order of the processor's own."""
    across = np.zeros((THUMBNAIL, 8))
    for y in range(THUMBNAIL):
        for frequency in range(8):
            for x in range(THUMBNAIL):
                across[y, frequency] += grey[y, x] * dct[frequency, x]
    coefficients = np.zeros((8, 8))
    for frequency in range(8):
        for y in range(THUMBNAIL):
            for x in range(8):
                coefficients[frequency, x] += across[y, x] * dct[frequency, y]
    hashes = np.zeros(2, np.uint64)
    for mirrored in range(2):
        values = coefficients.copy()
        if mirrored:
            values[:, 1::2] *= -1  # the odd horizontal frequencies
        flat = values.ravel()
        median = np.sort(flat[1:])[31]
        for place in range(64):
            bit = np.uint64(flat[place] > median)
            hashes[mirrored] |= bit << np.uint64(63 - place)
    return hashes


@numba.njit(cache=True, nogil=True)
def _variance_of_laplacian(grey: Pixels) -> float:
    """Of all but the outermost pixels; sums of whole numbers are exact on every processor."""
    total = square = 0
    for y in range(1, grey.shape[0] - 1):
        for x in range(1, grey.shape[1] - 1):
            around = np.int32(grey[y - 1, x]) + grey[y + 1, x] + grey[y, x - 1] + grey[y, x + 1]
            value = int(around - 4 * np.int32(grey[y, x]))
            total += value
            square += value * value
    num = (grey.shape[0] - 2) * (grey.shape[1] - 2)
    return float(square / num - (total / num) ** 2)


@numba.njit(cache=True, nogil=True)
def _border_slope(grey: Pixels, width: int) -> float:
    """Mean length of Sobel's gradient in a border, levels a pixel.

    Args:
        grey: uint8 [H + 2, W + 2], an image and one pixel more around it.
        width: Of the border [px]; a thin image is all border.
    """
    rows, columns = grey.shape[0] - 2, grey.shape[1] - 2
    total, num = 0.0, 0
    for y in range(1, rows + 1):
        whole = y <= width or y > rows - width
        x = 1
        while x <= columns:
            above, below = grey[y - 1], grey[y + 1]
            corners = np.int32(below[x + 1]) - above[x - 1]
            others = np.int32(above[x + 1]) - below[x - 1]
            across = corners + others + 2 * (np.int32(grey[y, x + 1]) - grey[y, x - 1])
            down = corners - others + 2 * (np.int32(below[x]) - above[x])
            total += math.sqrt(across * across + down * down) / 8  # a step of one level has 8
            num += 1
            x += 1
            if not whole and x == width + 1:
                x = max(x, columns - width + 1)
    return total / num
