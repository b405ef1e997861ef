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

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

from ganime.errors import ImageError

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 64_000_000  # 256 MB as RGBA; the largest scans on boorus have about 50 million
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_SCANS = 100  # of a JPEG; encoders write 10, and each is a pass over all the pixels
_WHITE = (255, 255, 255)
_ORIENTATION = 0x0112  # EXIF tag
_ROWS = 256  # worked on at once
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
        at_least: A reduced decode is enough whose longer side is this long [px]. JPEG alone gains
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
    if not _seems_whole(content):
        decode(content)  # knows all formats, and says what is wrong


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
    # A GIF's frames are counted by walking its blocks, which a huge hostile one would make long.
    frames = getattr(image, "n_frames", 1) if len(content) <= _MAX_FRAME_COUNT_BYTES else 1
    reduction = 1 if at_least is None else _reduction(max(width, height), at_least)
    orientation = _orientation(image, content)
    quick = _decode_plain(image, content, reduction) if frames == 1 else None
    if quick is None:
        image.draft(None, (max(1, width // reduction), max(1, height // reduction)))
        image.load()
        opaque, alpha_fraction = _over_white(_in_srgb(image))
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
    """The pixels and the share of see-through ones of the common kinds of JPEG and PNG, by OpenCV.

    It is up to twice as fast as Pillow, with the same pixels: both stand on libjpeg-turbo and
    libpng. None for what is rare, and for what OpenCV refuses; Pillow then says what is wrong.
    """
    profile = image.info.get("icc_profile")
    if profile and _to_srgb(profile, "RGB"):
        return None
    data = np.frombuffer(content, np.uint8)
    if image.format == "JPEG" and image.mode in ("RGB", "L"):
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | _REDUCED[reduction]
    elif image.format == "PNG" and image.mode in ("RGB", "L", "P"):
        if "transparency" in image.info:
            return None
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    elif image.format == "PNG" and image.mode == "RGBA":
        flags = cv2.IMREAD_UNCHANGED
    else:
        return None
    pixels = cv2.imdecode(data, flags)
    if pixels is None or pixels.dtype != np.uint8:
        return None
    if pixels.shape[2] == 3:
        return np.asarray(pixels, np.uint8), 0.0
    lowest, *_ = cv2.minMaxLoc(cv2.extractChannel(pixels, 3))
    if lowest == 255:  # most of them are opaque
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB), np.uint8), 0.0
    opaque, alpha_fraction = _over_white(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)))
    return np.array(opaque), alpha_fraction


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


def _check_whole(content: bytes) -> None:
    """Find what Pillow's decoders overlook: a zero tail (a transfer that stopped after the file was
    made at full length), a JPEG whose endless scans would take minutes, checksums of PNG pixels.
    """
    if content.startswith(_JPEG):
        # Whatever lies behind the picture, as an archive or a film, may hold these bytes as well.
        scans = _num_scan_marks(content)
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


def _seems_whole(content: bytes) -> bool:
    """Whether a JPEG or PNG is one that can be read to its end; False leaves the question open."""
    try:
        _check_whole(content)
        if content.startswith(_PNG):
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                _check_size(image)
            return True
        if not content.startswith(_JPEG) or not 0 < _num_jpeg_pixels(content) <= MAX_PIXELS:
            return False
    except Exception:  # noqa: BLE001 - whatever a parser makes of hostile bytes
        return False
    # None also for CMYK and other kinds that OpenCV does not read.
    return (
        cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8) is not None
    )


def _num_jpeg_pixels(content: bytes) -> int:
    """By the frame header (ITU-T T.81, B.2.2); 0 if it is not found or leaves the height open.

    Pillow needs twenty times as long to tell.
    """
    place = 2
    while content[place] == 0xFF:
        kind = content[place + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, place + 5)
            return int(height * width)
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return 0


def _num_scan_marks(content: bytes) -> int:
    """How often `_SCAN` occurs, wherever; `bytes.count` takes four times as long for two bytes."""
    mark = int.from_bytes(_SCAN, "little")
    pairs = (np.frombuffer(content, "<u2", (len(content) - at) // 2, at) for at in (0, 1))
    return sum(int(np.count_nonzero(of == mark)) for of in pairs)


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


def _orientation(image: Image.Image, content: bytes) -> int:
    # Pillow decodes a whole PNG to look behind its pixels, mostly for nothing.
    if image.format == "PNG" and not any(mark in content for mark in _ORIENTED_PNG):
        return 1
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
