"""What to look at next: unsure images, suspect answers, a random audit, groups of duplicates.

Only images drawn at random tell how right the decisions are; what a classifier is unsure of says
nothing about the rest. The interval: Wilson, "Probable Inference, the Law of Succession, and
Statistical Inference", 1927.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ganime.classifiers.asking import rarer_answer
from ganime.classifiers.figures import wilson
from ganime.review.answers import NO, YES, Answers
from ganime.review.cache import Snapshot
from ganime.review.digests import Rows, rows_of
from ganime.review.pages import Sort, scored
from ganime.review.query import NotThereError, find_scores
from ganime.review.schemas import Audit
from ganime.review.verdict_columns import KEPT, newest_of
from ganime.store.workspace import Workspace

QueueName = Literal["most-uncertain", "suspects", "random-audit", "duplicates"]
AUDIT: QueueName = "random-audit"  # how its answers say that they came about
_KEEP = "keep"  # the question that any image may be asked
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd


def most_uncertain(
    snapshot: Snapshot, answers: Answers, question: str, avoid: set[str]
) -> Iterator[int]:
    """Rows without an answer, the most telling first, one of each group of copies.

    Those nearest to the threshold; while one answer is rare, the likeliest of that answer take
    turns with them. A threshold that was learned from few yes lies anywhere, and what is near it
    may all be no, see `ganime.classifiers.asking`.
    """
    scores = find_scores(snapshot, question)
    states = answers.states(snapshot.ids, question)
    orders = [_unanswered(scored(snapshot, scores, "uncertain"), states)]
    rare = rarer_answer(*(int(np.count_nonzero(states == said)) for said in (YES, NO)))
    if rare is not None:
        likely: Sort = "highest" if rare == scores.above else "lowest"  # yes is what a rule drops
        orders.insert(0, _unanswered(scored(snapshot, scores, likely), states))
    leaders = snapshot.groups["decisions"]["kept_instead"]
    taken = set(rows_of(snapshot.ids, sorted(avoid)).tolist()) if avoid else set()
    seen = {int(leaders[row]) if leaders[row] >= 0 else row for row in taken if row >= 0}
    for row in chain.from_iterable(zip(*orders, strict=False)):
        leader = int(leaders[row]) if leaders[row] >= 0 else row
        if leader not in seen:
            seen.add(leader)
            yield row


def random_audit(
    snapshot: Snapshot, answers: Answers, question: str, avoid: set[str]
) -> Iterator[int]:
    """Rows of the population of `audit` in a random order that is the same for everybody.

    Images that got an answer in another queue are asked again: without them the draw would not be
    random.
    """
    rows = _population(snapshot, question)
    order = rows[np.argsort(_drawn(snapshot)[rows], kind="stable")]
    audited = {event.image_id for event in answers.events(question) if event.how == AUDIT}
    done = set(rows_of(snapshot.ids, sorted(audited | avoid)).tolist())
    return (row for row in order.tolist() if row not in done)


def audit(snapshot: Snapshot, answers: Answers, question: str) -> Audit:
    """How right the decisions are, from the answers of the random audit alone."""
    population = _population(snapshot, question)
    inside = np.zeros(snapshot.num_rows, bool)
    inside[population] = True
    told = [
        event
        for event in answers.events(question)
        if event.how == AUDIT and event.answer is not None
    ]
    rows = rows_of(snapshot.ids, [event.image_id for event in told]).tolist()
    ours = [event for row, event in zip(rows, told, strict=True) if row >= 0 and inside[row]]
    right = sum(bool(event.answer) for event in ours)
    return Audit(
        question=question,
        population=len(population),
        answered=len(ours),
        right=right,
        precision=right / len(ours) if ours else None,
        interval=wilson(right, len(ours)),
    )


def duplicates(
    snapshot: Snapshot, answers: Answers, question: str, avoid: set[str]
) -> Iterator[int]:
    """Rows of images kept instead of others and not answered, the largest groups first."""
    leaders = snapshot.groups["decisions"]["kept_instead"]
    rows, counts = np.unique(leaders[leaders >= 0], return_counts=True)
    order = rows[np.argsort(-counts, kind="stable")].astype(np.int64)
    states = answers.states(snapshot.ids, question)
    return _unanswered([order], states)


def members(snapshot: Snapshot, row: int) -> tuple[int, list[int]]:
    """The image that was kept, and all rows of its group, the kept first; alone without copies."""
    leaders = snapshot.groups["decisions"]["kept_instead"]
    leader = int(leaders[row]) if leaders[row] >= 0 else row
    return leader, [leader, *np.flatnonzero(leaders == leader).tolist()]


def suspects(
    workspace: Workspace, snapshot: Snapshot, answers: Answers, question: str
) -> Iterator[tuple[int, str]]:
    """Rows whose answer the newest classifier contradicts, and why; as it was told when trained.

    Raises:
        NotThereError: no classifier answers the question.
    """
    states = answers.states(snapshot.ids, question)
    for suspect in _suspects(workspace, question):
        row = snapshot.ids.row(suspect["image_id"])
        answered_since = row is not None and suspect["by"] == "tags" and states[row]
        if row is not None and not answered_since:
            said = "yes" if suspect["answer"] else "no"
            yield row, f"{suspect['by']} said {said}, the classifier scores {suspect['score']:.2f}"


def _suspects(workspace: Workspace, question: str) -> list[dict[str, Any]]:
    classifier = newest_of(workspace, []).get(question)
    if classifier is None:
        raise NotThereError(f"no classifier answers {question!r}")
    key = f"classifiers/{classifier}/figures.json"
    figures = json.loads(workspace.read_bytes(key)) if workspace.exists(key) else {}
    found: list[dict[str, Any]] = figures.get("suspects", [])
    return found


def _population(snapshot: Snapshot, question: str) -> Rows:
    """Kept images for `keep`, else those that the question's scores drop."""
    if question == _KEEP:
        return np.flatnonzero(snapshot.groups["decisions"]["status"] == KEPT)
    scores = find_scores(snapshot, question)
    beyond = scores.values > scores.threshold if scores.above else scores.values < scores.threshold
    return np.flatnonzero(beyond)


def _drawn(snapshot: Snapshot) -> npt.NDArray[np.uint64]:
    """A number for each image that nothing about the image has to do with [N]."""
    # The ids are SHA-256, as good as drawn; their middle, since rows are sorted by their beginning.
    middle = np.ascontiguousarray(snapshot.ids.digests[:, 12:20]).view(np.uint64).ravel()
    return middle * _SPREAD


def _unanswered(batches: Iterable[Rows], states: npt.NDArray[np.int8]) -> Iterator[int]:
    for some in batches:
        yield from some[states[some] == 0].tolist()
