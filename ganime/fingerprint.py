"""What an image looks like, in 64 bits and 32x32 pixels: the facts near-duplicates are found by.

The hash is the DCT hash ("pHash": Zauner, Implementation and Benchmarking of Perceptual Image Hash
Functions, 2010) of the image without its border. Plain DCT hashes fail on full-body art, where most
of the picture is one white ground: they then describe the ground. So the border goes first, each
side by its own median colour, and so do small marks that float on the ground, such as a signature
or a line of caption.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ganime.images import DecodedImage, Pixels, border_pixels, decode, resize

THUMBNAIL = 32  # side [px]
_WORKING_SIDE = 256  # all is measured on a copy whose longer side is this [px]
_NEAR = 24  # levels of 255: JPEG noise stays below, a pale line on white above
_BORDER = 10  # width of the border that is measured, of 256 [px]
_GROUND_FRACTION = 0.5  # of the border: with less of one colour there is no ground to trim
_SMALL_MARK = 0.05  # of the largest figure's area: smaller ones that float are marks
_LINE_FRACTION = 0.01  # of a row or column: more pixels off the ground make it content

Box = tuple[int, int, int, int]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Facts of one image; see the columns of the same names in `ganime.rows.ImageRow`."""

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


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The content of an image.

    Attributes:
        box: Left, top, right, bottom [px]; right and bottom are the first beyond it.
        pixels: uint8 sRGB [H, W, 3], the image inside the box, floating marks painted over.
    """

    box: Box
    pixels: Pixels


def fingerprint(content: bytes) -> Fingerprint:
    """Decode a file and measure it.

    Raises:
        ImageError: it cannot be used.
    """
    decoded = decode(content, at_least=_WORKING_SIDE)
    image = _working_copy(decoded.pixels)
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
        **_border_facts(image),
        sharpness=float(cv2.Laplacian(_grey(image), cv2.CV_32F).var()),
    )


def phash_pair(grey: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """DCT hash of a picture and of its mirror image.

    Args:
        grey: uint8 [32, 32].

    Returns:
        64 bits each, row by row of the 8 x 8 lowest frequencies, the lowest first: whether the
        coefficient is above the median of all but the mean's.
    """
    coefficients = _DCT @ grey.astype(np.float64) @ _DCT.T
    # Mirroring turns the sign of the odd horizontal frequencies.
    signs = np.where(np.arange(8) % 2, -1.0, 1.0)
    return _bits(coefficients), _bits(coefficients * signs)


def trim(image: Pixels) -> Trimmed:
    """Cut the border off, side by side, then what is left of floating marks.

    A fixed level fails on tinted paper, so each side is trimmed by its own median colour. On a
    plain ground, marks much smaller than the figure (a signature, a caption) do not count as
    content.

    Args:
        image: uint8 sRGB [H, W, 3].
    """
    left, top, right, bottom = trim_box(image)
    inside = image[top:bottom, left:right]
    ground = _ground(image)
    if ground is None:
        return Trimmed((left, top, right, bottom), inside)
    figure = _figure(_differs(inside, ground))
    if not figure.any():
        return Trimmed((left, top, right, bottom), inside)
    x, y, width, height = cv2.boundingRect(figure.astype(np.uint8))
    clean = np.where(figure[..., None], inside, ground.astype(np.uint8))
    return Trimmed(
        (left + x, top + y, left + x + width, top + y + height),
        np.ascontiguousarray(clean[y : y + height, x : x + width]),
    )


def trim_box(image: Pixels) -> Box:
    """Box of the content: what differs from the median colour of each side's outermost line.

    Args:
        image: uint8 sRGB [H, W, 3].

    Returns:
        Left, top, right, bottom [px]; the whole image where nothing would be left.
    """
    height, width = image.shape[:2]
    top = _first_content(image)
    bottom = height - _first_content(image[::-1])
    columns = image.transpose(1, 0, 2)
    left = _first_content(columns)
    right = width - _first_content(columns[::-1])
    if top >= bottom or left >= right:
        return 0, 0, width, height
    return left, top, right, bottom


def _first_content(lines: Pixels) -> int:
    """Index of the first line with content, as seen from the side of line 0."""
    median = np.median(lines[0], axis=0).astype(np.int16)
    content = _differs(lines, median).mean(axis=1) > _LINE_FRACTION
    return int(content.argmax()) if content.any() else len(lines)


def _differs(image: Pixels, colour: npt.NDArray[np.int16]) -> _Mask:
    low = np.clip(colour - _NEAR, 0, 255).astype(np.uint8)
    high = np.clip(colour + _NEAR, 0, 255).astype(np.uint8)
    inside = cv2.inRange(image, low, high)
    return np.asarray(inside == 0)


def _ground(image: Pixels) -> npt.NDArray[np.int16] | None:
    border = border_pixels(image, 2)
    median: npt.NDArray[np.int16] = np.median(border, axis=0).astype(np.int16)
    plain = 1.0 - _differs(border[None], median).mean()
    return median if plain >= _GROUND_FRACTION else None


def _figure(content: _Mask) -> _Mask:
    """The large connected parts of the content and the ground they enclose or touch [H, W]."""
    # Thin gaps in pale line art must not cut a figure apart.
    joined = cv2.dilate(content.astype(np.uint8), np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return content
    large = np.concatenate([[False], areas >= _SMALL_MARK * areas.max()])
    figure: _Mask = large[labels]
    return figure


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


def _border_facts(image: Pixels) -> dict[str, Any]:
    border = border_pixels(image, _BORDER)
    median = np.median(border, axis=0).astype(np.int16)
    grey = _grey(image)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    gradient = cv2.magnitude(across, down)
    edges = border_pixels(np.repeat(gradient[..., None], 3, axis=2), _BORDER)
    return {
        "border_colour": [int(channel) for channel in median],
        "background_fraction": float(1.0 - _differs(border[None], median).mean()),
        "background_texture": float(edges.mean()),
    }


def _dct_matrix() -> npt.NDArray[np.float64]:
    frequency, place = np.arange(8)[:, None], np.arange(THUMBNAIL)[None]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * THUMBNAIL))


def _bits(coefficients: npt.NDArray[np.float64]) -> int:
    values = coefficients.ravel()
    above = values > np.median(values[1:])
    return int.from_bytes(np.packbits(above).tobytes(), "big")


_DCT = _dct_matrix()
