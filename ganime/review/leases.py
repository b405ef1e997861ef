"""Who looks at which image right now, so that two people are never handed the same one.

A lease is advice with an end, not a lock: whoever walks away blocks nobody for long, and what keeps
two answers apart is `ganime.review.answers`.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ganime.errors import StoreError

SECONDS = 300.0  # longer than anybody looks at a page of images
_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    image_id TEXT, question TEXT, person TEXT, until REAL, PRIMARY KEY (image_id, question)
);
CREATE INDEX IF NOT EXISTS leases_by_end ON leases (until);
"""


class Leases:
    """Leases of a workspace, for all servers that show it. Safe for threads and processes.

    Args:
        path: The file they are kept in.
        seconds: How long each lasts.
    """

    def __init__(self, path: Path, seconds: float = SECONDS) -> None:
        self._path = path
        self._seconds = seconds
        path.parent.mkdir(parents=True, exist_ok=True)

    def taken(self, question: str, person: str) -> set[str]:
        """Images that others look at."""
        with self._connection() as connection:
            found = connection.execute(
                "SELECT image_id FROM leases WHERE question = ? AND person != ? AND until > ?",
                (question, person, time.time()),
            )
            return {row[0] for row in found}

    def take(self, image_ids: Sequence[str], question: str, person: str, num: int) -> list[str]:
        """Lease the first of these that nobody else has; one's own are renewed.

        Returns:
            At most `num` of them, in their order.
        """
        now = time.time()
        taken: list[str] = []
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM leases WHERE until <= ?", (now,))
            for image_id in image_ids:
                if len(taken) == num:
                    break
                found = connection.execute(
                    "INSERT INTO leases VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET until = excluded.until WHERE person = excluded.person",
                    (image_id, question, person, now + self._seconds),
                )
                if found.rowcount:
                    taken.append(image_id)
            connection.execute("COMMIT")
        return taken

    def free(self, image_ids: Sequence[str], question: str, person: str) -> None:
        """Give back what one is done with."""
        with self._connection() as connection:
            connection.executemany(
                "DELETE FROM leases WHERE image_id = ? AND question = ? AND person = ?",
                [(image_id, question, person) for image_id in image_ids],
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self._path, timeout=10, isolation_level=None)
            ) as connection:
                # Who loses power looks at a page again; nothing waits for a disk here.
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")
                connection.executescript(_SCHEMA)
                yield connection
        except sqlite3.DatabaseError as error:
            raise StoreError(f"cannot use {self._path}: {error}") from error
