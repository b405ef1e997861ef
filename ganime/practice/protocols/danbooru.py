"""Danbooru: JSON with real status codes, keysets, few tags per search, deleted posts listed."""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from ganime.practice.answers import gallery, not_found, post_page, scaled
from ganime.practice.collection import Derived
from ganime.practice.corpus import PostRecord
from ganime.practice.protocol import CATEGORIES, Protocol, Route, category_of, in_category, root_of

DEFAULT_LIMIT = 20
DEEPEST_PAGE = 1000  # by number; keysets have no limit
TAGS_PAGE_LIMIT = 1000
TAG_LIMIT = 2  # of a search without login and of plain members
RATINGS = {"safe": "s", "sensitive": "s"}  # others by their first letter
TAG_TYPES = {"general": 0, "artist": 1, "copyright": 3, "character": 4, "meta": 5}
SIDES = {"180x180": 180, "360x360": 360, "720x720": 720, "sample": 850}  # of the variants [px]
# Metatags that do not count as tags of a search (post_query.rb).
_FREE = (
    *("status", "rating", "limit", "is", "id", "date", "age", "filesize", "filetype", "parent"),
    *("child", "md5", "width", "height", "duration", "mpixels", "ratio", "score", "upvote"),
    *("downvotes", "favcount", "embedded", "tagcount", "pixiv_id"),
)
FREE = frozenset(_FREE)
ORDERS = {
    "order:id": "sort:id:asc",
    "order:id_asc": "sort:id:asc",
    "order:change": "sort:updated:desc",
    "order:change_desc": "sort:updated:desc",
    "order:change_asc": "sort:updated:asc",
    "order:score": "sort:score:desc",
}
ERRORS = {  # of each status: class of the error and what it says
    400: ("ActionController::BadRequest", "Bad request."),
    401: ("SessionLoader::AuthenticationFailure", "Invalid name or API key."),
    403: ("User::PrivilegeError", "Access denied."),
    404: ("ActiveRecord::RecordNotFound", "That record was not found."),
    410: ("PaginationExtension::PaginationError", f"You cannot go beyond page {DEEPEST_PAGE}."),
    422: ("PostQuery::TagLimitError", "You cannot search for more than 2 tags at a time."),
    429: ("RateLimiter::RateLimitError", "You're doing that too fast."),
    500: ("ActiveRecord::QueryCanceled", "The database timed out running your query."),
}  # fmt: skip
_KEYSET = re.compile(r"([ab])(\d{1,18})")
_PLAIN_RANGE = re.compile(r"(-?)(\w+):(\d+)\.\.(\d+)")


