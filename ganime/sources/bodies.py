"""Bodies on their way: in memory while they are short, on disk beyond."""

import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import IO

SPOOL_BYTES = 2 << 20  # most art is shorter; eight longer ones at once must not fill the memory


class Body:
    """The bytes of one answer, which may take several requests to come.

    Args:
        max_bytes: The most that is wanted; the caller looks.
        spool: Folder for bodies that get long; None keeps all in memory.
        resources: Closed with the client: removes the file.
    """

    def __init__(self, max_bytes: int, spool: Path | None, resources: ExitStack) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        self.received = 0  # with what was discarded since
        self.file: Path | None = None
        self._spool = spool
        self._resources = resources
        self._chunks: list[bytes] = []
        self._open_file: IO[bytes] | None = None

    @property
    def content(self) -> bytes:
        """All of it, or nothing if it lies in `file`; call it when all has come."""
        if self._open_file is not None:
            self._open_file.close()
            self._open_file = None
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    def append(self, chunk: bytes) -> None:
        """Take what has come next."""
        self.size += len(chunk)
        self.received += len(chunk)
        if self._spool is None or self.size <= SPOOL_BYTES:
            self._chunks.append(chunk)
            return
        if self._open_file is None:
            self.file = self._spool / secrets.token_hex(8)
            self._resources.callback(self.file.unlink, missing_ok=True)
            self._open_file = self.file.open("ab")
            self._open_file.write(b"".join(self._chunks))
            self._chunks = []
        self._open_file.write(chunk)

    def discard(self) -> None:
        """Forget what has come."""
        self.content  # noqa: B018 - closes the file
        if self.file is not None:
            self.file.unlink(missing_ok=True)
        self.file, self.size, self._chunks = None, 0, []
