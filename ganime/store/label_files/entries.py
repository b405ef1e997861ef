"""One label as a file has it, checked; what files call its columns."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganime.errors import ConfigError
from ganime.rows import LabelRow

NEEDED = ("image", "question", "answer")
_TOLD = ("at", "how")  # exports tell them; an import does not read them: the log has its own
COLUMNS = (*NEEDED, "by", "note", *_TOLD)
_ANSWERS = {"yes": True, "no": False, "": None}
WORDS = {answer: word for word, answer in _ANSWERS.items()}
_QUESTION = re.compile(r"[a-z0-9][a-z0-9_-]*")  # as `QuestionConfig` has it


@dataclass(frozen=True, slots=True)
class Entry:
    """One label as a file has it."""

    where: str
    reference: str
    question: str
    answer: bool | None
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A label that was not taken.

    Attributes:
        where: `file:line`, or the file in a folder.
        reference: What it says of which image it is about.
        reason: Why it was not taken.
    """

    where: str
    reference: str
    reason: str


def entry_of(where: str, record: Mapping[str, Any], by: str) -> Entry:
    """A checked label.

    Raises:
        ConfigError: a value is none that it can be.
    """
    given = record["answer"]
    answer = WORDS[given] if given is None or isinstance(given, bool) else given
    texts = {"by": by, "note": ""} | dict(record) | {"answer": answer}
    for name in (*NEEDED, "by", "note"):
        if not isinstance(texts[name], str) or not _is_text(texts[name]):
            raise ConfigError(f"{where}: {name} is {texts[name]!r:.80}, wanted text")
    word = texts["answer"].strip().lower()
    if word not in _ANSWERS:
        raise ConfigError(f"{where}: the answer is {word!r:.80}, wanted yes, no or nothing")
    image, question, person = (texts[name].strip() for name in ("image", "question", "by"))
    check_question(where, question)
    if not image:
        raise ConfigError(f"{where}: image is empty, wanted an image id, source/post_id or a file")
    if not (person or by):
        raise ConfigError(f"{where} does not say by whom: fill in `by`, or name who imports")
    return Entry(where, image, question, _ANSWERS[word], person or by, texts["note"])


def record_of(row: LabelRow) -> dict[str, str]:
    """What a file says of one answer."""
    return {
        "image": row.image_id,
        "question": row.question,
        "answer": WORDS[row.answer],
        "by": row.by,
        "note": row.note,
        "at": row.at.isoformat(),
        "how": row.how,
    }


def check_columns(where: str, names: Sequence[str]) -> None:
    """Refuse a file whose columns are not ours.

    Raises:
        ConfigError: one is missing, unknown or there twice; names where.
    """
    lacking = [name for name in NEEDED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if lacking or unknown or len(set(names)) < len(names):
        raise ConfigError(
            f"{where} names {', '.join(names)}; wanted {', '.join(NEEDED)} and, if you like, by "
            "and note, each once: rename or delete the others"
        )


def check_question(where: str, question: str) -> None:
    """Refuse what cannot be the name of a question.

    Raises:
        ConfigError: names where it stands.
    """
    if not _QUESTION.fullmatch(question):
        raise ConfigError(
            f"{where}: the question is {question!r:.80}, wanted a name of small letters, digits, "
            "- and _, for example keep or chibi"
        )


def _is_text(value: str) -> bool:
    """Whether it can be stored: JSON can write half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)
