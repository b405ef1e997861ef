"""Columns on disk: uncompressed Arrow IPC files that a page maps into memory, never parsed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ganime.errors import ManifestError
from ganime.store.workspace import Workspace

Array = npt.NDArray[Any]
_NOTES = b"notes"


class Columns(Mapping[str, Array]):
    """Columns of equal length, each an array that is not to be written to; and notes on them.

    Attributes:
        notes: What belongs to all rows: names behind codes, settings, counts.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.notes: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_NOTES, b"{}"))
        self.num_rows: int = table.num_rows

    def __getitem__(self, name: str) -> Array:
        column = self.table[name]
        if not column.num_chunks:
            return np.zeros(0, column.type.to_pandas_dtype())
        (array,) = column.chunks
        if pa.types.is_fixed_size_binary(array.type):
            width = array.type.byte_width
            flat = np.frombuffer(array.buffers()[1], np.uint8)
            return flat[: width * len(array)].reshape(len(array), width)
        found: Array = array.to_numpy(zero_copy_only=True)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.column_names)

    def __len__(self) -> int:
        return len(self.table.column_names)


def as_arrow(values: Array | pa.Array) -> pa.Array:
    """A column as Arrow keeps it: numbers as they are, uint8 [N, W] as binaries of W bytes."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        content = pa.py_buffer(np.ascontiguousarray(values, np.uint8))
        return pa.Array.from_buffers(pa.binary(values.shape[1]), len(values), [None, content])
    return values if isinstance(values, pa.Array) else pa.array(values)


def write_columns(
    store: Workspace, key: str, columns: Mapping[str, Array | pa.Array], notes: Mapping[str, Any]
) -> None:
    """Make columns visible as one file, whole or not at all.

    Args:
        store: Where.
        key: Under which key.
        columns: Of equal lengths.
        notes: What belongs to all rows; becomes JSON.
    """
    arrays = [as_arrow(values) for values in columns.values()]
    schema = pa.schema(
        [pa.field(name, array.type) for name, array in zip(columns, arrays, strict=True)],
        metadata={_NOTES: json.dumps(notes).encode()},
    )
    batch = pa.record_batch(arrays, schema=schema)
    with store.writing(key) as path, _written(path) as sink, pa.ipc.new_file(sink, schema) as file:
        file.write_batch(batch)


def open_columns(store: Workspace, key: str) -> Columns:
    """Map a file of `write_columns`.

    Raises:
        ManifestError: it is damaged.
        FileNotFoundError: it is not there.
    """
    path = store.local_path(key)
    try:
        with pa.memory_map(str(path)) as source:
            return Columns(pa.ipc.open_file(source).read_all())
    except pa.ArrowInvalid as error:
        raise ManifestError(f"{path} is damaged ({error}): delete it, it is made anew") from error


@contextmanager
def _written(path: Any) -> Iterator[pa.NativeFile]:
    with pa.OSFile(str(path), "wb") as sink:
        yield sink
