"""What all processes that crawl into one workspace must agree on, in one small SQLite file.

Budgets of hosts, hosts that turned us away, their robots.txt, posts that somebody is fetching, and
outcomes that are not yet in a manifest. None of it is needed to understand the data: deleting the
file forgets politeness, not images. A process that is killed leaves rows behind; each names its
owner, whose lock file the system unlocks with the process, so that the living tell them apart.
"""

import fcntl
import logging
import os
import secrets
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganime.errors import StoreError
from ganime.sources import Budget

logger = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS hosts(
    host TEXT, purpose TEXT, next_start REAL NOT NULL DEFAULT 0, PRIMARY KEY (host, purpose));
CREATE TABLE IF NOT EXISTS pauses(host TEXT PRIMARY KEY, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS flights(
    id INTEGER PRIMARY KEY, host TEXT NOT NULL, purpose TEXT NOT NULL, owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refusals(
    host TEXT, identity TEXT, until REAL NOT NULL, why TEXT NOT NULL, PRIMARY KEY (host, identity));
CREATE TABLE IF NOT EXISTS robots(host TEXT PRIMARY KEY, at REAL NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS claims(key TEXT PRIMARY KEY, owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notes(
    crawl_id TEXT, key TEXT, content TEXT NOT NULL, PRIMARY KEY (crawl_id, key));
"""
_BUSY_S = 30.0
_LONGEST_PAUSE_S = 3600.0
SPACING = 1.05  # of starts, over the budget's own: requests overtake each other on their way
_LOOK_FOR_DEAD_S = 1.0  # at most so often, as it opens files
_GATHER_S = 0.25  # notes are written so late: what a kill may cost, about one file of a site

_OPENED: dict[tuple[int, Path], "Coordinator"] = {}
_OPENED_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Flight:
    """A request that may start: when, and the row to be taken back at its end."""

    row: int
    start: float  # of time.time


class Coordinator:
    """The shared file of one workspace; get it by `Coordinator.at`. Safe for threads.

    Args:
        folder: Holds the file, lock files, and bodies that are on their way.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._looked_for_dead = 0.0
        self._unwritten: dict[tuple[str, str], Callable[[], str]] = {}  # by crawl and key
        self._commits: list[Callable[[], None]] = []
        self._writing = threading.RLock()
        self._timer: threading.Timer | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.owner = secrets.token_hex(8)
            self._owner_file = (folder / f"{self.owner}.lock").open("w")
            weakref.finalize(self, self._owner_file.close)
            fcntl.flock(self._owner_file, fcntl.LOCK_EX)
            self._database = sqlite3.connect(
                folder / "coordinator.db",
                timeout=_BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            with (folder / "opening").open("w") as gate:
                # One at a time: turning a new database to WAL does not wait while others open it.
                fcntl.flock(gate, fcntl.LOCK_EX)
                self._database.execute("PRAGMA journal_mode=WAL")
                # A power cut may cost the last entries, which are only a convenience.
                self._database.execute("PRAGMA synchronous=NORMAL")
                # What is deleted here is no secret; overwriting it would write every page again.
                self._database.execute("PRAGMA secure_delete=OFF")
                self._database.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"cannot coordinate crawls in {folder}: {error}; delete that folder if it is "
                "damaged, and run the same command again"
            ) from error
        self._bury_the_dead()

    @classmethod
    def at(cls, folder: Path) -> "Coordinator":
        """The one of this process; a forked child gets its own."""
        key = (os.getpid(), folder.absolute())
        with _OPENED_LOCK:
            if key not in _OPENED or not folder.exists():
                _OPENED[key] = cls(folder)
            return _OPENED[key]

    def spool(self) -> Path:
        """A folder for bodies on their way; emptied when this process is found dead."""
        folder = self._folder / f"{self.owner}.spool"
        folder.mkdir(exist_ok=True)
        return folder

    def board(self, host: str, purpose: str, budget: Budget) -> Flight | float:
        """Claim the next start and a place in flight, or learn how long to wait [s]."""
        now = time.time()
        gap = SPACING / budget.rate_per_s
        with self._transaction() as run:
            (paused,) = run("SELECT max(until) FROM pauses WHERE host = ?", host).fetchone()
            if paused is not None and now < paused <= now + _LONGEST_PAUSE_S:
                return float(paused - now)
            (flying,) = run(
                "SELECT count(*) FROM flights WHERE host = ? AND purpose = ?", host, purpose
            ).fetchone()
            if flying >= budget.in_flight:
                due = None
            else:
                row = run(
                    "SELECT next_start FROM hosts WHERE host = ? AND purpose = ?", host, purpose
                ).fetchone()
                due = max(now, row[0]) if row else now
                if due > now + gap * (budget.in_flight + 1):  # a clock was set back
                    due = now
                run("INSERT OR REPLACE INTO hosts VALUES (?, ?, ?)", host, purpose, due + gap)
                cursor = run(
                    "INSERT INTO flights(host, purpose, owner) VALUES (?, ?, ?)",
                    *(host, purpose, self.owner),
                )
                return Flight(int(cursor.lastrowid or 0), due)
        self._bury_the_dead()
        return 0.02

    def land(self, flight: Flight) -> None:
        """The request is over."""
        with self._transaction() as run:
            run("DELETE FROM flights WHERE id = ?", flight.row)

    def pause(self, host: str, seconds: float) -> None:
        """Ask a host nothing for a while: it said so."""
        with self._transaction() as run:
            until = time.time() + min(seconds, _LONGEST_PAUSE_S)
            run(
                "INSERT INTO pauses VALUES (?, ?) "
                "ON CONFLICT(host) DO UPDATE SET until = max(until, excluded.until)",
                *(host, until),
            )

    def paused_for(self, host: str) -> float:
        """How long the host wants to be left alone yet [s]."""
        with self._lock:
            row = self._database.execute(
                "SELECT until FROM pauses WHERE host = ?", (host,)
            ).fetchone()
        return max(0.0, row[0] - time.time()) if row else 0.0

    def refuse(self, host: str, identity: str, why: str, seconds: float) -> None:
        """A host turned this identity away: nobody asks it again for a while."""
        with self._transaction() as run:
            until = time.time() + seconds
            run("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?)", host, identity, until, why)

    def refusal(self, host: str, identity: str) -> tuple[str, float] | None:
        """Why a host is not asked, and for how long yet [s]."""
        with self._lock:
            row = self._database.execute(
                "SELECT why, until FROM refusals WHERE host = ? AND identity = ?", (host, identity)
            ).fetchone()
        left = row[1] - time.time() if row else 0.0
        return (row[0], left) if left > 0 else None

    def keep_robots(self, host: str, text: str) -> None:
        """Remember a host's robots.txt; empty if it has none."""
        with self._transaction() as run:
            run("INSERT OR REPLACE INTO robots VALUES (?, ?, ?)", host, time.time(), text)

    def robots(self, host: str, max_age_s: float) -> str | None:
        """A host's robots.txt, if it was read lately."""
        with self._lock:
            row = self._database.execute(
                "SELECT text, at FROM robots WHERE host = ?", (host,)
            ).fetchone()
        return row[0] if row and 0 <= time.time() - row[1] < max_age_s else None

    @contextmanager
    def claiming(self, keys: Sequence[str]) -> Iterator[set[str]]:
        """Claim what nobody alive has claimed; yields those, given back when the block ends."""
        self._bury_the_dead(at_once=True)
        with self._transaction() as run:
            ours = {
                key
                for key in keys
                if run("INSERT OR IGNORE INTO claims VALUES (?, ?)", key, self.owner).rowcount
            }
        try:
            yield ours
        finally:
            with self._transaction():
                given_back = [(key,) for key in ours]
                self._database.executemany("DELETE FROM claims WHERE key = ?", given_back)

    @contextmanager
    def noting_after(self, commit: Callable[[], None]) -> Iterator[None]:
        """While the block runs, notes are written only after a call of `commit`.

        It makes true what they say: that originals are there. A block that ends well has called it
        itself; after an error it is called here, and what was settled is noted.
        """
        self._commits.append(commit)
        try:
            yield
        except BaseException:
            self._write_notes()  # if even that fails, the notes go on waiting for `commit`
            self._commits.remove(commit)
            raise
        self._commits.remove(commit)

    def note(self, crawl_id: str, key: str, content: Callable[[], str]) -> None:
        """Write ahead what came of a post, until its manifest is committed.

        A moment later, with those that follow; `content` is called then, from any thread, and
        never if the manifest comes first.
        """
        with self._lock:
            self._unwritten[crawl_id, key] = content
            if self._timer is None:
                # No daemon: a thread cut off inside C++ as the interpreter ends aborts it.
                self._timer = threading.Timer(_GATHER_S, self._write_in_time)
                self._timer.start()

    def notes(self, crawl_id: str, keys: Iterable[str]) -> dict[str, str]:
        """What was written ahead of these posts."""
        with self._writing:
            self._write_notes()
            with self._lock:
                # A few hundred at most: those of shards that were cut off.
                rows = self._database.execute(
                    "SELECT key, content FROM notes WHERE crawl_id = ?", (crawl_id,)
                ).fetchall()
        wanted = set(keys)
        return {key: content for key, content in rows if key in wanted}

    def forget(self, crawl_id: str, keys: Iterable[str]) -> None:
        """The manifest is committed."""
        with self._writing, self._transaction():
            names = [(crawl_id, key) for key in keys]
            written = [name for name in names if self._unwritten.pop(name, None) is None]
            self._database.executemany("DELETE FROM notes WHERE crawl_id = ? AND key = ?", written)
            if self._timer is not None and not self._unwritten:
                self._timer.cancel()  # a process would wait for it to end
                self._timer = None

    def _write_in_time(self) -> None:
        with self._lock:
            self._timer = None
        try:
            self._write_notes()
        except StoreError as error:  # whoever commits the manifest meets it too, and says so
            logger.debug("notes are not written yet: %s", error)

    def _write_notes(self) -> None:
        with self._writing:
            with self._lock:
                notes = self._unwritten.copy()
            if not notes:
                return
            for commit in self._commits.copy():
                commit()
            rows = [(*name, content()) for name, content in notes.items()]
            with self._transaction():
                self._database.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)
                for name in notes:
                    self._unwritten.pop(name, None)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise StoreError(f"{self._folder} is not usable: {error}") from error
            try:
                yield lambda sql, *values: self._database.execute(sql, values)
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _bury_the_dead(self, *, at_once: bool = False) -> None:
        """Take back what killed processes held."""
        now = time.monotonic()
        if not at_once and now - self._looked_for_dead < _LOOK_FOR_DEAD_S:
            return
        self._looked_for_dead = now
        for path in self._folder.glob("*.lock"):
            if path.stem != self.owner and not _is_locked(path):
                with self._transaction() as run:
                    run("DELETE FROM flights WHERE owner = ?", path.stem)
                    run("DELETE FROM claims WHERE owner = ?", path.stem)
                shutil.rmtree(path.with_suffix(".spool"), ignore_errors=True)
                path.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
