"""The pixels of the common kinds of PNG (ISO/IEC 15948), small ones on request.

libpng spends most of a large drawing's time inflating with zlib and on rows that it hands over one
by one. Here libdeflate inflates at once, and one compiled loop undoes the filters, lays what is
see-through over white, and averages rows of a reduced picture as they come.
"""

import struct

import deflate
import numba
import numpy as np
import numpy.typing as npt

from ganime.images.chunks import chunks_of
from ganime.images.pixels import Pixels

_CHANNELS = {0: 1, 2: 3, 3: 1, 6: 4}  # of each colour type: grey, RGB, palette, RGBA
_PALETTE = 3  # colour type
_GREYS = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 3)
_LEFT, _ABOVE, _MEAN, _PAETH = 1, 2, 3, 4  # filters (9.2)

Sums = npt.NDArray[np.uint16]


def read_png(content: bytes, reduction: int) -> tuple[Pixels, float] | None:
    """Decode a PNG of 8 bits without interlacing.

    Args:
        content: A file whose chunks are whole.
        reduction: 1, 2, 4 or 8: each pixel is the mean of a square of so many.

    Returns:
        uint8 sRGB [ceil(H / reduction), ceil(W / reduction), 3] over white, and the share of pixels
        that are not fully opaque; None for other kinds, and where the stream is broken.
    """
    width, height, depth, colour, *_, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    chunks = chunks_of(content)
    if depth != 8 or interlaced or colour not in _CHANNELS or b"tRNS" in chunks:
        return None
    channels = _CHANNELS[colour]
    data = _inflated(b"".join(chunks[b"IDAT"]), height * (1 + width * channels))
    if data is None:
        return None
    lines = np.frombuffer(data, np.uint8).reshape(height, -1)
    palette, num_colours = _GREYS, 256
    if colour == _PALETTE:
        given = np.frombuffer(b"".join(chunks[b"PLTE"])[:768], np.uint8)
        palette, num_colours = np.resize(given, (256, 3)), len(given) // 3
    pixels = np.empty((-(-height // reduction), -(-width // reduction), 3), np.uint8)
    num_through = _read(lines, channels, palette, num_colours, reduction, pixels)
    return None if num_through < 0 else (pixels, num_through / (width * height))


def _inflated(data: bytes, size: int) -> bytearray | None:
    """What a stream holds; None if it is broken or not of this size."""
    try:
        found = deflate.zlib_decompress(data, size)
    except deflate.DeflateError:
        return None
    return found if len(found) == size else None


@numba.njit(cache=True, nogil=True)
def _read(
    lines: Pixels, channels: int, palette: Pixels, num_colours: int, by: int, pixels: Pixels
) -> int:
    """Fill `pixels`.

    Args:
        lines: Each row's filter and what it left of the row [H, 1 + W * channels].
        channels: 1, 3 or 4.
        palette: What each level of a single channel means [256, 3].
        num_colours: Of the palette; no pixel may name another.
        by: 1, 2, 4 or 8.
        pixels: [ceil(H / by), ceil(W / by), 3].

    Returns:
        How many pixels are not opaque; -1 for an unknown filter or colour.
    """
    height, length = lines.shape[0], lines.shape[1] - 1
    width = length // channels
    rows = np.zeros((2, length), np.uint8)
    shown = np.empty(3 * width, np.uint8)
    sums = np.zeros(3 * width, np.uint16)
    whole = pixels.reshape(pixels.shape[0], -1)
    num_through = 0
    for y in range(height):
        row = rows[y & 1]
        if lines[y, 0] > _PAETH:
            return -1
        _unfilter(row, lines[y, 0], lines[y, 1:], rows[1 - (y & 1)], channels)
        if channels == 3:
            shown = row
        elif channels == 4:
            num_through += _over_white(row, shown)
        elif num_colours < 256 and row.max() >= num_colours:
            return -1
        else:
            for x in range(width):
                for channel in range(3):
                    shown[3 * x + channel] = palette[row[x], channel]
        if by == 1:
            whole[y] = shown
            continue
        for place in range(sums.size):
            sums[place] += shown[place]
        if (y + 1) % by == 0 or y + 1 == height:
            _average(sums, pixels[y // by], by, y % by + 1)
            sums[:] = 0
    return num_through


@numba.njit(cache=True, nogil=True)
def _unfilter(row: Pixels, kind: int, line: Pixels, above: Pixels, step: int) -> None:
    """Undo a filter (9.2): `line` says how `row` differs from what is left of it and above it."""
    if kind in (_LEFT, _MEAN, _PAETH):
        before = np.uint64(step)  # without a sign, no place needs a test for being negative
        for place in range(before):  # nothing is left of it
            guess = 0 if kind == _LEFT else above[place] >> 1 if kind == _MEAN else above[place]
            row[place] = line[place] + guess
        if kind == _LEFT:
            for place in range(before, np.uint64(row.size)):
                row[place] = line[place] + row[place - before]
        elif kind == _MEAN:
            for place in range(before, np.uint64(row.size)):
                row[place] = line[place] + ((np.int32(row[place - before]) + above[place]) >> 1)
        elif step == 1:
            for place in range(before, np.uint64(row.size)):
                left, corner = np.int32(row[place - before]), np.int32(above[place - before])
                row[place] = line[place] + _paeth(left, np.int32(above[place]), corner)
        else:
            _unfilter_paeth(row, line, above, step)
    elif kind == _ABOVE:
        for place in range(row.size):
            row[place] = line[place] + above[place]
    else:
        row[:] = line


@numba.njit(cache=True, nogil=True)
def _unfilter_paeth(row: Pixels, line: Pixels, above: Pixels, step: int) -> None:
    """Of 3 or 4 channels, which take turns: each waits for its own last result, kept at hand."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    left = left_1 = left_2 = left_3 = np.int32(0)
    corner = corner_1 = corner_2 = corner_3 = np.int32(0)
    place = np.uint64(0)
    for _ in range(row.size // step):
        up = np.int32(above[place])
        up_1, up_2 = np.int32(above[place + one]), np.int32(above[place + two])
        left = (line[place] + _paeth(left, up, corner)) & np.int32(255)
        left_1 = (line[place + one] + _paeth(left_1, up_1, corner_1)) & np.int32(255)
        left_2 = (line[place + two] + _paeth(left_2, up_2, corner_2)) & np.int32(255)
        row[place], row[place + one], row[place + two] = left, left_1, left_2
        corner, corner_1, corner_2 = up, up_1, up_2
        if step == 4:
            up_3 = np.int32(above[place + three])
            left_3 = (line[place + three] + _paeth(left_3, up_3, corner_3)) & np.int32(255)
            row[place + three] = left_3
            corner_3 = up_3
        place += np.uint64(step)


@numba.njit(cache=True, nogil=True)
def _paeth(left: np.int32, above: np.int32, corner: np.int32) -> np.int32:
    """Whichever is closest to left + above - corner (9.4), without a branch.

    `beyond` says on which side of the other two the corner lies, and how far.
    """
    low, high = min(left, above), max(left, above)
    beyond = 3 * corner - above - left
    nearest = low if high <= beyond else corner
    return high if beyond <= low else nearest


@numba.njit(cache=True, nogil=True)
def _over_white(row: Pixels, shown: Pixels) -> int:
    """A row of RGBA over white, rounded as Pillow does; how many pixels are not opaque."""
    num = 0
    for x in range(row.size // 4):
        alpha = np.int32(row[4 * x + 3])
        num += int(alpha < 255)
        for channel in range(3):
            mixed = np.int32(row[4 * x + channel]) * alpha + 255 * (255 - alpha) + 128
            shown[3 * x + channel] = ((mixed >> 8) + mixed) >> 8
    return num


@numba.njit(cache=True, nogil=True)
def _average(sums: Sums, line: Pixels, by: int, num_rows: int) -> None:
    """Means of squares, from the sums of their columns; those at the end may be smaller."""
    width = sums.size // 3
    num_whole = width // by if num_rows == by else 0
    shift = np.uint32(2 if by == 2 else 4 if by == 4 else 6)  # divides by what a square holds
    place = np.uint64(0)
    for x in range(num_whole):
        red = green = blue = np.uint32(1) << (shift - np.uint32(1))
        for _ in range(by):
            red += sums[place]
            green += sums[place + np.uint64(1)]
            blue += sums[place + np.uint64(2)]
            place += np.uint64(3)
        line[x, 0], line[x, 1], line[x, 2] = red >> shift, green >> shift, blue >> shift
    for x in range(num_whole, len(line)):
        first, last = x * by, min(width, (x + 1) * by)
        num = (last - first) * num_rows
        for channel in range(3):
            total = num // 2
            for old in range(first, last):
                total += int(sums[3 * old + channel])
            line[x, channel] = total // num
