"""Rows ⇄ Parquet: one immutable part, with its provenance in the footer."""

import dataclasses
import hashlib
import io
import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

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
_GROUP_ROWS = 16_384  # what is read for the sake of one row; a table takes no longer than in one
_FEW_ROWS = 1024  # a small part soon becomes a piece of a large one
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
        columns = list(zip(*map(attrgetter(*schema.names), rows), strict=True))
        columns = columns or [()] * len(schema)
        arrays = [pa.array(of, column.type) for of, column in zip(columns, schema, strict=True)]
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
    return put(workspace, key, table, footer)


def put(workspace: Workspace, key: str, table: pa.Table, footer: Mapping[str, Any]) -> Manifest:
    """Make a table visible as a Parquet file, whole or not at all, with this footer."""
    metadata = {**(table.schema.metadata or {}), _FOOTER: json.dumps(footer).encode()}
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        buffer,
        # Preparing zstd for each column takes longer than writing a small part by snappy.
        compression="zstd" if table.num_rows > _FEW_ROWS else "snappy",
        row_group_size=_GROUP_ROWS,
    )
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
    with _opened(workspace, key, row) as parquet:
        return _read(parquet, range(parquet.num_row_groups), row, columns, workspace.describe(key))


def read_places(
    workspace: Workspace,
    key: str,
    row: type[Row],
    places: Sequence[int],
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """`read_part` of some rows, given by their places in the part.

    Only the row groups that hold them are read.
    """
    with _opened(workspace, key, row) as parquet:
        meta = parquet.metadata
        sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        ends = np.cumsum(sizes)
        group_of = np.searchsorted(ends, places, side="right")
        groups = np.unique(group_of)
        skipped = ends[groups] - np.cumsum(np.take(sizes, groups))  # rows left out before each
        table = _read(parquet, groups.tolist(), row, columns, workspace.describe(key))
    return table.take(
        pa.array(np.asarray(places, np.int64) - skipped[np.searchsorted(groups, group_of)])
    )


def read_equal(
    workspace: Workspace,
    key: str,
    row: type[Row],
    column: str,
    value: str,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """`read_part` of the rows whose text column, one of `columns`, has this value.

    Only the row groups whose statistics allow for it are read: few where the column is sorted.
    """
    with _opened(workspace, key, row) as parquet:
        groups = _may_hold(parquet.metadata, column, value)
        table = _read(parquet, groups, row, columns, workspace.describe(key))
    return table.filter(pc.equal(table[column], value))


def _may_hold(meta: pq.FileMetaData, column: str, value: str) -> list[int]:
    leaf = [meta.schema.column(i).path for i in range(meta.num_columns)].index(column)
    found = (meta.row_group(i).column(leaf).statistics for i in range(meta.num_row_groups))
    return [
        i
        for i, known in enumerate(found)
        if known is None or not known.has_min_max or known.min <= value <= known.max
    ]


@contextmanager
def _opened(workspace: Workspace, key: str, row: type[Row]) -> Iterator[pq.ParquetFile]:
    try:
        where = workspace.describe(key)
        # By its path, Arrow reads a file itself. Its threads hold on to what they read a moment
        # longer than the call lasts: were that a Python object, a process that ends would abort.
        with workspace.source(key) as source, pq.ParquetFile(source) as parquet:
            _check_footer(_footer(parquet.schema_arrow, where), row, where)
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(
            f"{workspace.describe(key)} is damaged ({_line(error)}): delete it and run the same "
            "command again; what it held is made anew"
        ) from error


def _read(
    parquet: pq.ParquetFile,
    groups: Iterable[int],
    row: type[Row],
    columns: Sequence[str] | None,
    where: str,
) -> pa.Table:
    wanted = list(columns) if columns else schema_of(row).names
    present = [name for name in wanted if name in parquet.schema_arrow.names]
    # Parts are small: threads would cost more than they spare.
    table = parquet.read_row_groups(list(groups), present, use_threads=False)
    return _upgrade(table, row, wanted, where)


def read_footer(workspace: Workspace, key: str) -> dict[str, Any]:
    """Provenance of a part.

    Raises:
        ManifestError: it is not one of ours.
    """
    try:
        with workspace.source(key) as source:
            return _footer(pq.read_schema(source), workspace.describe(key))
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
