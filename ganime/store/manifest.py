"""Rows ⇄ Parquet: tables of immutable parts, each with its provenance in the footer."""

import dataclasses
import hashlib
import io
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import ganime
from ganime.config import Config
from ganime.errors import ManifestError
from ganime.rows import Row
from ganime.store.workspace import Workspace

RowT = TypeVar("RowT", bound=Row)
_FOOTER = b"ganime"
_SCHEMAS: dict[type[Row], pa.Schema] = {}
_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a part came from; written into its footer.

    Attributes:
        stage: Name of the stage that made it.
        revision: The stage's REVISION.
        config: The stage's settings.
        run_id: The run that made it.
        parents: Digest of each input, by name.
    """

    stage: str
    revision: int
    config: Config
    run_id: str
    parents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One committed part: what tasks hand to each other."""

    key: str
    sha256: str
    num_rows: int


def schema_of(row: type[Row]) -> pa.Schema:
    """Arrow schema of a row class: types, nullability, documentation."""
    if row not in _SCHEMAS:  # asked for with every part, and slow to derive
        _SCHEMAS[row] = _derive_schema(row)
    return _SCHEMAS[row]


def _derive_schema(row: type[Row]) -> pa.Schema:
    hints = typing.get_type_hints(row)
    fields = []
    for item in dataclasses.fields(row):  # type: ignore[arg-type]
        arrow, nullable = _arrow_type(hints[item.name])
        fields.append(
            pa.field(
                item.name,
                item.metadata["arrow"] or arrow,
                nullable=nullable,
                metadata={"doc": item.metadata["doc"]},
            )
        )
    return pa.schema(fields)


def stable_columns(row: type[Row]) -> list[str]:
    """Columns that equal runs agree on: all but the volatile ones."""
    fields = dataclasses.fields(row)  # type: ignore[arg-type]
    return [item.name for item in fields if not item.metadata["volatile"]]


def to_arrow(row: type[RowT], rows: Sequence[RowT]) -> pa.Table:
    """Rows as an Arrow table.

    Raises:
        ManifestError: a value does not fit its column.
    """
    schema = schema_of(row)
    try:
        arrays = [
            pa.array([getattr(item, column.name) for item in rows], column.type)
            for column in schema
        ]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ManifestError(f"a {row.__name__} does not fit its schema: {error}") from error
    for column, array in zip(schema, arrays, strict=True):
        if not column.nullable and array.null_count:
            raise ManifestError(f"{row.__name__}.{column.name} is null in {array.null_count} rows")
    return pa.table(arrays, schema=schema)


