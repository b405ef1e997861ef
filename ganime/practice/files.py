"""Files: pixels encoded, altered as re-uploads are, and broken as transfers break them."""

import hashlib
import io

import cv2
import numpy as np
from PIL import Image

from ganime.practice.scenes import Pixels

FORMATS = {  # extension of each sort of file
    "jpeg": "jpg",
    "jpeg_turned": "jpg",  # stored rotated, with an EXIF tag that says so
    "png": "png",
    "png_palette": "png",
    "png_alpha": "png",
}
RELATIONS = ("reencoded", "resized", "cropped", "mirrored", "tinted", "captioned")
FAULTS = (
    "empty",
    "cut_in_transfer",
    "uploaded_broken",
    "html",
    "wrong_md5",
    "missing",
    "ghost",
)
ORIENTATION_TAG = 0x0112
# EXIF orientation: how often to turn the upright picture anticlockwise by 90 degrees for storing
TURNS = {6: 1, 3: 2, 8: 3}
HTML = b"<!DOCTYPE html><html><body><h1>One moment, please</h1><p>Checking...</p></body></html>\n"


def encode(pixels: Pixels, sort: str, quality: int, orientation: int = 1) -> bytes:
    """Turn pixels into a file.

    Args:
        pixels: uint8 sRGB [H, W, 3 or 4].
        sort: A key of `FORMATS`.
        quality: Of a JPEG, 1-100.
        orientation: Of a turned JPEG, a key of `TURNS`.
    """
    if sort == "jpeg":
        ordered = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    if sort in ("png", "png_alpha"):
        order = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        ordered = cv2.cvtColor(pixels, order)
        return cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
    stream = io.BytesIO()
    if sort == "png_palette":
        Image.fromarray(pixels).quantize(128, Image.Quantize.FASTOCTREE).save(stream, "PNG")
    else:
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        turned = np.ascontiguousarray(np.rot90(pixels, TURNS[orientation]))
        Image.fromarray(turned).save(stream, "JPEG", quality=quality, exif=exif)
    return stream.getvalue()


def decode(file: bytes) -> Pixels:
    """The upright picture of a file without alpha, uint8 sRGB [H, W, 3]."""
    decoded = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None  # only files that we encoded come here
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def alter(pixels: Pixels, relation: str, rng: np.random.Generator) -> Pixels:
    """What somebody did to a picture before posting it again.

    Args:
        pixels: uint8 sRGB [H, W, 3].
        relation: One of `RELATIONS`.
    """
    if relation == "resized":
        factor = rng.uniform(0.5, 0.9)
        return np.asarray(
            cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8
        )
    if relation == "cropped":
        height, width = pixels.shape[:2]
        # above and below less, so that the feet stay in the picture
        top, bottom = (round(height * share) for share in rng.uniform(0.01, 0.03, 2))
        left, right = (round(width * share) for share in rng.uniform(0.01, 0.05, 2))
        return pixels[top : height - bottom, left : width - right].copy()
    if relation == "mirrored":
        return np.ascontiguousarray(pixels[:, ::-1])
    if relation == "tinted":
        return _tint(pixels, rng)
    if relation == "captioned":
        return _caption(pixels, rng)
    return pixels


def _tint(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Another tone curve per channel; black and white stay, so tags stay true."""
    gammas = rng.uniform(0.86, 1.16) * rng.uniform(0.95, 1.06, 3)
    ramp = np.linspace(0, 1, 256)
    curves = np.stack([np.round(255 * ramp**gamma) for gamma in gammas], axis=1).astype(np.uint8)
    return np.stack([curves[pixels[..., i], i] for i in range(3)], axis=2)


def _caption(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A signature in a corner, or a strip with a line of text below."""
    height, width = pixels.shape[:2]
    words = str(rng.choice(["@hoshi_draws", "pixel.garden", "do not repost", "mika 2024", "#oc"]))
    size = height / 900
    ink = tuple(int(value) for value in rng.integers(40, 150, 3))
    (text_width, text_height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    canvas = pixels.copy()
    if rng.random() < 0.5:
        strip = round(2.2 * text_height)
        fill = tuple(int(value) for value in pixels[-1, 0])
        canvas = np.asarray(
            cv2.copyMakeBorder(canvas, 0, strip, 0, 0, cv2.BORDER_CONSTANT, value=fill), np.uint8
        )
        place = (max((width - text_width) // 2, 0), height + round(1.5 * text_height))
    else:
        left = width - text_width - 8 if rng.random() < 0.5 else 8
        place = (max(left, 2), height - 8)
    cv2.putText(canvas, words, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
    return canvas


def spoil(file: bytes, fault: str, rng: np.random.Generator) -> tuple[bytes | None, str | None]:
    """Break a file.

    Args:
        file: The whole file.
        fault: One of `FAULTS`.

    Returns:
        The bytes that the site serves, if any, and the MD5 that it claims, if any.
    """
    claimed = hashlib.md5(file).hexdigest()
    if fault == "ghost":
        return None, None
    if fault == "missing":
        return None, claimed
    if fault == "empty":
        return b"", claimed
    if fault == "html":
        return HTML, claimed
    if fault == "wrong_md5":
        return file, hashlib.md5(file + b"another revision").hexdigest()
    cut = file[: int(len(file) * rng.uniform(0.5, 0.9))]
    return cut, hashlib.md5(cut).hexdigest() if fault == "uploaded_broken" else claimed
