"""Bytes of unknown origin to sRGB pixels, and back.

Whatever arrives is hostile until it is decoded whole: only a few formats are tried, the size is
checked before any pixel is, and every complaint of the decoder becomes an `ImageError` with a short
reason. Only a full decode notices a truncated file, so nothing here trusts a header alone.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

from ganime.errors import ImageError

Pixels = npt.NDArray[np.uint8]
Number = TypeVar("Number", np.uint8, np.float32)

MAX_PIXELS = 64_000_000  # 256 MB as RGBA; the largest scans on boorus have about 50 million
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_SCANS = 100  # of a JPEG; encoders write 10, and each is a pass over all the pixels
_WHITE = (255, 255, 255)
_ORIENTATION = 0x0112  # EXIF tag
_ROWS = 256  # worked on at once
_MAX_FRAME_COUNT_BYTES = 16_000_000  # counting a GIF's frames walks the file
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG = b"\xff\xd8\xff"
_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # no restart, and no stuffed byte of a scan
_PNG = b"\x89PNG\r\n\x1a\n"
_OURS = (_JPEG, _PNG, b"GIF87a", b"GIF89a", b"BM")
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
        at_least: A reduced decode is enough whose sides are both this long [px]. JPEG alone gains
            by it (it decodes at 1/2, 1/4 or 1/8); a truncated file is noticed all the same.

    Raises:
        ImageError: `empty`, `not_an_image`, `unsupported_format`, `too_large`, `truncated` or
            `damaged`.
    """
    if not content:
        raise ImageError("empty", "the file has no bytes")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_whole(content)
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
    if not content.startswith((_JPEG, _PNG)):
        decode(content)
        return
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image)
            _check_whole(content)
    except Exception as error:
        decode(content)  # says what is wrong
        raise ImageError("damaged", str(error)) from error
    if content.startswith(_JPEG):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        if pixels is None:
            decode(content)  # CMYK and other kinds that OpenCV does not read


def border_pixels(pixels: npt.NDArray[Number], width: int) -> npt.NDArray[Number]:
    """The outermost pixels of an image.

    Args:
        pixels: Any type [H, W, C].
        width: Of the border [px]; a thin image is all border.

    Returns:
        The same type [N, C], every pixel once.
    """
    height, across, channels = pixels.shape
    if height <= 2 * width or across <= 2 * width:
        return pixels.reshape(-1, channels)
    middle = pixels[width:-width]
    sides = [pixels[:width], pixels[-width:], middle[:, :width], middle[:, -width:]]
    return np.concatenate([side.reshape(-1, channels) for side in sides])


