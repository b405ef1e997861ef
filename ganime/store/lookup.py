"""Where rows stand: a sorted index beside the manifests finds one row of millions at once.

The index is made from the manifests, never asked instead of them: it names places in parts, and
what is told is read there. Parts never change, so that only new ones are looked through.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ganime.config import digest_of
from ganime.errors import StoreError
from ganime.rows import FaceRow, ImageRow, NeighbourRow, PostRow, Row, ScoreRow
from ganime.store.manifest import Table, one_per_key, read_part, read_places, schema_of
from ganime.store.workspace import Workspace

REVISION = 1  # of the files
_MAX_GENERATIONS = 8  # that are searched one by one; more of them become one
_DIGITS = 16  # of an image id that fit in 64 bits
_WORD = 64  # bytes of a word that count; addresses differ in their last
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd: spreads every bit upwards
_COLUMNS: dict[type[Row], list[str]] = {
    PostRow: ["image_id", "source", "post_id", "post_url"],
    ImageRow: ["image_id"],
    NeighbourRow: ["image_id", "others"],
    ScoreRow: ["image_id"],
    FaceRow: ["image_id"],
}
INDEXED = tuple(_COLUMNS)

Keys = npt.NDArray[np.uint64]
KeyRange = tuple[int, int]
log = logging.getLogger(__name__)


def id_range(digits: str) -> KeyRange | None:
    """Keys of the image ids that begin with these hex digits; None if they are none.

    Ids that share their first 16 digits share a key, so what is found is still to be compared.
    """
    if not digits or set(digits) - set("0123456789abcdef"):
        return None
    first = digits[:_DIGITS]
    return int(first.ljust(_DIGITS, "0"), 16), int(first.ljust(_DIGITS, "f"), 16)


def word_range(word: str) -> KeyRange:
    """Key of `source/post_id` or of a post's address; others may share it."""
    (key,) = _word_keys(pa.array([word], pa.string())).tolist()
    return key, key


@dataclass(frozen=True)
class _Generation:
    """The rows of some parts, sorted by key.

    Attributes:
        parts: Keys of the parts.
        data: uint64 [2, N]: keys, rising, and places: number of the part * 2^32 + row.
    """

    parts: list[str]
    data: Keys

    @property
    def keys(self) -> Keys:
        keys: Keys = self.data[0]
        return keys

    @property
    def places(self) -> Keys:
        places: Keys = self.data[1]
        return places

    def find(self, keys: KeyRange) -> Iterator[tuple[str, int]]:
        """Part and row of each key in the range."""
        first, last = np.array(keys, np.uint64)
        start = np.searchsorted(self.keys, first, side="left")
        stop = np.searchsorted(self.keys, last, side="right")
        for place in self.places[start:stop].tolist():
            yield self.parts[place >> 32], place & 0xFFFFFFFF


