"""Listings taken apart, spoilt as sites spoil them, and put together again."""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from starlette.responses import Response

Row = dict[str, Any]
Edit = Callable[[list[Row]], list[Row]]
URLS = ("file_url", "large_file_url", "preview_file_url", "sample_url", "preview_url")
HOSTILE = (
    "../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "\x00\x1b[31mred",
    "<script>alert(1)</script>",
    "\u202egpj.exe",
    "'; drop table posts; --",
    "/" * 300,
)
_MARKS = {"\\u0002": "\x02", "\\u0003": '"'}  # written into JSON as they must not be


def with_body(answer: Response, body: bytes | str, media_type: str | None = None) -> Response:
    """The same answer with another body."""
    kept = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("content-length", "content-type")
    }
    kind = media_type or answer.headers.get("content-type")
    return Response(
        body, answer.status_code, headers=kept | ({"content-type": kind} if kind else {})
    )


def edit_rows(answer: Response, edit: Edit) -> Response:
    """Change the posts of a listing, JSON or XML; what is no listing of posts stays as it is."""
    text = bytes(answer.body).decode("utf-8", "replace")
    if answer.status_code != 200 or not text:
        return answer
    if text[0] in "[{":
        return _edit_json(answer, json.loads(text), edit)
    return _edit_xml(answer, text, edit) if "<posts" in text[:200] else answer


def _edit_json(answer: Response, listing: Any, edit: Edit) -> Response:
    name = next((key for key in ("post", "items") if key in listing), None)
    rows = listing[name] if name else listing
    many = isinstance(rows, list)
    posts = rows if many else [rows]
    if not posts or not isinstance(posts[0], dict) or "name" in posts[0] or "id" not in posts[0]:
        return answer
    edited: Any = edit([dict(row) for row in posts])
    if not many:
        edited = edited[0] if edited else {}
    body = json.dumps({**listing, name: edited} if name else edited)
    for mark, raw in _MARKS.items():
        body = body.replace(mark, raw)
    return with_body(answer, body)


def _edit_xml(answer: Response, text: str, edit: Edit) -> Response:
    root = ET.fromstring(text)
    elements = list(root)
    nested = any(len(element) for element in elements)
    rows = [
        {child.tag: child.text for child in element} if nested else dict(element.attrib)
        for element in elements
    ]
    for element in elements:
        root.remove(element)
    for row in edit(rows):
        texts = {name: "" if value is None else str(value) for name, value in row.items()}
        element = ET.SubElement(root, "post", {} if nested else texts)
        for name, value in texts.items() if nested else ():
            ET.SubElement(element, name).text = value
    return with_body(answer, ET.tostring(root, encoding="unicode", xml_declaration=True))


def no_rows(rows: list[Row]) -> list[Row]:
    """An empty page in the midst of a listing."""
    return []


def ghost_row(rows: list[Row]) -> list[Row]:
    """One post of which only the id is left."""
    middle = len(rows) // 2
    row = rows[middle]
    ghost: Row = dict.fromkeys(row) | {"id": row["id"]}
    if "tag_string" in row:  # Danbooru leaves fields out, and says why
        absent = ("md5", *URLS)
        ghost = {name: value for name, value in row.items() if name not in absent}
        ghost["is_banned"] = True
    elif row.get("file_url"):
        ghost["file_url"] = str(row["file_url"]).partition("/images/")[0] + "/images//"
    return [*rows[:middle], ghost, *rows[middle + 1 :]]


def null_score(rows: list[Row]) -> list[Row]:
    """No score anywhere."""
    return [row | {"score": None} for row in rows]


def missing_md5(rows: list[Row]) -> list[Row]:
    """Every second post without MD5."""
    return _without(rows, ("md5", "hash"))


def missing_file_url(rows: list[Row]) -> list[Row]:
    """Every second post without addresses of its files."""
    return _without(rows, (*URLS, "thumbnail"))


def _without(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    return [
        row if place % 2 else {name: row[name] for name in row if name not in names}
        for place, row in enumerate(rows)
    ]


def control_characters(rows: list[Row]) -> list[Row]:
    """Raw control characters in a text: JSON and XML forbid them."""
    return [row | {"source": "a\x02b"} for row in rows]


def unescaped_quotes(rows: list[Row]) -> list[Row]:
    """Quotation marks in a text that are not escaped."""
    return [row | {"source": "she said \x03hi\x03"} for row in rows]


def hostile_tags(rows: list[Row]) -> list[Row]:
    """Every second post with tags and names that try to break out."""
    return [_hostile(row) if place % 2 == 0 else row for place, row in enumerate(rows)]


def _hostile(row: Row) -> Row:
    tags = " ".join(word.replace(" ", "_") for word in HOSTILE)
    changes: Row = {"tags": [*row["tags"], *HOSTILE]} if isinstance(row.get("tags"), list) else {}
    for name in ("tags", "tag_string", "tag_string_character"):
        if isinstance(row.get(name), str):
            changes[name] = f"{row[name]} {tags}"
    for name in ("image", "directory", "tag", "primary"):
        if name in row:
            changes[name] = HOSTILE[0]
    return row | changes


def single_object(answer: Response) -> Response:
    """The first post alone, not in a list."""
    text = bytes(answer.body).decode("utf-8", "replace")
    listing = json.loads(text) if text[:1] in ("[", "{") else None
    if isinstance(listing, list) and listing:
        return with_body(answer, json.dumps(listing[0]))
    for name in ("post", "items"):
        if isinstance(listing, dict) and isinstance(listing.get(name), list) and listing[name]:
            return with_body(answer, json.dumps({**listing, name: listing[name][0]}))
    return answer


def missing_post_key(answer: Response) -> Response:
    """An envelope without its content."""
    text = bytes(answer.body).decode("utf-8", "replace")
    if not text.startswith("{"):
        return edit_rows(answer, no_rows)
    kept = {name: value for name, value in json.loads(text).items() if name != "post"}
    return with_body(answer, json.dumps(kept))
