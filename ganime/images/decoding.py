"""A file's pixels, or the reason why there are none."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from ganime.errors import ImageError
from ganime.images.chunks import SIGNATURE as PNG
from ganime.images.chunks import metadata
from ganime.images.intact import JPEG, num_jpeg_pixels, refuse_broken
from ganime.images.pixels import Pixels
from ganime.images.srgb import in_srgb, over_white, to_srgb

MAX_PIXELS = 64_000_000  # 256 MB as RGBA; the largest scans on boorus have about 50 million
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_ORIENTATION = 0x0112  # EXIF tag
_MAX_FRAME_COUNT_BYTES = 16_000_000  # counting a GIF's frames walks the file
# How to set each EXIF orientation upright: rows for columns or not, then the step down and across.
_UPRIGHT = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}
_REDUCED = {  # OpenCV takes only the bits that say by how much; the colours are said beside them
    by: flag & ~cv2.IMREAD_COLOR_BGR
    for by, flag in (
        (1, 0),
        (2, cv2.IMREAD_REDUCED_COLOR_2),
        (4, cv2.IMREAD_REDUCED_COLOR_4),
        (8, cv2.IMREAD_REDUCED_COLOR_8),
    )
}
# Any of these may say how a PNG is turned, and may stand behind its pixels.
_ORIENTED_PNG = (b"eXIf", b"Raw profile type", b"com.adobe.xmp")
_OURS = (JPEG, PNG, b"GIF87a", b"GIF89a", b"BM")
_OTHERS = (  # what boorus also serve, by the bytes it starts with
    b"II*\x00",  # TIFF
    b"MM\x00*",
    b"8BPS",  # Photoshop
    b"\x00\x00\x01\x00",  # icon
    b"\xff\x0a",  # JPEG XL
    b"\x00\x00\x00\x0cJXL ",
    b"\x1aE\xdf\xa3",  # WebM
    b"PK\x03\x04",  # ugoira
    b"FWS",  # Flash
    b"CWS",
    b"ZWS",
    b"%PDF",
)


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """One decoded image.

    Attributes:
        pixels: uint8 sRGB [H, W, 3], upright, composited over white; smaller than the file's where
            a reduced decode was asked for.
        format: By content: JPEG, PNG, WEBP, GIF or BMP.
        mode: Pillow's mode of the file, for example RGBA.
        width: Of the whole file after EXIF orientation [px].
        height: Of the whole file after EXIF orientation [px].
        frames: 1 unless animated.
        alpha_fraction: Share of pixels that are not fully opaque, 0-1.
    """

    pixels: Pixels
    format: str
    mode: str
    width: int
    height: int
    frames: int
    alpha_fraction: float


def decode(content: bytes, *, at_least: int | None = None) -> DecodedImage:
    """Decode an image whole: orientation, colour profile, transparency over white, first frame.

    Args:
        content: A whole file.
        at_least: A reduced decode is enough whose longer side is this long [px]. JPEG and PNG gain
            by it (1/2, 1/4 or 1/8 of their size); a truncated file is noticed all the same.

    Raises:
        ImageError: `empty`, `not_an_image`, `unsupported_format`, `too_large`, `truncated` or
            `damaged`.
    """
    if not content:
        raise ImageError("empty", "the file has no bytes")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            refuse_broken(content)
            return _decode_opened(image, content, at_least)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(content) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too_large", str(error)) from error
    except Exception as error:
        # Pillow's parsers raise whatever hostile bytes make them stumble over: OSError,
        # SyntaxError, struct.error, IndexError, MemoryError, … None may stop a stage.
        reason = "truncated" if _speaks_of_truncation(error) else "damaged"
        raise ImageError(reason, f"{type(error).__name__}: {error}") from error


def check_whole(content: bytes) -> None:
    """Read every byte of a file as its format has it, at a fraction of what `decode` costs.

    A JPEG is decoded at an eighth of its size, which takes its whole entropy-coded stream; a PNG's
    checksums are compared, up to its end mark; all others are decoded.

    Args:
        content: A whole file.

    Raises:
        ImageError: as `decode`.
    """
    if not _seems_whole(content):
        decode(content)  # knows all formats, and says what is wrong


def _decode_opened(image: Image.Image, content: bytes, at_least: int | None) -> DecodedImage:
    _check_size(image)
    width, height = image.size
    mode = image.mode
    # A GIF's frames are counted by walking its blocks, which a huge hostile one would make long.
    frames = getattr(image, "n_frames", 1) if len(content) <= _MAX_FRAME_COUNT_BYTES else 1
    reduction = 1 if at_least is None else _reduction(max(width, height), at_least)
    orientation = _orientation(image, content)
    quick = _decode_plain(image, content, reduction) if frames == 1 else None
    if quick is None:
        image.draft(None, (max(1, width // reduction), max(1, height // reduction)))
        image.load()
        opaque, alpha_fraction = over_white(in_srgb(image))
        pixels = np.array(opaque)
    else:
        pixels, alpha_fraction = quick
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return DecodedImage(
        pixels=_upright(pixels, orientation),
        # A JPEG with several pictures inside calls itself MPO.
        format="JPEG" if image.format == "MPO" else str(image.format),
        mode=mode,
        width=width,
        height=height,
        frames=frames,
        alpha_fraction=alpha_fraction,
    )


def _reduction(side: int, at_least: int) -> int:
    return next((by for by in (8, 4, 2) if side // by >= at_least), 1)


def _decode_plain(
    image: Image.Image, content: bytes, reduction: int
) -> tuple[Pixels, float] | None:
    """The pixels and the share of see-through ones of the common kinds of JPEG and PNG.

    It is up to three times as fast as Pillow, with the same pixels: OpenCV stands on libjpeg-turbo
    as well. None for what is rare, and for what is refused; Pillow then says what is wrong.
    """
    profile = image.info.get("icc_profile")
    if profile and to_srgb(profile, "RGB"):
        return None
    if image.format == "PNG":
        # The compiler behind it takes a quarter of a second to import, and a crawl needs it not.
        from ganime.images.png import read_png

        return read_png(content, reduction)
    if image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | _REDUCED[reduction]
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    return None if pixels is None else (np.asarray(pixels, np.uint8), 0.0)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    if orientation not in _UPRIGHT:
        return pixels
    swapped, down, across = _UPRIGHT[orientation]
    turned = pixels.swapaxes(0, 1) if swapped else pixels
    return np.ascontiguousarray(turned[::down, ::across])


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            "too_large", f"{width} x {height} px, more than {MAX_PIXELS // 1_000_000} million"
        )


def _seems_whole(content: bytes) -> bool:
    """Whether a JPEG or PNG is one that can be read to its end; False leaves the question open."""
    try:
        refuse_broken(content)
        if content.startswith(PNG):
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                _check_size(image)
            return True
        if not content.startswith(JPEG) or not 0 < num_jpeg_pixels(content) <= MAX_PIXELS:
            return False
    except Exception:  # noqa: BLE001 - whatever a parser makes of hostile bytes
        return False
    # None also for CMYK and other kinds that OpenCV does not read.
    return (
        cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8) is not None
    )


def _orientation(image: Image.Image, content: bytes) -> int:
    # Pillow decodes a whole PNG to look behind its pixels, mostly for nothing.
    if image.format == "PNG":
        said = metadata(content)
        if not any(mark in said for mark in _ORIENTED_PNG):
            return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - broken metadata around good pixels, in any parser's words
        return 1


def _unidentified(content: bytes) -> ImageError:
    if content.startswith(_OURS) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP"):
        return ImageError("damaged", "it starts like an image, but its header is broken")
    if content.startswith(_OTHERS) or content[4:8] == b"ftyp":
        return ImageError("unsupported_format", f"wanted one of {', '.join(FORMATS)}")
    return ImageError("not_an_image", f"it starts with {content[:16]!r}")


def _speaks_of_truncation(error: Exception) -> bool:
    words = ("truncated", "not enough", "eof", "incomplete", "unpack_from requires a buffer")
    return isinstance(error, EOFError) or any(word in str(error).lower() for word in words)
