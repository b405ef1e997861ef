"""Image ids as bytes: 32 of them instead of 64 characters, sorted, found by binary search."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
_SIZE = 32  # bytes of a SHA-256


def to_bytes(ids: pa.Array | pa.ChunkedArray) -> Bytes:
    """Image ids, hex text without nulls [N], as uint8 [N, 32]."""
    array = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if isinstance(array, pa.ChunkedArray):  # what combining none or too many leaves
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.string())
    if not len(array):
        return np.zeros((0, _SIZE), np.uint8)
    first, last = np.frombuffer(array.buffers()[1], np.int32)[
        [array.offset, array.offset + len(array)]
    ]
    digits = np.frombuffer(array.buffers()[2], np.uint8)[first:last].reshape(len(array), 2 * _SIZE)
    values = (digits & 15) + (digits >> 6) * np.uint8(9)  # '0' is 0x30, 'a' is 0x61
    return np.asarray((values[:, ::2] << 4) | values[:, 1::2], np.uint8)


class Ids:
    """The ids of N images.

    Args:
        digests: Sorted, each once, uint8 [N, 32].
    """

    def __init__(self, digests: Bytes) -> None:
        self.digests = digests
        # Rows whose first 8 bytes are equal are neighbours: binary search needs those alone.
        self._keys = _keys(digests)

    def __len__(self) -> int:
        return len(self.digests)

    def text(self, row: int) -> str:
        """The id of one row, hex."""
        return bytes(self.digests[row]).hex()

    def row(self, image_id: str) -> int | None:
        """The row of an image, or None if it is not among them.

        Args:
            image_id: 64 hex digits.
        """
        wanted = np.frombuffer(bytes.fromhex(image_id), np.uint8)
        (found,) = self.rows(wanted.reshape(1, _SIZE)).tolist()
        return found if found >= 0 else None

    def after(self, image_id: str) -> int:
        """The first row behind an image, or behind where it would be."""
        digest = bytes.fromhex(image_id)
        row = int(np.searchsorted(self._keys, np.uint64(int.from_bytes(digest[:8], "big"))))
        while row < len(self) and bytes(self.digests[row]) <= digest:
            row += 1
        return row

    def rows(self, digests: Bytes) -> Rows:
        """Rows of some images [M]; -1 where one is not among them.

        Args:
            digests: uint8 [M, 32].
        """
        if not len(self) or not len(digests):
            return np.full(len(digests), -1, np.int64)
        wanted = _keys(digests)
        rows = np.searchsorted(self._keys, wanted)
        rows[rows == len(self)] = 0
        open_ = np.flatnonzero((self.digests[rows] != digests).any(axis=1))
        for i in open_.tolist():  # unknown ones, and those that share 8 bytes with another
            rows[i] = self._search(int(rows[i]), wanted[i], digests[i])
        return rows

    def _search(self, row: int, key: np.uint64, digest: Bytes) -> int:
        while row < len(self) and self._keys[row] == key:
            if (self.digests[row] == digest).all():
                return row
            row += 1
        return -1


def rows_of(ids: Ids, image_ids: Sequence[str]) -> Rows:
    """`Ids.rows` of hex texts."""
    return ids.rows(to_bytes(pa.array(image_ids, pa.string())))


def _keys(digests: Bytes) -> npt.NDArray[np.uint64]:
    first = np.ascontiguousarray(digests[:, :8])
    return first.view(">u8").ravel().astype(np.uint64)
