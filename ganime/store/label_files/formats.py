"""The kinds of file that labels come and go in, by the end of their names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganime.errors import ConfigError
from ganime.store.label_files import csv_file, jsonl_file


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file.

    Attributes:
        read: From path (for messages) and content to the number of the line and the values by
            column of each label; raises `ConfigError`.
        write: From labels to the content.
    """

    read: Callable[[Path, str], Iterator[tuple[int, dict[str, Any]]]]
    write: Callable[[Sequence[dict[str, str]]], str]


FORMATS: Mapping[str, Format] = {
    ".csv": Format(csv_file.read, csv_file.write),
    ".jsonl": Format(jsonl_file.read, jsonl_file.write),
}


def format_of(path: Path) -> Format:
    """The format of a file, by its name.

    Raises:
        ConfigError: the name ends otherwise.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise ConfigError(
            f"{path} is neither {' nor '.join(FORMATS)} nor, to import, a folder: name one"
        )
    return form
