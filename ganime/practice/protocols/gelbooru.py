"""Gelbooru (0.2.5): Safebooru's `page=dapi` with accounts, an envelope and its own limits."""

import html
from collections.abc import Mapping
from typing import ClassVar
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from ganime.practice.corpus import PostRecord
from ganime.practice.protocol import category_of, root_of
from ganime.practice.protocols.gelbooru02 import (
    TAG_TYPES,
    TAGS_PER_CALL,
    XML,
    Safebooru,
    ghost,
    moment,
    xml_answer,
)

RATINGS = {"safe": "sensitive"}  # what the drawn posts are rated, as this site says it
TOO_DEEP = "Too deep! Pull it back some. Holy fuck."  # the site's own words


class Gelbooru(Safebooru):
    """gelbooru.com: an account for everything, an envelope, a Referer for images."""

    NAME: ClassVar[str] = "gelbooru"
    PAGE_LIMIT: ClassVar[int] = 100
    DEEPEST: ClassVar[int] = 20_000

    def place(self, post: PostRecord) -> tuple[str, str]:
        """Folder and name of a file: both from its MD5."""
        if post.md5 is None:
            return "", ""
        ending = post.image.rpartition(".")[2]
        return f"{post.md5[:2]}/{post.md5[2:4]}", f"{post.md5}.{ending}"

    def _list(self, request: Request) -> Response:
        return super()._list(request) if self._knows(request) else Response(b"", 401)

    def _knows(self, request: Request) -> bool:
        query = request.query_params
        user_id = query.get("user_id", "")
        return user_id.isdigit() and self.knows(user_id, query.get("api_key"))

    def _words(self, tags: str) -> str:
        words = tags.lower().split()
        ours = {f"rating:{theirs}": f"rating:{own}" for own, theirs in RATINGS.items()}
        return " ".join(_same_sign(word, ours) for word in words)

    def _too_deep(self) -> Response:
        return HTMLResponse(TOO_DEEP)

    def _written(
        self, request: Request, shown: list[PostRecord], total: int, offset: int, limit: int
    ) -> Response:
        root = root_of(request)
        attributes = {"limit": limit, "offset": offset, "count": total}
        rows = [self._json_row(post, root) for post in shown]
        if request.query_params.get("json") == "1":
            answer: dict[str, object] = {"@attributes": attributes}
            if rows:
                answer["post"] = rows if len(rows) > 1 else rows[0]
            return JSONResponse(answer)
        elements = "".join(f"<post>{_children(row)}</post>" for row in rows)
        head = " ".join(f'{name}="{value}"' for name, value in attributes.items())
        return xml_answer(f"{XML}\n<posts {head}>{elements}</posts>")

    def _json_row(self, post: PostRecord, root: str) -> dict[str, object]:
        directory, image = self.place(post)
        row: dict[str, object] = {
            "id": post.id,
            "created_at": moment(post.created),
            "score": post.score or 0,
            "width": post.width,
            "height": post.height,
            "md5": post.md5,
            "directory": directory,
            "image": image,
            "rating": RATINGS.get(post.rating, post.rating),
            "source": "",
            "change": post.changed,
            "owner": "practice",
            "creator_id": 1,
            "parent_id": post.parent_id or 0,
            "sample": 0,
            "preview_height": 150,
            "preview_width": 150,
            "tags": html.escape(" ".join(post.tags)).replace("&#x27;", "&#039;"),
            "title": "",
            "has_notes": "false",
            "has_comments": "false",
            **self.urls(post, root),
            "sample_url": "",
            "sample_height": 0,
            "sample_width": 0,
            "status": "active",
            "post_locked": 0,
            "has_children": "false",
        }
        return dict.fromkeys(row) | ghost(post.id, root) if post.ghost else row

    def _tags(self, request: Request) -> Response:
        if not self._knows(request):
            return Response(b"", 401)
        query = request.query_params
        if query.get("json") != "1":
            return super()._tags(request)
        names = query.get("names", query.get("name", "")).split()
        found = [
            {"id": number, "name": name, "count": count, "type": TAG_TYPES[category_of(name)],
             "ambiguous": 0}
            for number, name, count in self.known(names)
        ]  # fmt: skip
        head = {"limit": TAGS_PER_CALL, "offset": 0, "count": len(found)}
        answer: dict[str, object] = {"@attributes": head}
        return JSONResponse(answer | {"tag": found} if found else answer)

    def _image(self, request: Request) -> Response:
        if not request.headers.get("referer"):  # since 2026-02-16
            return HTMLResponse("<!DOCTYPE html><title>Gelbooru</title><p>Please visit us.</p>")
        return super()._image(request)


def _same_sign(word: str, ours: Mapping[str, str]) -> str:
    sign = "-" if word.startswith("-") else ""
    return sign + ours.get(word.removeprefix("-"), word.removeprefix("-"))


def _children(row: Mapping[str, object]) -> str:
    texts = {name: "" if value is None else str(value) for name, value in row.items()}
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts.items())
