import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ganime.images import decode
from ganime.images.chunks import SIGNATURE
from ganime.images.png import read_png

RNG = np.random.default_rng(3)
CHANNELS = {0: 1, 2: 3, 3: 1, 6: 4}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def made(
    colour: int,
    width: int = 21,
    height: int = 17,
    *,
    data: bytes | None = None,
    interlaced: int = 0,
    num_colours: int = 256,
    parts: int = 3,
) -> bytes:
    """A PNG whose rows use all filters in turn, its stream in several chunks."""
    lines = RNG.integers(0, 256, (height, 1 + width * CHANNELS[colour]), np.uint8)
    lines[:, 0] = np.arange(height) % 5
    stream = zlib.compress(lines.tobytes() if data is None else data)
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, interlaced)
    chunks = [chunk(b"IHDR", header)]
    if colour == 3:
        chunks.append(chunk(b"PLTE", RNG.bytes(3 * num_colours)))
    step = len(stream) // parts + 1
    chunks += [chunk(b"IDAT", stream[i : i + step]) for i in range(0, len(stream), step)]
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND", b"")


def by_pillow(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        whole = image.convert("RGBA")
    white = Image.new("RGBA", whole.size, "white")
    white.paste(whole, mask=whole.getchannel("A"))
    return np.asarray(white)[..., :3]


@pytest.mark.parametrize("colour", CHANNELS)
def test_every_filter_is_undone_as_pillow_does(colour: int) -> None:
    content = made(colour)
    found = read_png(content, 1)
    assert found is not None
    np.testing.assert_array_equal(found[0], by_pillow(content))
    np.testing.assert_array_equal(decode(content).pixels, by_pillow(content))


@pytest.mark.parametrize("colour", CHANNELS)
@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (64, 32), (61, 35)])
def test_a_reduced_pixel_is_the_mean_of_its_square(
    colour: int, reduction: int, size: tuple[int, int]
) -> None:
    content = made(colour, *size)
    found = read_png(content, reduction)
    assert found is not None
    whole = by_pillow(content).astype(int)
    height, width = -(-size[1] // reduction), -(-size[0] // reduction)
    assert found[0].shape == (height, width, 3)
    for y in range(height):
        for x in range(width):
            rows = slice(y * reduction, (y + 1) * reduction)
            square = whole[rows, x * reduction : (x + 1) * reduction].reshape(-1, 3)
            wanted = (square.sum(axis=0) + len(square) // 2) // len(square)
            np.testing.assert_array_equal(found[0][y, x], wanted)


def test_see_through_pixels_are_counted_before_they_are_averaged() -> None:
    pixels = np.full((16, 16, 4), 255, np.uint8)
    pixels[:4, :4, 3] = (0, 100, 254, 255)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    for reduction in (1, 8):
        found = read_png(stream.getvalue(), reduction)
        assert found is not None
        assert found[1] == 12 / 256


@pytest.mark.parametrize("change", [-40, -1, 1, 40])
def test_a_stream_of_another_size_is_left_to_pillow(change: int) -> None:
    whole = bytes(17 * (1 + 3 * 21))
    data = whole[:change] if change < 0 else whole + bytes(change)
    assert read_png(made(2, data=data), 1) is None


def test_a_broken_stream_is_left_to_pillow() -> None:
    content = bytearray(made(2))
    content[len(SIGNATURE) + 25 + 8 + 60] ^= 255  # in the first chunk of the stream
    assert read_png(bytes(content), 1) is None


def test_rare_kinds_are_left_to_pillow() -> None:
    assert read_png(made(2, interlaced=1), 1) is None
    keyed = made(2)
    head, rest = keyed[:33], keyed[33:]
    assert read_png(head + chunk(b"tRNS", bytes(6)) + rest, 1) is None
    sixteen = bytearray(made(2))
    sixteen[24] = 16
    assert read_png(bytes(sixteen), 1) is None


def test_a_colour_that_the_palette_lacks_is_left_to_pillow() -> None:
    assert read_png(made(3, num_colours=7), 1) is None
    data = bytes(17 * 22)  # all pixels of the first colour
    found = read_png(made(3, num_colours=7, data=data), 1)
    assert found is not None
    assert (found[0] == found[0][0, 0]).all()
