"""What an image looks like, in 64 bits and 32x32 pixels: the facts near-duplicates are found by.

The hash is the DCT hash ("pHash": Zauner, Implementation and Benchmarking of Perceptual Image Hash
Functions, 2010) of the image without its border. Plain DCT hashes fail on full-body art, where most
of the picture is one white ground: they then describe the ground. So the border goes first, each
side by its own median colour, and so do small marks that float on the ground, such as a signature
or a line of caption.
"""

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ganime.composition import (
    Colour,
    Composition,
    Mask,
    close,
    colour_spread,
    composition,
    differs,
    filled,
    ground_colour,
    large,
)
from ganime.images import DecodedImage, Pixels, border_pixels, decode, median_colour
from ganime.scaling import resize

THUMBNAIL = 32  # side [px]
_WORKING_SIDE = 256  # all is measured on a copy whose longer side is this [px]
_BORDER = 10  # width of the border that is measured, of 256 [px]
_FIGURE = 0.05  # of the largest figure's area: smaller ones do not count for the box
_MARK = 0.01  # of the largest part's area: smaller ones that float are painted over
_STRIP = 0.2  # of the height or width: nothing thicker is a strip
_STRIP_CLEAN = 0.1  # of a line between the letters and the picture at most
_STRIP_END = 0.85  # of a line differ right beyond a strip
_THICK_FRACTION = 0.5  # of the content: with less left there are only thin lines
_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))  # thinner strokes are writing
_LINE_FRACTION = 0.01  # of a row or column: more pixels off the ground make it content

