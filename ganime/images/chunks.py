"""The chunks that a PNG consists of (ISO/IEC 15948, 5)."""

import struct
from collections import defaultdict
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def places_of(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk up to the end mark: its kind, where its data begins, where its checksum does.

    Raises:
        struct.error: the file ends before.
    """
    place, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, place)
        begin = place + 8
        yield kind, begin, begin + length
        place = begin + length + 4


def chunks_of(content: bytes) -> dict[bytes, list[memoryview]]:
    """The data of each kind of chunk, up to the end mark.

    Raises:
        struct.error: the file ends before.
    """
    found: dict[bytes, list[memoryview]] = defaultdict(list)
    for kind, begin, end in places_of(content):
        found[kind].append(memoryview(content)[begin:end])
    return found


def metadata(content: bytes) -> bytes:
    """What a PNG says beside its pixels: kinds and data of its whole chunks, one after another.

    Raises:
        struct.error: the file ends before its end mark.
    """
    said: list[bytes | memoryview] = []
    for kind, data in chunks_of(content).items():
        said += [kind, *data] if kind != b"IDAT" else []
    return b"".join(said)
