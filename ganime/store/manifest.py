"""Tables of immutable parts, read as one, one row per key."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ganime.rows import Row
from ganime.store import merging
from ganime.store.parts import (
    Manifest,
    Provenance,
    RowT,
    from_arrow,
    read_equal,
    read_footer,
    read_part,
    read_places,
    schema_of,
    stable_columns,
    to_arrow,
    write_part,
)
from ganime.store.workspace import Workspace

__all__ = [
    "Manifest",
    "Provenance",
    "RowT",
    "Table",
    "from_arrow",
    "one_per_key",
    "read_equal",
    "read_footer",
    "read_part",
    "read_places",
    "schema_of",
    "stable_columns",
    "to_arrow",
    "write_part",
]


class Table(Generic[RowT]):
    """A manifest: all parts of one folder, read as one table, one row per key.

    Args:
        workspace: Where.
        row: The row class.
        scope: Sub-folder that separates tables of the same rows (a crawl id, a settings digest).
        root: Folder that holds it; `manifests`, or the folder of a dataset or a model.
    """

    def __init__(
        self, workspace: Workspace, row: type[RowT], scope: str = "", root: str = "manifests"
    ) -> None:
        self.workspace = workspace
        self.row = row
        self.folder = "/".join(part for part in (root, row.FOLDER, scope) if part)

    def part_key(self, name: str) -> str:
        """Key of a part."""
        return f"{self.folder}/{name}.parquet"

    def has(self, name: str) -> bool:
        """Whether the part was committed; only for rows that are not merged."""
        return self.workspace.exists(self.part_key(name))

    def write(self, name: str, rows: Sequence[RowT] | pa.Table, provenance: Provenance) -> Manifest:
        """Commit a part under a deterministic name, whole or not at all.

        Where there are many little parts by now, they are merged.
        """
        committed = write_part(self.workspace, self.part_key(name), self.row, rows, provenance)
        if self.row.MERGES and merging.is_due(name):
            merging.tidy(self.workspace, self.folder, self.row)
        return committed

    def parts(self) -> list[str]:
        """Keys of the parts that hold all rows, sorted; those merged into others are left out."""
        return merging.visible(self.workspace, self.workspace.list(self.folder, ".parquet"))

    def digest(self) -> str:
        """Digest of what the table holds, from its parts' names: equal names, equal content.

        A merged part counts as those that it was made of.
        """
        names = merging.committed(self.workspace, self.parts())
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, one per key, in the order of the parts.

        Raises:
            ManifestError: a part is damaged, or of a newer ganime.
        """
        wanted = list(dict.fromkeys(columns)) if columns else schema_of(self.row).names
        needed = list(dict.fromkeys([*wanted, *self.row.KEY, *filter(None, [self.row.LATEST])]))
        tables = [read_part(self.workspace, key, self.row, needed) for key in self.parts()]
        empty = schema_of(self.row).empty_table().select(needed)
        return one_per_key(self.row, pa.concat_tables([empty, *tables])).select(wanted)

    def stream(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """`read`, part by part, so that a table larger than memory can pass.

        Raises:
            ManifestError: a part is damaged, or of a newer ganime.
        """
        keys = [*self.row.KEY, *filter(None, [self.row.LATEST])]
        parts = self.parts()
        tables = [read_part(self.workspace, part, self.row, keys) for part in parts]
        ends = np.cumsum([table.num_rows for table in tables])
        chosen = _one_of_each(self.row, pa.concat_tables(tables)) if tables else None
        del tables
        for part, first, last in zip(parts, [0, *ends], ends, strict=False):
            table = read_part(self.workspace, part, self.row, columns)
            if chosen is not None:
                inside = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, last)]
                table = table.take(pa.array(inside - first))
            yield table

    def rows(self) -> list[RowT]:
        """`read` as row objects."""
        return from_arrow(self.row, self.read())

    def column(self, name: str) -> list[Any]:
        """One column as Python values."""
        values: list[Any] = self.read([name])[name].to_pylist()
        return values

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Which of these lack a row; for tables with a single key column, in the order given."""
        (key,) = self.row.KEY
        asked = pa.array(list(keys), schema_of(self.row).field(key).type).unique()
        # As columns: ten million ids in sets of text are gigabytes.
        is_present = pc.is_in(asked, value_set=self.read([key])[key].combine_chunks())
        missing: list[str] = asked.filter(pc.invert(is_present)).to_pylist()
        return missing


def one_per_key(row: type[Row], table: pa.Table) -> pa.Table:
    """Of rows with equal keys the latest, or the first where none is later."""
    chosen = _one_of_each(row, table)
    return table if chosen is None else table.take(pa.array(chosen))


def _one_of_each(row: type[Row], table: pa.Table) -> npt.NDArray[np.int64] | None:
    """Places of the rows that count, rising; None for all."""
    if table.num_rows == 0:
        return None
    keys = [pc.cast(table[name], pa.string()) for name in row.KEY]
    joined = pc.binary_join_element_wise(*keys, "\x1f") if len(keys) > 1 else keys[0]
    codes = np.asarray(joined.combine_chunks().dictionary_encode().indices)
    if codes.max() + 1 == len(codes):
        return None
    if row.LATEST is None:
        _, chosen = np.unique(codes, return_index=True)
    else:
        latest = np.asarray(table[row.LATEST])
        order = np.lexsort((latest, codes))
        last_of_run = np.append(np.diff(codes[order]) != 0, True)
        chosen = order[last_of_run]
    return np.sort(chosen)
