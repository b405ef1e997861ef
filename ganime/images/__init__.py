"""Bytes of unknown origin to sRGB pixels, and back.

Whatever arrives is hostile until it is decoded whole: only a few formats are tried, the size is
checked before any pixel is, and every complaint of the decoder becomes an `ImageError` with a short
reason. Only a full decode notices a truncated file, so nothing here trusts a header alone.
"""

from ganime.images.decoding import FORMATS, MAX_PIXELS, DecodedImage, check_whole, decode
from ganime.images.encoding import encode_jpeg, encode_png
from ganime.images.intact import MAX_SCANS
from ganime.images.pixels import Pixels

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "MAX_SCANS",
    "DecodedImage",
    "Pixels",
    "check_whole",
    "decode",
    "encode_jpeg",
    "encode_png",
]
