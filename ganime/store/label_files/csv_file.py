"""Labels as CSV: the first line names the columns."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ganime.errors import ConfigError
from ganime.store.label_files.entries import COLUMNS, NEEDED, check_columns


def read(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of the line and cells by column of each label.

    Raises:
        ConfigError: it is not CSV, or has other columns; names file and line.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if header is None:
                header = [cell.strip() for cell in cells]
                check_columns(f"{path}:{line}", header)
            elif cells and len(cells) != len(header):
                raise ConfigError(
                    f"{path}:{line} has {len(cells)} cells, wanted {len(header)} as in the first "
                    "line: put quotes around a cell with a comma in it"
                )
            elif cells:
                yield line, dict(zip(header, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(f"{path}:{line} is not CSV: {error}") from error
    if header is None:
        raise ConfigError(f"{path} is empty: its first line names the columns {', '.join(NEEDED)}")


def write(rows: Sequence[dict[str, str]]) -> str:
    """The content of a file that `read` reads."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
