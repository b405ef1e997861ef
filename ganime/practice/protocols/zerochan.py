"""Zerochan: lists and entries as JSON beside the pages, tags with capitals and spaces."""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import ClassVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from ganime.practice.answers import gallery, not_found, post_page, scaled
from ganime.practice.collection import Derived
from ganime.practice.corpus import PostRecord
from ganime.practice.protocol import Protocol, Route, in_category, root_of

DEFAULT_LIMIT = 24
WINDOWS = {"1": 7000, "2": 15000}  # newest posts among which popularity is counted, by `t`
THUMBNAIL = 240  # [px]
SIZES = {"small": 240, "medium": 600, "large": 1200}  # [px]
LARGE, HUGE = 1_500_000, 6_000_000  # pixels from which `d` calls a picture so; our own choice
DIMENSIONS: dict[str, Callable[[PostRecord], bool]] = {
    "large": lambda post: post.width * post.height >= LARGE,
    "huge": lambda post: post.width * post.height >= HUGE,
    "landscape": lambda post: post.width > post.height,
    "portrait": lambda post: post.width < post.height,
    "square": lambda post: post.width == post.height,
}
_FULL = re.compile(r"/[^/]*\.full\.(\d{1,18})\.(\w+)")
_SMALLER = re.compile(r"/[^/]*\.(240|600|1200)\.(\d{1,18})\.\w+")
_ENTRY = re.compile(r"/(\d{1,18})")
# A project and who runs it: "My AI learning app - MyUsername", or the name after a semicolon.
_NAMED = re.compile(r"(?: - |; )\s*(?!no user)(\w[^;)]*)")