class Danbooru(Protocol):
    """danbooru.donmai.us."""

    NAME: ClassVar[str] = "danbooru"
    PAGE_LIMIT: ClassVar[int] = 200
    LISTS_DELETED: ClassVar[bool] = True

    def prepare(self) -> None:
        """See `Protocol.prepare`."""
        self.tag_limit = TAG_LIMIT
        self._by_md5 = Derived(
            self.collection, lambda: {p.md5: p for p in self.collection.all() if p.md5 and p.file}
        )

    def route(self, request: Request) -> Route | None:
        """See `Protocol.route`."""
        path = request.url.path
        if path in ("/posts.json", "/counts/posts.json", "/tags.json"):
            return "list", self._api
        if path.startswith("/posts/") and path.endswith(".json"):
            return "list", self._api
        folder = path[1:].partition("/")[0]
        if folder == "original":
            return "file", self._image
        if folder in SIDES:
            return "thumbnail", self._thumbnail
        return ("page", self._page) if path == "/" or path.startswith("/posts") else None

    def _api(self, request: Request) -> Response:
        if _is_browser(request):
            return HTMLResponse("<h1>Sorry, you have been blocked</h1>", 403)
        if not self._may_enter(request):
            return error(401)
        path = request.url.path
        if path == "/posts.json":
            return self._list(request)
        if path == "/counts/posts.json":
            return self._count(request)
        return self._tags(request) if path == "/tags.json" else self._entry(request)

    def _may_enter(self, request: Request) -> bool:
        """Whoever gives no account may, but who gives one must give the right one."""
        query, header = request.query_params, request.headers.get("authorization", "")
        name, key = query.get("login"), query.get("api_key")
        if header.lower().startswith("basic "):
            try:
                name, _, key = base64.b64decode(header[6:]).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
        return (name is None and key is None) or self.knows(name, key)

    def _list(self, request: Request) -> Response:
        query = request.query_params
        words, limit = self._words(query.get("tags", "")), query.get("limit", str(DEFAULT_LIMIT))
        if words is None:
            return error(422)
        if not limit.isdigit():
            return error(400)
        size = min(int(limit), self.page_cap)
        page = query.get("page", "1")
        keyset = _KEYSET.fullmatch(page)
        index = self.collection.index
        if keyset and keyset[1] == "b":
            shown = index.page(f"{words} id:<{keyset[2]}", 0, size)[0]
        elif keyset:  # the lowest ids above, but descending
            shown = index.page(f"sort:id:asc {words} id:>{keyset[2]}", 0, size)[0][::-1]
        elif page.isdigit():
            if int(page) > DEEPEST_PAGE:
                return error(410)
            shown = index.page(words, max(int(page) - 1, 0) * size, size)[0]
        else:
            return error(400)
        root = root_of(request)
        return JSONResponse([_only(request, self._row(post, root)) for post in shown])

    def _words(self, tags: str) -> str | None:
        """A query in the words of the index; None if it has too many tags."""
        words = tags.lower().split()
        if sum(map(_counts, words)) > self.tag_limit:
            return None
        return " ".join(_translated(word) for word in words)

    def _count(self, request: Request) -> Response:
        words = self._words(request.query_params.get("tags", ""))
        if words is None:
            return error(422)
        return JSONResponse({"counts": {"posts": self.collection.index.page(words, 0, 0)[1]}})

    def _tags(self, request: Request) -> Response:
        query = request.query_params
        text = query.get("search[name_comma]", query.get("search[name]", ""))
        limit = query.get("limit", str(DEFAULT_LIMIT))
        if not limit.isdigit():
            return error(400)
        known = [name for name in text.split(",") if self.collection.index.num_posts(name)]
        rows = [self._tag_row(name) for name in known[: min(int(limit), TAGS_PAGE_LIMIT)]]
        return JSONResponse([_only(request, row) for row in rows])

    def _tag_row(self, name: str) -> dict[str, object]:
        return {
            "id": int.from_bytes(name.encode()[:4], "big"),
            "name": name,
            "post_count": self.collection.index.num_posts(name),
            "category": TAG_TYPES[category_of(name)],
            "is_deprecated": False,
            "created_at": moment(0),
            "updated_at": moment(0),
            "words": name.split("_"),
        }

    def _entry(self, request: Request) -> Response:
        wanted = PurePosixPath(request.url.path).stem
        post = None
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
            post = self.collection.index.get(int(wanted))
        if post is None:
            return error(404)
        return JSONResponse(_only(request, self._row(post, root_of(request))))

    def _row(self, post: PostRecord, root: str) -> dict[str, object]:
        ending = post.image.rpartition(".")[2]
        by_category = {name: in_category(post, name) for name in (*CATEGORIES, "general")}
        path = self.collection.path(post)
        row: dict[str, object] = {
            "id": post.id,
            "created_at": moment(post.created),
            "updated_at": moment(post.changed),
            "uploader_id": 1,
            "approver_id": None,
            "score": post.score or 0,
            "up_score": post.score or 0,
            "down_score": 0,
            "fav_count": post.score or 0,
            "source": "",
            "rating": RATINGS.get(post.rating, post.rating[:1]),
            "image_width": post.width,
            "image_height": post.height,
            "tag_string": " ".join(post.tags),
            **{f"tag_string_{name}": " ".join(tags) for name, tags in by_category.items()},
            "tag_count": len(post.tags),
            **{f"tag_count_{name}": len(tags) for name, tags in by_category.items()},
            "file_ext": ending,
            "file_size": path.stat().st_size if path and path.exists() else 0,
            "parent_id": post.parent_id,
            "has_children": False,
            "has_active_children": False,
            "has_visible_children": False,
            "has_large": post.width > SIDES["sample"],
            "is_pending": False,
            "is_flagged": False,
            "is_deleted": post.id in self.collection.deleted,
            "is_banned": post.ghost,
            "pixiv_id": None,
            "bit_flags": 0,
        }
        return row if post.ghost or post.md5 is None else row | _files(post, root, ending)

    def _image(self, request: Request) -> Response:
        if _is_browser(request):
            return HTMLResponse("<h1>Sorry, you have been blocked</h1>", 403)
        place = PurePosixPath(request.url.path)
        post = self._by_md5().get(place.stem)
        good = post and place == PurePosixPath(_path("original", place.stem, post.image[-3:]))
        return self.file(request, post if good else None)

    def _thumbnail(self, request: Request) -> Response | Awaitable[Response]:
        place = PurePosixPath(request.url.path)
        post = self._by_md5().get(place.stem.removeprefix("sample-"))
        path = None if post is None else self.collection.path(post)
        return asyncio.to_thread(scaled, path, SIDES[place.parts[1]])

    def _page(self, request: Request) -> Response:
        index = self.collection.index
        wanted = request.url.path.removeprefix("/posts/")
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
            newest = [post for post, _ in index.posts[:60] if post.md5]
            images = [(f"/posts/{p.id}", _path("180x180", p.md5 or "", "jpg")) for p in newest]
            return gallery(len(index.posts), images)
        post = index.get(int(wanted))
        if post is None or post.md5 is None:
            return not_found()
        image = _path("original", post.md5, post.image.rpartition(".")[2])
        return post_page(post.id, post.tags, image)


