"""What sites put into their fields: numbers and text, never to be trusted to be either."""

import html
import json
import re
from typing import Any

import orjson

_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,19})\s*")
_LIMIT = 1 << 62  # manifests hold 64-bit integers; no site counts anywhere near that


def json_of(content: str | bytes) -> Any:
    """What JSON says, also where it breaks its own rules: NaN, half a surrogate pair.

    Raises:
        ValueError: it is none.
    """
    try:
        return orjson.loads(content)
    except ValueError:
        pass
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def number_of(value: Any, *, least: int | None = None) -> int | None:
    """An integer, or None for anything else.

    Gelbooru's XML and Zerochan send numbers as text, so digits in a text count everywhere: a site
    that never does so loses nothing by it. True, 1.5, 1_000 and digits of other scripts, which
    `int` takes, do not: no site means a number by them.

    Args:
        value: Of a field, as JSON or XML gave it.
        least: Anything smaller is None too, for sites that say 0 where they do not know.
    """
    if isinstance(value, str):
        found = _INTEGER.fullmatch(value)
        value = int(found[1]) if found else None
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _LIMIT:
        return None
    return None if least is not None and value < least else value


def text_of(value: Any) -> str:
    """Text without space around it; empty for anything else."""
    return value.strip() if isinstance(value, str) else ""


def unescaped(value: Any) -> str:
    """`text_of` without HTML's escapes, for sites that send them where no HTML is."""
    text = text_of(value)
    try:
        return html.unescape(text).strip()
    except ValueError:  # a character's number of thousands of digits
        return text
