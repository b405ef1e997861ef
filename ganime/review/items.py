"""One row of the columns as a page shows it."""

import math
from datetime import UTC, datetime

import numpy as np

from ganime.review.answers import Answers, Event
from ganime.review.cache import Snapshot
from ganime.review.image_columns import RATINGS
from ganime.review.schemas import Answered, EventAnswer, ImageItem
from ganime.review.tag_search import text_of
from ganime.review.verdict_columns import KEPT, UNDECIDED


def item(snapshot: Snapshot, answers: Answers, row: int) -> ImageItem:
    """One image in short."""
    images, facts, decisions = (snapshot.groups[name] for name in ("images", "facts", "decisions"))
    image_id, status = snapshot.ids.text(row), int(decisions["status"][row])
    sources = images.notes["sources"]
    bits = int(images["sources"][row])
    scores = {name: float(one.values[row]) for name, one in snapshot.scores.items()}
    return ImageItem(
        id=image_id,
        status=status_of(status),
        rule=snapshot.rules[status] if status >= 0 else None,
        reason=_word(decisions.notes["reasons"], int(decisions["reason"][row])),
        by_person=status >= 0 and bool(decisions["people"][row] & np.uint64(1 << status)),
        post=text_of(images, "post", row),
        num_posts=int(images["num_posts"][row]),
        sources=[name for place, name in enumerate(sources) if bits >> place & 1],
        rating=RATINGS[images["rating"][row]],
        posted=when(int(images["posted"][row])),
        fetched=when(int(images["fetched"][row])),
        width=int(facts["width"][row]),
        height=int(facts["height"][row]),
        num_bytes=int(facts["num_bytes"][row]),
        problem=_word(facts.notes["problem"], int(facts["problem"][row])),
        scores={name: score for name, score in scores.items() if not math.isnan(score)},
        answers={name: answered(event) for name, event in answers.last(image_id).items()},
    )


def items(snapshot: Snapshot, answers: Answers, rows: list[int]) -> list[ImageItem]:
    """Images in short, in the order of the rows."""
    return [item(snapshot, answers, row) for row in rows]


def answered(event: Event) -> Answered:
    """The last that was said, as a page shows it."""
    return Answered(
        label_id=event.label_id, answer=event.answer, by=event.by, at=event.at, how=event.how
    )


def event_answer(event: Event) -> EventAnswer:
    """One event, as who sent it needs it."""
    return EventAnswer(
        **answered(event).model_dump(),
        image_id=event.image_id,
        question=event.question,
        supersedes=event.supersedes,
    )


def status_of(status: int) -> str:
    """In words: `kept`, `undecided` or `dropped`."""
    return {KEPT: "kept", UNDECIDED: "undecided"}.get(status, "dropped")


def when(seconds: int) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC; None for 0, which stands for no date."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _word(words: list[str], place: int) -> str | None:
    return words[place] if place >= 0 else None