class Zerochan(Protocol):
    """www.zerochan.net; originals lie at the same address here."""

    NAME: ClassVar[str] = "zerochan"
    PAGE_LIMIT: ClassVar[int] = 250

    def prepare(self) -> None:
        """See `Protocol.prepare`."""
        self._by_id = Derived(
            self.collection, lambda: {post.id: post for post in self.collection.all()}
        )
        self._ranked: Derived[dict[tuple[str, ...], list[PostRecord]]] = Derived(
            self.collection, dict
        )

    def route(self, request: Request) -> Route | None:
        """See `Protocol.route`."""
        path = request.url.path
        if _FULL.fullmatch(path):
            return "file", self._image
        if _SMALLER.fullmatch(path):
            return "thumbnail", self._thumbnail
        if path.count("/") > 1:
            return None
        return ("list", self._json) if "json" in request.query_params else ("page", self._page)

    def _json(self, request: Request) -> Response:
        if not self._names_user(request.headers.get("user-agent", "")):
            return HTMLResponse("<h1>503 Service Unavailable</h1>", 503)
        entry = _ENTRY.fullmatch(request.url.path)
        return self._entry(request, int(entry[1])) if entry else self._list(request)

    def _names_user(self, agent: str) -> bool:
        if agent.startswith("Mozilla/"):
            return False
        found = _NAMED.search(agent)
        if self.users is None:
            return found is not None
        return any(name in agent for name in self.users)

    def _list(self, request: Request) -> Response:
        query = request.query_params
        page, limit = query.get("p", "1"), query.get("l", str(DEFAULT_LIMIT))
        if not (page.isdigit() and limit.isdigit() and int(limit) >= 1 and 1 <= int(page) < 10**6):
            return not_found()
        if query.get("s") == "fav" and query.get("t") == "0":  # as seen on 2026-09-18
            return HTMLResponse("<h1>500 Internal Server Error</h1>", 500)
        size = min(int(limit), self.page_cap)
        tags = [tag for tag in map(_from_site, request.url.path[1:].split(",")) if tag]
        shown = self._matching(
            tags, query.get("s", "id"), query.get("t", ""), query.get("d", ""),
            strict="strict" in query,
        )[(int(page) - 1) * size : int(page) * size]  # fmt: skip
        if not shown and tags:
            return not_found()  # the end of a tag; the end of everything is an empty list
        root = root_of(request)
        return JSONResponse({"items": [self._item(post, root) for post in shown]})

    def _matching(
        self, tags: list[str], order: str, window: str, dimensions: str, *, strict: bool
    ) -> list[PostRecord]:
        key = (*tags, "", order, window, dimensions, str(strict))
        searches = self._ranked()
        if key not in searches:
            found = self.collection.index.search(" ".join(tags))
            if strict and tags:
                found = [post for post in found if _primary(post) == tags[0]]
            if dimensions in DIMENSIONS:
                found = [post for post in found if DIMENSIONS[dimensions](post)]
            if order == "fav":
                found = sorted(found[: WINDOWS.get(window)], key=favourites, reverse=True)
            searches[key] = found
        return searches[key]

    def _item(self, post: PostRecord, root: str) -> dict[str, object]:
        primary = to_site(_primary(post))
        item: dict[str, object] = {
            "id": post.id,
            "width": post.width,
            "height": post.height,
            "md5": post.md5,
            "thumbnail": f"{root}/{_name(primary)}.240.{post.id}.{_thumbnail_ending(post)}",
            "source": "",
            "tag": primary,
            "tags": [to_site(tag) for tag in post.tags],
        }
        return dict.fromkeys(item) | {"id": post.id} if post.ghost else item

    def _entry(self, request: Request, post_id: int) -> Response:
        post = self.collection.index.get(post_id)
        if post is None or post.ghost:
            known = post_id in self.collection.deleted or post is not None
            return HTMLResponse("<h2>deleted</h2>" if known else "<h1>404 Not Found</h1>", 404)
        root, primary = root_of(request), to_site(_primary(post))
        path = self.collection.path(post)
        ending = post.image.rpartition(".")[2]
        size = path.stat().st_size if path and path.exists() else 0
        sizes = {
            name: f"{root}/{_name(primary)}.{side}.{post.id}.jpg" for name, side in SIZES.items()
        }
        return JSONResponse(
            {
                "id": post.id,
                **sizes,
                "full": f"{root}/{_name(primary)}.full.{post.id}.{ending}",
                "width": post.width,
                "height": post.height,
                "size": size,
                "hash": post.md5,
                "source": "",
                "primary": primary,
                "tags": [to_site(tag) for tag in post.tags],
            }
        )

    def _image(self, request: Request) -> Response:
        found = _FULL.fullmatch(request.url.path)
        post = self._known(int(found[1])) if found else None
        good = found and post and post.image.endswith(f".{found[2]}")
        return self.file(request, post if good else None)

    def _thumbnail(self, request: Request) -> Response | Awaitable[Response]:
        found = _SMALLER.fullmatch(request.url.path)
        post = self._known(int(found[2])) if found else None
        path = None if post is None else self.collection.path(post)
        return asyncio.to_thread(scaled, path, int(found[1]) if found else THUMBNAIL)

    def _known(self, post_id: int) -> PostRecord | None:
        return None if post_id in self.collection.deleted else self._by_id().get(post_id)

    def _page(self, request: Request) -> Response:
        index = self.collection.index
        entry = _ENTRY.fullmatch(request.url.path)
        if not entry:
            newest = [post for post, _ in index.posts[:60]]
            return gallery(
                len(index.posts), [(f"/{post.id}", f"/.240.{post.id}.jpg") for post in newest]
            )
        post = index.get(int(entry[1]))
        if post is None or post.ghost:
            return HTMLResponse("<h2>deleted</h2>", 404)
        return post_page(post.id, post.tags, f"/.full.{post.id}.{post.image.rpartition('.')[2]}")


def to_site(tag: str) -> str:
    """A tag as the site spells it: `long_hair` is `Long Hair`."""
    return " ".join(word[:1].upper() + word[1:] for word in tag.split("_"))


def favourites(post: PostRecord) -> tuple[int, int]:
    """How popular a post is: the same every time, without regard to its age."""
    return int.from_bytes(hashlib.sha256(str(post.id).encode()).digest()[:2], "big"), post.id


def _from_site(tag: str) -> str:
    return "_".join(tag.replace("+", " ").lower().split())


def _primary(post: PostRecord) -> str:
    """The tag that stands for the post: its first character, else its first tag."""
    return next(iter([*in_category(post, "character"), *post.tags]), "")


def _name(tag: str) -> str:
    return quote(tag.replace(" ", "."), safe=".")


def _thumbnail_ending(post: PostRecord) -> str:
    """Half of the thumbnails have the original's ending, the others are JPEG whatever it is."""
    return post.image.rpartition(".")[2] if post.id % 2 else "jpg"
