"""sRGB pixels to files."""

import io

from PIL import Image

from ganime.images.pixels import Pixels


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