def from_arrow(row: type[RowT], table: pa.Table) -> list[RowT]:
    """The rows of an Arrow table."""
    columns = {name: table[name].to_pylist() for name in schema_of(row).names}
    names = list(columns)
    return [
        row(**dict(zip(names, values, strict=True)))
        for values in zip(*columns.values(), strict=True)
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
        """Whether the part was committed."""
        return self.workspace.exists(self.part_key(name))

    def write(self, name: str, rows: Sequence[RowT] | pa.Table, provenance: Provenance) -> Manifest:
        """Commit a part under a deterministic name, whole or not at all."""
        return write_part(self.workspace, self.part_key(name), self.row, rows, provenance)

    def parts(self) -> list[str]:
        """Keys of all committed parts, sorted."""
        return self.workspace.list(self.folder, ".parquet")

    def digest(self) -> str:
        """Digest of what the table holds, from its parts' names: equal names, equal content."""
        return hashlib.sha256("\n".join(self.parts()).encode()).hexdigest()[:12]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, one per key, in the order of the parts.

        Raises:
            ManifestError: a part is damaged, or of a newer ganime.
        """
        wanted = list(dict.fromkeys(columns)) if columns else schema_of(self.row).names
        needed = list(dict.fromkeys([*wanted, *self.row.KEY, *filter(None, [self.row.LATEST])]))
        tables = [read_part(self.workspace, key, self.row, needed) for key in self.parts()]
        empty = schema_of(self.row).empty_table().select(needed)
        return _one_per_key(self.row, pa.concat_tables([empty, *tables])).select(wanted)

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
        present = set(self.column(key))
        return [item for item in dict.fromkeys(keys) if item not in present]


def write_part(
    workspace: Workspace,
    key: str,
    row: type[RowT],
    rows: Sequence[RowT] | pa.Table,
    provenance: Provenance,
) -> Manifest:
    """Write one Parquet file whole, with its provenance in the footer.

    Args:
        workspace: Where.
        key: Under which key.
        row: The row class.
        rows: Row objects, or a table with the schema of the row class where there are millions.
        provenance: Where it came from.
    """
    footer = {
        "row": row.__name__,
        "schema_version": row.VERSION,
        "stage": provenance.stage,
        "revision": provenance.revision,
        "config": json.loads(provenance.config.canonical()),
        "code_version": ganime.__version__,
        "parents": dict(provenance.parents),
        "run_id": provenance.run_id,
    }
    table = rows.cast(schema_of(row)) if isinstance(rows, pa.Table) else to_arrow(row, rows)
    metadata = {**(table.schema.metadata or {}), _FOOTER: json.dumps(footer).encode()}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd")
    content = buffer.getvalue()
    workspace.write_bytes(key, content)
    return Manifest(key, hashlib.sha256(content).hexdigest(), table.num_rows)


def read_part(
    workspace: Workspace, key: str, row: type[Row], columns: Sequence[str] | None = None
) -> pa.Table:
    """Read one part with the columns of its row class; an older schema is upgraded.

    Raises:
        ManifestError: damaged, not this kind of manifest, or of a newer ganime.
    """
    wanted = list(columns) if columns else schema_of(row).names
    try:
        with workspace.open(key) as file:
            parquet = pq.ParquetFile(file)
            footer = _footer(parquet.schema_arrow, workspace.describe(key))
            _check_footer(footer, row, workspace.describe(key))
            present = [name for name in wanted if name in parquet.schema_arrow.names]
            # Parts are small; and a process that ends while Arrow starts threads may abort.
            table = parquet.read(columns=present, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(
            f"{workspace.describe(key)} is damaged ({_line(error)}): delete it and run the same "
            "command again; what it held is made anew"
        ) from error
    return _upgrade(table, row, wanted, workspace.describe(key))


def read_footer(workspace: Workspace, key: str) -> dict[str, Any]:
    """Provenance of a part.

    Raises:
        ManifestError: it is not one of ours.
    """
    try:
        with workspace.open(key) as file:
            return _footer(pq.read_schema(file), workspace.describe(key))
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(f"{workspace.describe(key)} is damaged: {_line(error)}") from error


def _arrow_type(hint: Any) -> tuple[pa.DataType, bool]:
    if isinstance(hint, types.UnionType):
        (inner,) = [item for item in typing.get_args(hint) if item is not type(None)]
        return _arrow_type(inner)[0], True
    if typing.get_origin(hint) is list:
        return pa.list_(_arrow_type(typing.get_args(hint)[0])[0]), False
    return _ARROW[hint], False


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _footer(schema: pa.Schema, where: str) -> dict[str, Any]:
    try:
        footer: dict[str, Any] = json.loads((schema.metadata or {})[_FOOTER])
    except (KeyError, ValueError) as error:
        raise ManifestError(f"{where} was not written by ganime: its footer is missing") from error
    return footer


def _check_footer(footer: Mapping[str, Any], row: type[Row], where: str) -> None:
    if footer["row"] != row.__name__:
        raise ManifestError(f"{where} holds {footer['row']}, wanted {row.__name__}")
    if footer["schema_version"] > row.VERSION:
        raise ManifestError(
            f"{where} was written by a newer ganime ({footer['code_version']}, schema "
            f"{footer['schema_version']}); this one reads up to {row.VERSION}: upgrade ganime"
        )


def _upgrade(table: pa.Table, row: type[Row], wanted: Sequence[str], where: str) -> pa.Table:
    schema = pa.schema([schema_of(row).field(name) for name in wanted])
    fields = {item.name: item for item in dataclasses.fields(row)}  # type: ignore[arg-type]
    arrays = []
    for name, target in zip(wanted, schema, strict=True):
        if name in table.schema.names:
            arrays.append(table[name].cast(target.type))
        elif target.nullable:
            arrays.append(pa.nulls(table.num_rows, target.type))
        elif (absent := fields[name].metadata["absent"]) is not None:
            arrays.append(pa.array([absent] * table.num_rows, target.type))
        else:
            raise ManifestError(f"{where} lacks the column {name!r}, which {row.__name__} needs")
    return pa.table(arrays, schema=schema)


def _one_per_key(row: type[Row], table: pa.Table) -> pa.Table:
    if table.num_rows == 0:
        return table
    keys = [pc.cast(table[name], pa.string()) for name in row.KEY]
    joined = pc.binary_join_element_wise(*keys, "\x1f") if len(keys) > 1 else keys[0]
    codes = np.asarray(joined.combine_chunks().dictionary_encode().indices)
    if codes.max() + 1 == len(codes):
        return table
    if row.LATEST is None:
        _, chosen = np.unique(codes, return_index=True)
    else:
        latest = np.asarray(table[row.LATEST])
        order = np.lexsort((latest, codes))
        last_of_run = np.append(np.diff(codes[order]) != 0, True)
        chosen = order[last_of_run]
    return table.take(np.sort(chosen))