def border_colour(pixels: Pixels) -> tuple[int, int, int]:
    """Median sRGB, per channel, of the outermost hundredth of an image.

    Args:
        pixels: uint8 [H, W, 3].
    """
    width = max(1, round(0.01 * min(pixels.shape[:2])))
    red, green, blue = np.median(border_pixels(pixels, width), axis=0)
    return round(red), round(green), round(blue)


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Scale an image: by averaging areas where it shrinks, else by cubic interpolation.

    Averaging neither aliases nor rings (cv2's linear and Lanczos filters alias when they shrink).

    Args:
        pixels: uint8 [H, W, 3].
        height: Of the result [px].
        width: Of the result [px].
    """
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    scaled = cv2.resize(pixels, (width, height), interpolation=method)
    return np.asarray(scaled, np.uint8)


def encode_png(pixels: Pixels) -> bytes:
    """Encode uint8 sRGB [H, W, 3] without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def encode_jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """Encode uint8 sRGB [H, W, 3] as JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _decode_opened(image: Image.Image, content: bytes, at_least: int | None) -> DecodedImage:
    _check_size(image)
    width, height = image.size
    mode = image.mode
    orientation = _orientation(image)
    # A GIF's frames are counted by walking its blocks, which a huge hostile one would make long.
    frames = getattr(image, "n_frames", 1) if len(content) <= _MAX_FRAME_COUNT_BYTES else 1
    if at_least is not None:
        image.draft(None, (at_least, at_least))
    image.load()
    opaque, alpha_fraction = _over_white(_in_srgb(image))
    if orientation in _TRANSPOSE:
        opaque = opaque.transpose(_TRANSPOSE[orientation])
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return DecodedImage(
        pixels=np.array(opaque),
        # A JPEG with several pictures inside calls itself MPO.
        format="JPEG" if image.format == "MPO" else str(image.format),
        mode=mode,
        width=width,
        height=height,
        frames=frames,
        alpha_fraction=alpha_fraction,
    )


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            "too_large", f"{width} x {height} px, more than {MAX_PIXELS // 1_000_000} million"
        )


def _check_whole(content: bytes) -> None:
    """Find what Pillow's decoders overlook: a zero tail (a transfer that stopped after the file was
    made at full length), a JPEG whose endless scans would take minutes, checksums of PNG pixels.
    """
    if content.startswith(_JPEG):
        # Whatever lies behind the picture, as an archive or a film, may hold these bytes as well.
        scans = content.count(_SCAN)
        if scans > MAX_SCANS and (scans := _num_scans(content)) > MAX_SCANS:
            raise ImageError("too_large", f"a JPEG of {scans} scans, more than {MAX_SCANS}")
        cut = content.endswith(bytes(16)) and not content.rstrip(b"\0").endswith(b"\xff\xd9")
        if cut:
            raise ImageError("truncated", "zeros where the rest of the JPEG was to be")
    elif content.startswith(_PNG):
        place, kind = len(_PNG), b""
        while kind != b"IEND":
            length, kind = struct.unpack_from(">I4s", content, place)
            end = place + 8 + length
            (checksum,) = struct.unpack_from(">I", content, end)
            if kind.isupper() and zlib.crc32(memoryview(content)[place + 4 : end]) != checksum:
                raise ImageError("damaged", f"a wrong checksum in {kind!r}")
            place = end + 4


def _num_scans(content: bytes) -> int:
    """Scans of a JPEG up to its end mark; a thumbnail in its metadata does not count."""
    scans, place = 0, 2
    while found := _MARKER.search(content, place):
        kind, place = content[found.start() + 1], found.end()
        if kind == 0xD9:  # the end
            break
        scans += kind == _SCAN[1]
        if kind not in (0x01, 0xD8):  # these two alone have no length
            place += int.from_bytes(content[place : place + 2], "big")
    return scans


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - broken metadata around good pixels, in any parser's words
        return 1


def _in_srgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB or RGBA, its colour profile applied."""
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa")
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = _from_16_bit(image)
        transparent = False
    if image.mode == "CMYK" and profile and (transform := _to_srgb(profile, "CMYK")):
        return ImageCms.applyTransform(image, transform) or image.convert("RGB")
    image = image.convert("RGBA" if transparent else "RGB")
    if profile and (transform := _to_srgb(profile, "RGB")):
        if image.mode == "RGBA":
            alpha = image.getchannel("A")
            image = ImageCms.applyTransform(image.convert("RGB"), transform) or image
            image.putalpha(alpha)
        else:
            image = ImageCms.applyTransform(image, transform) or image
    return image


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    deepest = 65535 if values.max(initial=0) > 255 or image.mode != "I" else 255
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):  # of the largest image, all at once take 1 GB
        rows = values[top : top + _ROWS].astype(np.int64)
        grey[top : top + _ROWS] = (rows * 255 // deepest).clip(0, 255)
    return Image.fromarray(grey)


@lru_cache(maxsize=32)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How to turn pixels of this mode into sRGB; None where nothing need or can be done."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, "RGB")
    except Exception:  # noqa: BLE001 - a bad profile is ignored, however it is bad
        return None


def _over_white(image: Image.Image) -> tuple[Image.Image, float]:
    if image.mode == "RGB":
        return image, 0.0
    alpha = image.getchannel("A")
    opaque = Image.new("RGB", image.size, _WHITE)
    opaque.paste(image, mask=alpha)
    return opaque, float(1.0 - alpha.histogram()[255] / (image.width * image.height))


def _unidentified(content: bytes) -> ImageError:
    if content.startswith(_OURS) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP"):
        return ImageError("damaged", "it starts like an image, but its header is broken")
    if content.startswith(_OTHERS) or content[4:8] == b"ftyp":
        return ImageError("unsupported_format", f"wanted one of {', '.join(FORMATS)}")
    return ImageError("not_an_image", f"it starts with {content[:16]!r}")


def _speaks_of_truncation(error: Exception) -> bool:
    words = ("truncated", "not enough", "eof", "incomplete", "unpack_from requires a buffer")
    return isinstance(error, EOFError) or any(word in str(error).lower() for word in words)
