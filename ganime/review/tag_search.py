"""Tags by their beginning, or by the beginning of a word in them; and the rows that hold a tag."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ganime.review.cache import Snapshot
from ganime.review.columns import Array, Columns

_LAST = "\U0010ffff"  # sorts behind whatever continues a prefix


class _Texts(Sequence[str]):
    """A mapped text column as a sequence, read where it is looked at."""

    def __init__(self, columns: Columns, name: str) -> None:
        column = columns.table[name]
        self._array = column.chunk(0) if column.num_chunks else pa.array([], pa.string())

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, place: int) -> str:  # type: ignore[override] # no slices
        return str(self._array[place].as_py())


def text_of(columns: Columns, name: str, row: int) -> str:
    """One value of a text column."""
    return _Texts(columns, name)[row]


def rows_of_tag(snapshot: Snapshot, tag: str) -> Array:
    """Rows of the images that have a tag, rising; none if no image has it."""
    tags = snapshot.groups["tags"]
    texts = _Texts(tags, "tag")
    place = bisect_left(texts, tag)
    if place == len(texts) or texts[place] != tag:
        return np.zeros(0, np.int32)
    start = int(tags["start"][place])
    rows: Array = snapshot.groups["tag_rows"]["row"][start : start + int(tags["count"][place])]
    return rows


def find_tags(snapshot: Snapshot, prefix: str, num: int) -> list[tuple[str, int]]:
    """Tags of which a word begins so, with how many images have them; the most frequent first.

    Args:
        snapshot: All images.
        prefix: Any case; empty for all tags.
        num: At most so many.
    """
    words, tags = snapshot.groups["words"], snapshot.groups["tags"]
    texts = _Texts(words, "word")
    text = prefix.lower().replace(" ", "_")
    codes = words["tag"][bisect_left(texts, text) : bisect_left(texts, text + _LAST)]
    codes = np.unique(codes)
    counts = tags["count"][codes]
    if len(codes) > num:
        best = np.argpartition(-counts, num)[:num]
        codes, counts = codes[best], counts[best]
    names = _Texts(tags, "tag")
    found = [
        (names[code], count) for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(found, key=lambda item: (-item[1], item[0]))
