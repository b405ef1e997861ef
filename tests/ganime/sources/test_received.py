import io
import math
import random

import pytest
from PIL import Image

from ganime.images import MAX_PIXELS, MAX_SCANS
from ganime.sources import Received
from ganime.sources.received import damage_of


def jpeg(size=(320, 240), **options):
    noise = random.Random(size[0]).randbytes(size[0] * size[1] * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, noise).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def damage(content):
    return damage_of(Received(content=content))


def resized(content, side):
    """Its header claims another size."""
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + 2 * side.to_bytes(2, "big") + content[place + 4 :]


WHOLE = jpeg()
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
BROKEN = {
    "cut": WHOLE[: len(WHOLE) // 2],
    "without its end mark": WHOLE[:-2],
    "zeros at its end": WHOLE[:-3000] + bytes(3000),
    "only a start": WHOLE[:20],
    "a bomb": resized(WHOLE, 1 + math.isqrt(MAX_PIXELS)),
    "endless scans": WHOLE[:-2] + (MAX_SCANS + 1) * SCAN + b"\xff\xd9",
    "a header and an end": WHOLE[:20] + b"\xff\xd9",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_jpeg_that_is_broken_at_the_site_is_found_out(name):
    assert damage(BROKEN[name]) is not None


def test_a_whole_jpeg_passes():
    assert damage(WHOLE) is None
    assert damage(jpeg((64, 48), progressive=True)) is None


def test_a_png_is_checked_to_its_last_byte():
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50), "red").save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    assert damage(bytes(content)) is None
    content[len(content) // 2] ^= 1
    assert damage(bytes(content)) == "damaged"
