"""Answers that break off, drip, never end or blow up: what a client must survive."""

import asyncio
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

BOMB_SIDE = 30_000  # [px]; 900 million pixels from about 100 kB
GIGANTIC = 64 << 20  # bytes; far more than any listing
_CHUNK = 1 << 20


class CutOff(Response):
    """An answer whose connection is closed before its end.

    Args:
        whole: The answer as it should be.
        keep: How many of its bytes are sent.
        declared: Length that is promised.
    """

    def __init__(self, whole: Response, keep: int, declared: int) -> None:
        self.status_code = whole.status_code
        self.body = bytes(whole.body)[:keep]
        self.background = None
        self.raw_headers = [
            *((name, value) for name, value in whole.raw_headers if name != b"content-length"),
            (b"content-length", str(declared).encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        await _start(self, send)
        await _piece(bytes(self.body), send)
        # Returning without the end makes the server close the connection.


class SlowDrip(Response):
    """An answer that takes its time.

    Args:
        whole: The answer.
        seconds: How long it takes.
        pieces: In how many pieces it comes.
    """

    def __init__(self, whole: Response, seconds: float, pieces: int = 20) -> None:
        self.status_code = whole.status_code
        self.body = bytes(whole.body)
        self.background = None
        self.raw_headers = whole.raw_headers
        self._pause_s = seconds / pieces
        self._step = max(-(-len(self.body) // pieces), 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        await _start(self, send)
        for start in range(0, len(self.body), self._step):
            await asyncio.sleep(self._pause_s)
            await _piece(bytes(self.body[start : start + self._step]), send)
        await send({"type": "http.response.body", "body": b""})


class Gigantic(Response):
    """A listing of many megabytes, made while it is sent.

    Args:
        start: How it begins.
        record: What comes again and again.
        media_type: What it claims to be.
    """

    def __init__(self, start: bytes, record: bytes, media_type: str) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._first = start
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        await _start(self, send)
        for piece in self._pieces():
            await _piece(piece, send)
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    def _pieces(self) -> Iterator[bytes]:
        yield self._first
        piece = self._record * (_CHUNK // len(self._record))
        for _ in range(GIGANTIC // _CHUNK + 1):
            yield piece


async def _start(answer: Response, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": answer.status_code,
            "headers": answer.raw_headers,
        }
    )


async def _piece(content: bytes, send: Send) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": True})


@lru_cache(maxsize=1)
def image_bomb() -> bytes:
    """A sound PNG that is small as a file and enormous as pixels."""
    packer = zlib.compressobj(9)
    row = b"\x00" * (1 + (BOMB_SIDE + 7) // 8)  # filter byte, then one bit per pixel
    data = b"".join(packer.compress(row * 100) for _ in range(BOMB_SIDE // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, body) for name, body in chunks)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
