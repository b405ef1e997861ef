"""The label log where no file can be appended to: what is said at once is one object, for ever.

`labels/000000017.json` holds the events from number 17 on; the next one's name follows from it. An
object is created only where none is, so of two machines that answer at the same moment one learns
that the other was first, and nothing is lost or counted twice. Each machine keeps an SQLite copy of
all objects to ask; it may be deleted at any time.

A bucket may be deleted and made anew under its old name, and machines still hold a copy of what was
said in the lost one. So the first answer gives the log an identity, drawn by lot, and a copy of
another log is forgotten.
"""

import json
import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from ganime.errors import StoreError
from ganime.store.workspace import Workspace

FOLDER = "labels"
IDENTITY = f"{FOLDER}/.identity"  # hidden, as it is no label
_READERS = 16  # a new machine's first look waits for the network, not for the processor
_FIELDS = ("label_id", "image_id", "question", "answer", "by", "at", "how", "note", "supersedes")


def catch_up(workspace: Workspace, connection: sqlite3.Connection) -> int:
    """Bring the copy up to date, and forget what was never handed in: nobody was told that it was.

    Returns:
        Number of the last event in the store.

    Raises:
        StoreError: an object is missing or damaged.
    """
    told = _identity(workspace)
    (known,) = connection.execute("PRAGMA user_version").fetchone()
    (written,) = connection.execute("SELECT coalesce(max(label_id), 0) FROM labels").fetchone()
    if told != _copied_from(connection):
        known = 0
        with connection:
            _forget_after(connection, known)
            _mark(connection, known, told)
    elif written > known:
        with connection:
            _forget_after(connection, known)
    if not workspace.exists(_key(known + 1)):  # one small question where nothing was said since
        return int(known)
    keys = [key for key in workspace.list(FOLDER, ".json") if key > _key(known)]
    last = int(known)
    with connection, ThreadPoolExecutor(_READERS) as readers:
        for key, content in zip(keys, readers.map(workspace.read_bytes, keys), strict=True):
            last = _take_in(connection, workspace.describe(key), content, last)
        _mark(connection, last, told)
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
        told = _identity(workspace) or _draw_identity(workspace)
        is_first = workspace.create_bytes(_key(last + 1), content)
    finally:
        with connection:
            if is_first:
                _mark(connection, found[-1]["label_id"], told)
            else:
                _forget_after(connection, last)
    if not is_first:
        raise StoreError(
            f"somebody else answered in {workspace.describe()} at the same moment, and this answer "
            "is not written: look again, then say it again"
        )


def _identity(workspace: Workspace) -> str:
    """That of the log; empty until somebody answers."""
    try:
        return workspace.read_bytes(IDENTITY).decode()
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return ""
        raise


def _draw_identity(workspace: Workspace) -> str:
    """Give the log one; of two machines at the same moment both get that of the first."""
    drawn = secrets.token_hex(16)
    is_first = workspace.create_bytes(IDENTITY, drawn.encode())
    return drawn if is_first else _identity(workspace)


def _copied_from(connection: sqlite3.Connection) -> str:
    """Identity of the log that this is a copy of."""
    connection.execute("CREATE TABLE IF NOT EXISTS copied_from (identity TEXT NOT NULL)")
    found = connection.execute("SELECT identity FROM copied_from").fetchone()
    return str(found[0]) if found else ""


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


def _mark(connection: sqlite3.Connection, last: int, identity: str) -> None:
    """Note up to where this is a copy, and of which log."""
    connection.execute(f"PRAGMA user_version = {last:d}")
    connection.execute("DELETE FROM copied_from")
    connection.execute("INSERT INTO copied_from (identity) VALUES (?)", (identity,))


def _key(number: int) -> str:
    return f"{FOLDER}/{number:09d}.json"
