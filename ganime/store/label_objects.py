"""The label log where no file can be appended to: what is said at once is one object, for ever.

`labels/000000017.json` holds the events from number 17 on; the next one's name follows from it. An
object is created only where none is, so of two machines that answer at the same moment one learns
that the other was first, and nothing is lost or counted twice. Each machine keeps an SQLite copy of
all objects to ask; it may be deleted at any time.
"""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from ganime.errors import StoreError
from ganime.store.workspace import Workspace

FOLDER = "labels"
_READERS = 16  # a new machine's first look waits for the network, not for the processor
_FIELDS = ("label_id", "image_id", "question", "answer", "by", "at", "how", "note", "supersedes")


def catch_up(workspace: Workspace, connection: sqlite3.Connection) -> int:
    """Bring the copy up to date, and forget what was never handed in: nobody was told that it was.

    Returns:
        Number of the last event in the store.

    Raises:
        StoreError: an object is missing or damaged.
    """
    (known,) = connection.execute("PRAGMA user_version").fetchone()
    (written,) = connection.execute("SELECT coalesce(max(label_id), 0) FROM labels").fetchone()
    if written > known:
        with connection:
            _forget_after(connection, known)
    if not workspace.exists(_key(known + 1)):  # one small question where nothing was said since
        return int(known)
    keys = [key for key in workspace.list(FOLDER, ".json") if key > _key(known)]
    last = int(known)
    with connection, ThreadPoolExecutor(_READERS) as readers:
        for key, content in zip(keys, readers.map(workspace.read_bytes, keys), strict=True):
            last = _take_in(connection, workspace.describe(key), content, last)
        _mark(connection, last)
    return last


def hand_in(workspace: Workspace, connection: sqlite3.Connection, last: int) -> None:
    """Put into the store what the copy has beyond an event.

    Raises:
        StoreError: another machine was first; the copy is as before.
    """
    found = connection.execute(
        f"SELECT {', '.join(_FIELDS)} FROM labels WHERE label_id > ? ORDER BY label_id", (last,)
    ).fetchall()
    if not found:
        return
    content = json.dumps([dict(row) for row in found], ensure_ascii=False, indent=1).encode()
    is_first = False
    try:
        is_first = workspace.create_bytes(_key(last + 1), content)
    finally:
        with connection:
            if is_first:
                _mark(connection, found[-1]["label_id"])
            else:
                _forget_after(connection, last)
    if not is_first:
        raise StoreError(
            f"somebody else answered in {workspace.describe()} at the same moment, and this answer "
            "is not written: look again, then say it again"
        )


def _take_in(connection: sqlite3.Connection, name: str, content: bytes, last: int) -> int:
    """Add an object's events to the copy; returns the last one's number."""
    try:
        events = [tuple(event[field] for field in _FIELDS) for event in json.loads(content)]
        numbers = [int(event[0]) for event in events]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{name} holds no labels ({error!r}): restore it") from error
    if not numbers or numbers != list(range(last + 1, last + 1 + len(numbers))):
        raise StoreError(
            f"{name} holds labels {numbers[:1]} to {numbers[-1:]}, but {last + 1} is the next: an "
            "object between is missing; restore it"
        )
    marks = ", ".join("?" for _ in _FIELDS)
    connection.executemany(f"INSERT INTO labels ({', '.join(_FIELDS)}) VALUES ({marks})", events)
    return numbers[-1]


def _forget_after(connection: sqlite3.Connection, last: int) -> None:
    connection.execute("DELETE FROM labels WHERE label_id > ?", (last,))
    # Numbers have no gaps: the next object is found by its name.
    connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'labels'", (last,))


def _mark(connection: sqlite3.Connection, last: int) -> None:
    connection.execute(f"PRAGMA user_version = {last:d}")


def _key(number: int) -> str:
    return f"{FOLDER}/{number:09d}.json"
