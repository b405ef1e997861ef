"""What people said about images: an append-only SQLite event log, frozen to Parquet per run.

On an object store the log is `ganime.store.label_objects`, and the SQLite file this machine's copy.
"""

import fcntl
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ganime.config import Config, digest_of
from ganime.errors import StoreError
from ganime.rows import LabelRow
from ganime.store.label_objects import catch_up, hand_in
from ganime.store.manifest import Manifest, Provenance, Table
from ganime.store.workspace import Workspace

REVISION = 1
_KEY = "labels.db"
_COLUMNS = "label_id, image_id, question, answer, by, at, how, note, supersedes"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS labels (
    label_id INTEGER PRIMARY KEY AUTOINCREMENT,
    image_id TEXT NOT NULL,
    question TEXT NOT NULL,
    answer INTEGER,
    by TEXT NOT NULL,
    at TEXT NOT NULL,
    how TEXT NOT NULL,
    note TEXT NOT NULL,
    supersedes INTEGER
);
CREATE INDEX IF NOT EXISTS labels_by_image ON labels (image_id, question);
CREATE VIEW IF NOT EXISTS current_labels AS
    SELECT {_COLUMNS} FROM labels
    WHERE label_id IN (SELECT max(label_id) FROM labels GROUP BY image_id, question)
    AND answer IS NOT NULL;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer to write down; None takes an earlier answer back."""

    image_id: str
    question: str
    answer: bool | None
    note: str = ""


class LabelLog:
    """The label log of a workspace; WAL and synchronous=FULL, so no acknowledged label is lost."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def append(self, answers: Iterable[Answer], *, by: str, how: str) -> int:
        """Write answers down, all or none.

        Returns:
            How many.
        """
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        rows = [
            (item.image_id, item.question, item.answer, by, at, how, item.note) for item in answers
        ]
        with self._connection() as connection, connection:
            connection.executemany(
                "INSERT INTO labels (image_id, question, answer, by, at, how, note, supersedes)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, (SELECT max(label_id) FROM labels"
                " WHERE image_id = ?1 AND question = ?2))",
                rows,
            )
        return len(rows)

    def history(self, image_id: str) -> list[LabelRow]:
        """All that was said about one image, in order."""
        return self._select("FROM labels WHERE image_id = ? ORDER BY label_id", image_id)

    def events(self) -> list[LabelRow]:
        """Everything that was said, in order."""
        return self._select("FROM labels ORDER BY label_id")

    def current(self) -> list[LabelRow]:
        """The last answer to each question about each image, answers taken back left out."""
        return self._select("FROM current_labels ORDER BY label_id")

    def freeze(self, run_id: str) -> Manifest | None:
        """Copy the current labels to Parquet, named by their content, for a run to refer to.

        Returns:
            The part, or None while nobody has said anything.
        """
        labels = self.current()
        if not labels:
            return None
        name = digest_of(*(str(astuple(row)) for row in labels))
        provenance = Provenance(stage="labels", revision=REVISION, config=Config(), run_id=run_id)
        return Table(self._workspace, LabelRow).write(name, labels, provenance)

    def _select(self, clause: str, *arguments: str) -> list[LabelRow]:
        if self._workspace.is_local and not self._workspace.exists(_KEY):
            return []
        with self._connection() as connection:
            found = connection.execute(f"SELECT {_COLUMNS} {clause}", arguments).fetchall()
        return [_row(values) for values in found]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._workspace.is_local:
            path = self._workspace.local_path(_KEY)
            path.parent.mkdir(parents=True, exist_ok=True)
            with _opened(path) as connection:
                yield connection
            return
        folder = self._workspace.shared_folder("labels")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as gate:
            # One of this machine at a time: what it adds to the copy is then what it hands in.
            fcntl.flock(gate, fcntl.LOCK_EX)
            with _opened(folder / _KEY) as connection:
                last = catch_up(self._workspace, connection)
                yield connection
                hand_in(self._workspace, connection, last)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            yield connection
    except sqlite3.DatabaseError as error:
        raise StoreError(f"cannot use {path}: {error}") from error


def _row(values: sqlite3.Row) -> LabelRow:
    answer = values["answer"]
    return LabelRow(
        **{
            **dict(values),
            "answer": None if answer is None else bool(answer),
            "at": datetime.fromisoformat(values["at"]),
        }
    )
