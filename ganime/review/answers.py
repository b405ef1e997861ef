"""What people say while they review: written down at once, and never over another's word unseen."""

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from ganime.errors import GanimeError
from ganime.review.digests import Ids, Rows, rows_of
from ganime.store.labels import LabelLog
from ganime.store.workspace import Workspace

UNDONE = "undo"  # how an answer came about that takes the person's last one back
NONE, YES, NO = range(3)  # states of an image under one question
_LAST = (
    "SELECT label_id, image_id, question, answer, by, at, how, supersedes FROM labels"
    " WHERE image_id = ? AND question = ? ORDER BY label_id DESC LIMIT 1"
)
_INSERT = (
    "INSERT INTO labels (image_id, question, answer, by, at, how, note, supersedes)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The last that was said to one question about one image."""

    label_id: int
    image_id: str
    question: str
    answer: bool | None
    by: str
    at: str
    how: str
    supersedes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An answer that a person gives.

    Attributes:
        expected: `label_id` of the last event that the person saw; None if there was none.
    """

    image_id: str
    question: str
    answer: bool | None
    expected: int | None
    note: str = ""


class LabelConflictError(GanimeError):
    """Somebody else answered meanwhile.

    Attributes:
        events: What is there now.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        first = events[0]
        said = {True: "yes", False: "no", None: "took the answer back"}[first.answer]
        super().__init__(
            f"{first.by} answered {first.question} meanwhile: {said}; look again, then decide"
        )
        self.events = list(events)


class ReviewLog(LabelLog):
    """The label log, written to only by who knows its last event."""

    def answer(self, wishes: Sequence[Wish], *, by: str, how: str) -> list[Event]:
        """Write answers down, all or none.

        An answer that is there already as this person's reply to the same event was sent twice,
        because a reply was lost: it is acknowledged again, not written again.

        Returns:
            The events, in the order of the wishes.

        Raises:
            LabelConflictError: an image was answered since the person saw it; nothing is written.
        """
        with self._connection() as connection:
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")  # from here on nobody else writes
            try:
                events = self._answer(connection, wishes, by, how)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")  # flushed to the disk before it returns
            return events

    def undo(self, label_ids: Sequence[int], *, by: str) -> list[Event]:
        """Put back what was said before some of this person's answers, whoever had said it.

        Raises:
            LabelConflictError: an image was answered again since; nothing is written.
            GanimeError: an answer is not there or not this person's.
        """
        wishes = []
        with self._connection() as connection:
            for label_id in label_ids:
                wishes.append(_opposite(connection, label_id, by))
        return self.answer(wishes, by=by, how=UNDONE)

    def since(self, label_id: int) -> list[Event]:
        """Events after one, in order."""
        with self._connection() as connection:
            found = connection.execute(
                "SELECT label_id, image_id, question, answer, by, at, how, supersedes FROM labels"
                " WHERE label_id > ? ORDER BY label_id",
                (label_id,),
            )
            return [_event(row) for row in found]

    def _answer(
        self, connection: sqlite3.Connection, wishes: Sequence[Wish], by: str, how: str
    ) -> list[Event]:
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        events, conflicts = [], []
        for wish in wishes:
            last = _last(connection, wish.image_id, wish.question)
            if last and _is_replay(last, wish, by, how):
                events.append(last)
                continue
            if (last.label_id if last else None) != wish.expected:
                if last is None:
                    raise GanimeError(f"there is no answer {wish.expected} to {wish.question}")
                conflicts.append(last)
                continue
            values = (wish.image_id, wish.question, wish.answer, by, at, how, wish.note)
            label_id = connection.execute(_INSERT, (*values, wish.expected)).lastrowid
            assert label_id is not None
            events.append(
                Event(
                    label_id=label_id,
                    image_id=wish.image_id,
                    question=wish.question,
                    answer=wish.answer,
                    by=by,
                    at=at,
                    how=how,
                    supersedes=wish.expected,
                )
            )
        if conflicts:
            raise LabelConflictError(conflicts)
        return events


class Answers:
    """The last events over the rows of a snapshot, kept in memory. Safe for threads.

    Args:
        workspace: Where.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.log = ReviewLog(workspace)
        self._lock = threading.Lock()
        self._seen = 0
        self._last: dict[tuple[str, str], Event] = {}
        self._ids: Ids | None = None
        self._states: dict[str, npt.NDArray[np.int8]] = {}

    def refresh(self) -> None:
        """Take in what was said since, by whatever process."""
        with self._lock:
            self._take_in(self.log.since(self._seen))

    def last(self, image_id: str) -> dict[str, Event]:
        """The last event to each question about an image, answers taken back included."""
        with self._lock:
            events = [self._last.get((image_id, question)) for question in self._states]
        return {event.question: event for event in events if event}

    def states(self, ids: Ids, question: str) -> npt.NDArray[np.int8]:
        """`NONE`, `YES` or `NO` for each image [N]."""
        with self._lock:
            if ids is not self._ids:  # another snapshot, other rows
                self._ids = ids
                self._states = {name: np.zeros(len(ids), np.int8) for name in self._states}
                self._put(list(self._last.values()))
            return self._states.get(question, np.zeros(len(ids), np.int8))

    def labelled(self, ids: Ids, question: str) -> Rows:
        """Rows with an answer to a question."""
        return np.flatnonzero(self.states(ids, question))

    def questions(self) -> list[str]:
        """Questions that somebody answered."""
        with self._lock:
            return list(self._states)

    def events(self, question: str) -> list[Event]:
        """The last events to a question."""
        with self._lock:
            return [event for (_, name), event in self._last.items() if name == question]

    def _take_in(self, events: Sequence[Event]) -> None:
        for event in events:
            self._seen = max(self._seen, event.label_id)
            self._last[event.image_id, event.question] = event
            if event.question not in self._states:
                num = len(self._ids) if self._ids is not None else 0
                self._states[event.question] = np.zeros(num, np.int8)
        self._put(events)

    def _put(self, events: Sequence[Event]) -> None:
        if self._ids is None or not events:
            return
        rows = rows_of(self._ids, [event.image_id for event in events]).tolist()
        for row, event in zip(rows, events, strict=True):
            if row >= 0:
                state = NONE if event.answer is None else YES if event.answer else NO
                self._states[event.question][row] = state


def _is_replay(last: Event, wish: Wish, by: str, how: str) -> bool:
    return (last.supersedes, last.answer, last.by, last.how) == (
        wish.expected,
        wish.answer,
        by,
        how,
    )


def _last(connection: sqlite3.Connection, image_id: str, question: str) -> Event | None:
    row = connection.execute(_LAST, (image_id, question)).fetchone()
    return _event(row) if row else None


def _opposite(connection: sqlite3.Connection, label_id: int, by: str) -> Wish:
    """The answer that puts back what was there before an event."""
    find = "SELECT image_id, question, by, supersedes FROM labels WHERE label_id = ?"
    row = connection.execute(find, (label_id,)).fetchone()
    if row is None or row["by"] != by:
        raise GanimeError(f"{by} gave no answer {label_id}: only one's own can be undone")
    before = connection.execute(
        "SELECT answer FROM labels WHERE label_id = ?", (row["supersedes"],)
    ).fetchone()
    return Wish(
        image_id=row["image_id"],
        question=row["question"],
        answer=None if before is None or before["answer"] is None else bool(before["answer"]),
        expected=label_id,
        note=f"undoes {label_id}",
    )


def _event(row: sqlite3.Row) -> Event:
    values = dict(row)
    answer = values["answer"]
    return Event(**{**values, "answer": None if answer is None else bool(answer)})
