"""What decoders overlook in a file that is not whole, or that would take minutes."""

import re
import struct

import deflate
import numpy as np

from ganime.errors import ImageError
from ganime.images.chunks import SIGNATURE as PNG
from ganime.images.chunks import places_of

MAX_SCANS = 100  # of a JPEG; encoders write 10, and each is a pass over all the pixels
JPEG = b"\xff\xd8\xff"
_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # no restart, and no stuffed byte of a scan


def refuse_broken(content: bytes) -> None:
    """Find what Pillow's decoders overlook: a zero tail (a transfer that stopped after the file was
    made at full length), a JPEG whose endless scans would take minutes, checksums of PNG pixels.
    """
    if content.startswith(JPEG):
        # Whatever lies behind the picture, as an archive or a film, may hold these bytes as well.
        scans = _num_scan_marks(content)
        if scans > MAX_SCANS and (scans := _num_scans(content)) > MAX_SCANS:
            raise ImageError("too_large", f"a JPEG of {scans} scans, more than {MAX_SCANS}")
        cut = content.endswith(bytes(16)) and not content.rstrip(b"\0").endswith(b"\xff\xd9")
        if cut:
            raise ImageError("truncated", "zeros where the rest of the JPEG was to be")
    elif content.startswith(PNG):
        for kind, begin, end in places_of(content):
            (checksum,) = struct.unpack_from(">I", content, end)
            if kind.isupper() and deflate.crc32(memoryview(content)[begin - 4 : end]) != checksum:
                raise ImageError("damaged", f"a wrong checksum in {kind!r}")


def num_jpeg_pixels(content: bytes) -> int:
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
