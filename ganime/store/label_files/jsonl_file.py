"""Labels as JSON lines: one object per line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ganime.errors import ConfigError
from ganime.store.label_files.entries import check_columns


def read(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of the line and values by column of each label.

    Raises:
        ConfigError: a line is no JSON object, or has other keys; names file and line.
    """
    # Not splitlines(): JSON may hold U+2028 and its like inside a string.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        where = f"{path}:{line}"
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ConfigError(f"{where} is not an object: write one per line")
        check_columns(where, list(record))
        yield line, record


def write(rows: Sequence[dict[str, str]]) -> str:
    """The content of a file that `read` reads."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