def error(status: int) -> Response:
    """An error as the site writes it."""
    name, message = ERRORS[status]
    body = {"success": False, "error": name, "message": message, "backtrace": []}
    return JSONResponse(body, status)


def moment(epoch: int) -> str:
    """A time as the site writes it."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")


def _is_browser(request: Request) -> bool:
    return request.headers.get("user-agent", "").startswith("Mozilla/")


def _counts(word: str) -> bool:
    name, colon, _ = word.removeprefix("-").partition(":")
    return not (colon and name in FREE)


def _translated(word: str) -> str:
    """A word as the index says it; metatags that it does not know are left out."""
    spread = _PLAIN_RANGE.fullmatch(word)
    if spread and not spread[1]:
        return f"{spread[2]}:>={spread[3]} {spread[2]}:<={spread[4]}"
    sign, plain = ("-", word[1:]) if word.startswith("-") else ("", word)
    name, colon, value = plain.partition(":")
    if name == "order" and colon:
        return ORDERS.get(word, "")
    if name == "rating":
        first = value[:1]
        return f"{sign}rating:{first}"
    known = ("id", "status", "md5", "score", "width", "height", "parent")
    return "" if colon and name in FREE and name not in known else word


def _path(variant: str, md5: str, ending: str) -> str:
    name = f"sample-{md5}" if variant == "sample" else md5
    return f"/{variant}/{md5[:2]}/{md5[2:4]}/{name}.{ending}"


def _files(post: PostRecord, root: str, ending: str) -> dict[str, object]:
    """What is absent for banned posts (post_policy.rb)."""
    md5 = post.md5 or ""
    urls = {name: f"{root}{_path(name, md5, 'jpg')}" for name in ("180x180", "360x360", "sample")}
    original = f"{root}{_path('original', md5, ending)}"
    return {
        "md5": md5,
        "file_url": original,
        "large_file_url": urls["sample"] if post.width > SIDES["sample"] else original,
        "preview_file_url": urls["180x180"],
    }


def _only(request: Request, row: dict[str, object]) -> dict[str, object]:
    """The fields that `only` names, all if it is not given."""
    wanted = request.query_params.get("only")
    if not wanted:
        return row
    names = {name.partition("[")[0].strip() for name in wanted.split(",")}
    return {name: value for name, value in row.items() if name in names}