class Lookup:
    """Finds rows of one kind of manifest, in all its scopes.

    Args:
        workspace: Where; the index lies in its folder `.index`, or on this machine if it is remote.
        row: One of `INDEXED`.
    """

    def __init__(self, workspace: Workspace, row: type[Row]) -> None:
        self._table = Table(workspace, row)
        self._store = Workspace(str(workspace.shared_folder("index")))
        self._folder = f"r{REVISION}/{row.FOLDER}"
        self._parts: list[str] = []
        self._generations: list[_Generation] = []

    def refresh(self) -> None:
        """Look through the parts that came since the last time."""
        self._parts = self._table.parts()
        self._generations = list(self._stored())
        known = {part for generation in self._generations for part in generation.parts}
        if new := [part for part in self._parts if part not in known]:
            self._generations.append(self._build(new))
            self._save(self._generations[-1])
        if len(self._generations) > _MAX_GENERATIONS:
            self._merge()

    def find(self, keys: KeyRange, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows with a key in a range, in the order of the parts, one per key of the manifest.

        Args:
            keys: From `id_range` or `word_range`.
            columns: Which columns; all of the row class if none are given.

        Raises:
            ManifestError: a part is damaged.
        """
        if not self._parts:
            self.refresh()
        row = self._table.row
        wanted = list(columns) if columns else schema_of(row).names
        needed = list(dict.fromkeys([*wanted, *row.KEY, *filter(None, [row.LATEST])]))
        tables = [
            read_places(self._table.workspace, part, row, places, needed)
            for part, places in self._places(keys)
        ]
        empty = schema_of(row).empty_table().select(needed)
        return one_per_key(row, pa.concat_tables([empty, *tables])).select(wanted)

    def _places(self, keys: KeyRange) -> Iterator[tuple[str, list[int]]]:
        there = set(self._parts)
        found: dict[str, set[int]] = {}
        for generation in self._generations:
            for part, place in generation.find(keys):
                if part in there:  # a part may be gone: merged with others, or expired
                    found.setdefault(part, set()).add(place)
        return ((part, sorted(found[part])) for part in sorted(found))

    def _stored(self) -> Iterator[_Generation]:
        for key in self._store.list(self._folder, ".json"):
            try:
                parts = json.loads(self._store.read_bytes(key))
                path = self._store.local_path(key.replace(".json", ".npy"))
                yield _Generation(parts, np.load(path, mmap_mode="r", allow_pickle=False))
            except (ValueError, StoreError, FileNotFoundError) as error:
                log.debug("%s is made anew: %s", self._store.describe(key), error)

    def _build(self, parts: list[str]) -> _Generation:
        keys, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        row = self._table.row
        for number, part in enumerate(parts):
            table = read_part(self._table.workspace, part, row, _COLUMNS[row])
            for found, rows in _keys(table):
                keys.append(found)
                places.append(rows.astype(np.uint64) | np.uint64(number << 32))
        return _Generation(parts, _sorted(np.concatenate(keys), np.concatenate(places)))

    def _merge(self) -> None:
        """One generation in place of many, without the parts that are gone."""
        number = {part: i for i, part in enumerate(self._parts)}
        keys, places = [], []
        for generation in self._generations:
            renumber = np.array([number.pop(part, -1) for part in generation.parts], np.int64)
            new = renumber[generation.places >> np.uint64(32)]
            alive = new >= 0
            row = generation.places[alive] & np.uint64(0xFFFFFFFF)
            keys.append(generation.keys[alive])
            places.append(row | (new[alive].astype(np.uint64) << np.uint64(32)))
        whole = _Generation(self._parts, _sorted(np.concatenate(keys), np.concatenate(places)))
        before = self._store.list(self._folder, ".json")
        self._generations = [whole]
        kept = self._save(whole)
        for key in before:
            if key != kept:
                self._store.remove(key)
                self._store.remove(key.replace(".json", ".npy"))

    def _save(self, generation: _Generation) -> str:
        """Write it down for the next time; where that is not allowed it serves this once."""
        key = f"{self._folder}/{digest_of(*generation.parts)}.json"
        try:
            with self._store.writing(key.replace(".json", ".npy")) as path, path.open("wb") as file:
                np.save(file, generation.data, allow_pickle=False)
            self._store.write_text(key, json.dumps(generation.parts))  # last: now it is whole
        except StoreError as error:
            log.debug("the index is not kept: %s", error)
        return key


def refresh_all(workspace: Workspace) -> None:
    """Bring all indexes up to date, so that the next question need not."""
    for row in INDEXED:
        Lookup(workspace, row).refresh()


def _sorted(keys: Keys, places: Keys) -> Keys:
    order = np.argsort(keys, kind="stable")
    return np.stack([keys[order], places[order]])


def _keys(table: pa.Table) -> Iterator[tuple[Keys, npt.NDArray[np.int64]]]:
    """Keys of a part and the rows they lead to."""
    table = table.combine_chunks()
    ids = table["image_id"]
    present = np.flatnonzero(ids.is_valid())
    yield _id_keys(ids.drop_null()), present
    every = np.arange(table.num_rows)
    if "others" in table.column_names:
        others = table["others"]
        yield _id_keys(pc.list_flatten(others)), np.asarray(pc.list_parent_indices(others))
    if "post_id" in table.column_names:
        names = pc.binary_join_element_wise(table["source"], table["post_id"], "/")
        yield _word_keys(names), every
        yield _word_keys(table["post_url"]), every


def _id_keys(ids: pa.ChunkedArray) -> Keys:
    """The first 16 hex digits as numbers [N]."""
    if not len(ids):
        return np.zeros(0, np.uint64)
    digits = np.array(ids.to_pylist(), f"S{_DIGITS}").view(np.uint8).reshape(len(ids), _DIGITS)
    nibbles = np.where(digits >= ord("a"), digits - ord("a") + 10, digits - ord("0"))
    octets = (nibbles[:, ::2] << 4) | (nibbles[:, 1::2] & 15)
    return np.ascontiguousarray(octets).view(">u8").ravel().astype(np.uint64)


def _word_keys(words: pa.ChunkedArray | pa.Array) -> Keys:
    """Hashes of the last characters of words [N], the same on every machine."""
    if not len(words):
        return np.zeros(0, np.uint64)
    ends = pc.utf8_slice_codeunits(words, -_WORD, None).cast(pa.binary()).to_pylist()
    blocks = np.array(ends, f"S{_WORD}").view("<u8").reshape(len(words), -1)
    found = np.zeros(len(words), np.uint64)
    for block in blocks.T:
        found = (found ^ block) * _MULTIPLIER
        found ^= found >> np.uint64(29)
    return found
