"""Tags that lie beside images: `.txt` and `.json` files per image, or one table for all."""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganime.errors import ImageError, SourceRefused
from ganime.sources.files import Files

_SIDECAR_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What a file beside an image says of it."""

    tags: list[str] = field(default_factory=list)
    rating: str | None = None
    score: int | None = None
    source: str | None = None


def read_sidecar(files: Files, name: str) -> Sidecar:
    """The side-car of an image: `a.png.json`, `a.json`, `a.png.txt` or `a.txt`, the first there.

    A damaged one counts as absent.
    """
    path = PurePosixPath(name)
    for suffix in (".json", ".txt"):
        for candidate in (f"{name}{suffix}", path.with_suffix(suffix).as_posix()):
            if candidate not in files.names():
                continue
            try:
                text = files.read(candidate, _SIDECAR_BYTES).decode("utf-8", errors="replace")
            except (FileNotFoundError, ImageError):
                continue
            return _from_json(text) if suffix == ".json" else Sidecar(tags=split_tags(text))
    return Sidecar()


def read_tag_table(path: Path) -> dict[str, list[str]]:
    """Tags by file, from a CSV or Parquet with the columns `file` and `tags`.

    Raises:
        SourceRefused: it cannot be read or lacks a column; names what it has.
    """
    try:
        rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise SourceRefused(f"cannot read the tags in {path}: {error}") from error
    return {str(file): _tag_list(tags) for file, tags in rows}


def split_tags(text: str) -> list[str]:
    """Tags from text: between commas or line breaks if there are any, else between spaces."""
    if "," in text or "\n" in text.strip():
        return [
            as_tag(part) for line in text.splitlines() for part in line.split(",") if part.strip()
        ]
    return text.split()


def as_tag(words: str) -> str:
    """Words as a booru spells a tag: `long hair` is `long_hair`."""
    return "_".join(words.split())


def _tag_list(value: Any) -> list[str]:
    if isinstance(value, list):
        return [as_tag(str(tag)) for tag in value if str(tag).strip()]
    return split_tags(value) if isinstance(value, str) else []


def _from_json(text: str) -> Sidecar:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return Sidecar()
    if not isinstance(said, dict):
        return Sidecar()
    rating, score, source = said.get("rating"), said.get("score"), said.get("source")
    return Sidecar(
        tags=_tag_list(said.get("tags") or said.get("tag_string")),
        rating=rating if isinstance(rating, str) else None,
        score=score if type(score) is int and abs(score) < 1 << 62 else None,
        source=source if isinstance(source, str) and source else None,
    )


def _csv_rows(path: Path) -> list[tuple[Any, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        _require_columns(path, list(reader.fieldnames or []))
        return [(row["file"], row["tags"]) for row in reader]


def _parquet_rows(path: Path) -> list[tuple[Any, Any]]:
    table = pq.read_table(path)
    _require_columns(path, table.column_names)
    return list(zip(table["file"].to_pylist(), table["tags"].to_pylist(), strict=True))


def _require_columns(path: Path, found: list[str]) -> None:
    if not {"file", "tags"} <= set(found):
        raise SourceRefused(
            f"{path} has the columns {', '.join(found) or 'none'}; wanted: file, tags"
        )
