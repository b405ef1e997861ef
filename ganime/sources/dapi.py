"""Answers of the Gelbooru protocol (`page=dapi`): JSON or XML, in the shapes of 0.2 and 0.2.5."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET

from ganime.sources.values import json_of, number_of

_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call brought.

    Attributes:
        records: As the site spells them, JSON or XML alike.
        count: How many there are in all, where the site says.
    """

    records: list[Any]
    count: int | None


class Garbled(Exception):  # noqa: N818 - a signal to ask again
    """An answer that is no listing, though it may be one when asked again."""


def parse(text: str) -> Answer:
    """The records of an answer.

    Raises:
        Garbled: it is an error page, a sentence, or cut off.
    """
    if not text:
        return Answer([], None)
    return _from_json(text) if text[0] in "[{" else _from_xml(text)


def _from_json(text: str) -> Answer:
    """A bare array (0.2), or an envelope whose `post` may be missing or a single object (0.2.5)."""
    try:
        answer = json_of(text)
    except ValueError as error:
        raise Garbled(f"broken JSON ({error})") from error
    if isinstance(answer, list):
        return Answer(answer, None)
    about = answer.get("@attributes")
    count = number_of(about.get("count")) if isinstance(about, dict) else None
    found = next((answer[key] for key in ("post", "tag") if key in answer), None)
    if isinstance(found, list):
        return Answer(found, count)
    if isinstance(found, dict):
        return Answer([found], count)
    if "id" in answer:
        return Answer([answer], count)
    if answer.get("success") in (False, "false") or "message" in answer or "error" in answer:
        raise Garbled(f"it says {_reason(answer)!r}")
    return Answer([], count)


def _from_xml(text: str) -> Answer:
    if text[:200].lower().lstrip().startswith(("<!doctype", "<html", "<head", "<body")):
        raise Garbled("it is a web page")
    if not text.startswith("<"):
        raise Garbled(f"it says {text[:100]!r}")
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise Garbled("its XML declares entities")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise Garbled(f"broken XML ({error})") from error
    if root.tag not in ("posts", "tags"):
        raise Garbled(f"it says {_reason({**root.attrib, 'error': root.text})!r}")
    # A record's values are attributes in version 0.2, elements in 0.2.5.
    records = [{**item.attrib, **{part.tag: part.text for part in item}} for item in root]
    return Answer(records, number_of(root.get("count")))


def _reason(answer: dict[str, Any]) -> str:
    found = answer.get("reason") or answer.get("message") or answer.get("error") or "no reason"
    return str(found).strip()[:200]


def moment_of(value: Any) -> datetime | None:
    """`Thu Nov 24 08:30:35 -0600 2022` as UTC."""
    try:
        # `strptime` takes four times as long, and knows the months of the user's language alone.
        _, month, day, clock, zone, year = str(value).split()
        number = _MONTHS.index(month) + 1
        moment = datetime.fromisoformat(f"{year}-{number:02d}-{day:0>2}T{clock}{zone}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def unix_time_of(value: Any) -> datetime | None:
    """Seconds since 1970 as UTC; None for 0, which sites send for "never"."""
    seconds = number_of(value)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None