Box = tuple[int, int, int, int]


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


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The content of an image.

    Attributes:
        box: Left, top, right, bottom [px]; right and bottom are the first beyond it.
        pixels: uint8 sRGB [H, W, 3], the image inside the box, floating marks painted over.
        strip_fraction: Share of the image that strips along its sides take.
        colour_spread: See `ganime.composition.colour_spread`; of what is not ground.
        composition: Of the image without its strips; None where the ground is not clean.
    """

    box: Box
    pixels: Pixels
    strip_fraction: float
    colour_spread: float
    composition: Composition | None


def fingerprint(content: bytes) -> Fingerprint:
    """Decode a file and measure it.

    Raises:
        ImageError: it cannot be used.
    """
    decoded = decode(content, at_least=_WORKING_SIDE)
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
    coefficients = _DCT @ grey.astype(np.float64) @ _DCT.T
    # Mirroring turns the sign of the odd horizontal frequencies.
    signs = np.where(np.arange(8) % 2, -1.0, 1.0)
    return _bits(coefficients), _bits(coefficients * signs)


def trim(image: Pixels) -> Trimmed:
    """Cut the border off, side by side, then what is left of floating marks.

    A fixed level fails on tinted paper, so each side is trimmed by its own median colour. A strip
    of another colour along a side, with a caption or without, goes first. On a plain ground, marks
    much smaller than the figure (a signature, a line of text) do not count as content.

    Args:
        image: uint8 sRGB [H, W, 3].
    """
    off_median = _off_median(image)
    strips = [_strip(off) for off in off_median]
    picture = _without(image, strips)
    strip_fraction = 1.0 - (picture.shape[0] * picture.shape[1]) / (image.shape[0] * image.shape[1])
    if any(strips):
        off_median = _off_median(picture)
    margins = [_margin(off) for off in off_median]
    height, width = picture.shape[:2]
    if margins[0] + margins[2] >= width or margins[1] + margins[3] >= height:
        margins = [0, 0, 0, 0]  # nothing would be left
    box = (margins[0], margins[1], width - margins[2], height - margins[3])
    ground = ground_colour(picture)
    content = None if ground is None else differs(picture, ground)
    spread = colour_spread(picture, content)
    if ground is not None and content is not None:
        picture, box = _without_marks(picture, box, ground, content)
    left, top, right, bottom = box
    return Trimmed(
        (strips[0] + left, strips[1] + top, strips[0] + right, strips[1] + bottom),
        np.ascontiguousarray(picture[top:bottom, left:right]),
        strip_fraction,
        spread,
        None if content is None else composition(content),
    )


def _off_median(image: Pixels) -> list[npt.NDArray[np.float64]]:
    """For the left, the top, the right and the bottom: of each line, from the outermost inwards,
    the share of pixels that differ from the outermost line's median colour.
    """
    outermost = (image[:, 0], image[0], image[:, -1], image[-1])
    shares = []
    for side, line in enumerate(outermost):
        near = close(image, median_colour(line).astype(np.int16))
        along = side % 2  # the lines of left and right are columns
        num_near = cv2.reduce(near, along, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() // 255
        share = 1.0 - num_near / near.shape[along]
        shares.append(share[::-1] if side >= 2 else share)
    return shares


def _without(image: Pixels, margins: list[int]) -> Pixels:
    left, top, right, bottom = margins
    height, width = image.shape[:2]
    return image[top : height - bottom, left : width - right]


def _margin(off_median: npt.NDArray[np.float64]) -> int:
    """Lines without content at one side."""
    content = off_median > _LINE_FRACTION
    return int(content.argmax()) if content.any() else len(content)


def _strip(off_median: npt.NDArray[np.float64]) -> int:
    """Thickness of a strip at one side; 0 if there is none.

    A strip is of one colour but for letters, and ends at once all along the line, as no drawing
    does: a clean line, then one of which nearly all differs.
    """
    off = off_median[: round(_STRIP * len(off_median)) + 2]
    ends = off > _STRIP_END
    if not ends.any() or (thickness := int(ends.argmax())) < 2:
        return 0
    # One line may hold a bit of both.
    clean = off[thickness - 2 : thickness].min() < _STRIP_CLEAN
    return thickness if clean else 0


def _without_marks(picture: Pixels, box: Box, ground: Colour, content: Mask) -> tuple[Pixels, Box]:
    """The picture with its small floating marks painted over, and the box of the figures."""
    left, top, right, bottom = box
    content = content[top:bottom, left:right]
    x, y, width, height = cv2.boundingRect(_figures(content))
    if not width:
        return picture, box
    clean = _flat(picture.shape[0], picture.shape[1], ground)
    cv2.copyTo(
        picture[top:bottom, left:right], large(content, _MARK), clean[top:bottom, left:right]
    )
    return clean, (left + x, top + y, left + x + width, top + y + height)


def _figures(content: Mask) -> Pixels:
    """The large parts of the content, without thin strokes that hang on to them, uint8 [H, W].

    A signature may cross the feet, so whatever is thinner than a few pixels goes. What outlines
    enclose counts as content, or line art of pale figures would go too.
    """
    solid = filled(content)
    thick = np.asarray(cv2.morphologyEx(solid, cv2.MORPH_OPEN, _DISC), np.uint8)
    if thick.sum() < _THICK_FRACTION * solid.sum():
        thick = solid  # a sketch of open lines
    return large(thick, _FIGURE)


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


def _flat(height: int, width: int, colour: Colour) -> Pixels:
    flat = np.empty((height, width, 3), np.uint8)
    cv2.rectangle(flat, (0, 0), (width, height), tuple(colour.tolist()), cv2.FILLED)
    return flat


def _sharpness(grey: npt.NDArray[np.uint8]) -> float:
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return _stable(deviation.item() ** 2)


def _border_facts(image: Pixels, grey: npt.NDArray[np.uint8]) -> dict[str, Any]:
    border = border_pixels(image, _BORDER)
    median = median_colour(border).astype(np.int16)
    slopes = [np.asarray(slope, np.float32)[..., None] for slope in cv2.spatialGradient(grey)]
    across, down = (border_pixels(slope, _BORDER) for slope in slopes)
    edges = cv2.magnitude(across, down) / 8  # a step of one level has a slope of 8
    return {
        "border_colour": [int(channel) for channel in median],
        "background_fraction": float(1.0 - differs(border[None], median).mean()),
        "background_texture": _stable(np.mean(edges, dtype=np.float64)),
    }


def _dct_matrix() -> npt.NDArray[np.float64]:
    frequency, place = np.arange(8)[:, None], np.arange(THUMBNAIL)[None]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * THUMBNAIL))


def _bits(coefficients: npt.NDArray[np.float64]) -> int:
    values = coefficients.ravel()
    above = values > np.median(values[1:])
    return int.from_bytes(np.packbits(above).tobytes(), "big")


_DCT = _dct_matrix()


def _stable(value: float) -> float:
    """The same on every run: how sums are grouped depends on where an array lies in memory."""
    return round(float(value), 6)
