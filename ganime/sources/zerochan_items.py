"""Zerochan's JSON, which is often broken: control characters, bare quotes, a page before it.

What cannot be read whole is read item by item, and an item field by field.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ganime.sources.values import number_of

_ITEMS = re.compile(r'"items"\s*:\s*(?=\[)')
_ITEM = re.compile(r'\{\s*"id"\s*:')
_KEY = re.compile(
    r'"(id|width|height|md5|hash|thumbnail|small|medium|large|full|size|source|tag|primary|tags)"'
    r"\s*:\s*"
)
_DECODER = json.JSONDecoder(strict=False)


class Garbled(Exception):  # noqa: N818 - a signal for the source alone
    """An answer that is no listing, though it may be one when asked again."""


def items_of(text: str) -> Iterator[dict[str, Any] | None]:
    """The items of a list; None for each that cannot be read.

    Raises:
        Garbled: there is no list, or its end is missing.
    """
    start = _ITEMS.search(text)
    if not start:
        if not text.strip():
            return
        raise Garbled(f"there are no items in {text.strip()[:60]!r}")
    try:
        items, _ = _DECODER.raw_decode(text, start.end())
    except (ValueError, RecursionError):
        yield from _salvaged(text[start.end() :])
        return
    yield from (item if isinstance(item, dict) else None for item in items)


def _salvaged(text: str) -> Iterator[dict[str, Any] | None]:
    """Items out of a list that is no JSON as a whole."""
    starts = [match.start() for match in _ITEM.finditer(text)]
    if not starts or not re.search(r"\}\s*\]", text[starts[-1] :]):
        raise Garbled("its JSON is cut off")  # what is missing was never seen: ask again
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield _item(text[start:end])


def _item(text: str) -> dict[str, Any] | None:
    """One item, if need be field by field: between two known keys lies a value, whatever it is."""
    try:
        item, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        text = text[: text.rfind("}") + 1]
        keys = list(_KEY.finditer(text))
        ends = [match.start() for match in keys[1:]] + [len(text) - 1]
        item = {}
        for key, end in zip(keys, ends, strict=False):  # there may be no key at all
            item.setdefault(key[1], _value(text[key.end() : end].strip(" ,")))
    return item if isinstance(item, dict) and number_of(item.get("id"), least=1) else None


def _value(text: str) -> Any:
    """A value of JSON; of a string or list, all that is between its ends."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if number := re.match(r"\d+", text):
            return number[0]
        if text.startswith("["):
            inside = text[1:].rstrip("]} ").removesuffix('"').strip().removeprefix('"')
            return [part.replace('\\"', '"') for part in re.split(r'"\s*,\s*"', inside)]
        return text.removeprefix('"').removesuffix('"').replace('\\"', '"').replace("\\/", "/")


def entry_of(text: str, post_id: str) -> dict[str, Any]:
    """The entry of one post.

    Raises:
        Garbled: it is not there.
    """
    start = _ITEM.search(text)
    item = _item(text[start.start() :]) if start else None
    if item is None or str(number_of(item.get("id"), least=1)) != post_id:
        raise Garbled(f"post {post_id} is not in {text.strip()[:60]!r}")
    return item
