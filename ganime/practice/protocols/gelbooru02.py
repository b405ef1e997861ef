"""Safebooru (Gelbooru 0.2): `page=dapi` as JSON and as XML."""

import asyncio
import json
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import ClassVar
from xml.sax.saxutils import quoteattr

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ganime.practice.answers import gallery, not_found, post_page, scaled
from ganime.practice.collection import Derived
from ganime.practice.corpus import PostRecord
from ganime.practice.protocol import Protocol, Route, category_of, root_of

XML = '<?xml version="1.0" encoding="UTF-8"?>'
SIDES = {"thumbnails": 150, "samples": 850}  # [px]
TAGS_PER_CALL = 100
TAG_TYPES = {"general": 0, "artist": 1, "copyright": 3, "character": 4, "meta": 5}


class Safebooru(Protocol):
    """safebooru.org: open to all; ghosts, and scores that are often null."""

    NAME: ClassVar[str] = "safebooru"
    PAGE_LIMIT: ClassVar[int] = 1000
    DEEPEST: ClassVar[int] = 200_000  # records; a page beyond is refused

    def prepare(self) -> None:
        """See `Protocol.prepare`."""
        self._by_path = Derived(self.collection, self._paths)

    def route(self, request: Request) -> Route | None:
        """See `Protocol.route`."""
        path = request.url.path
        folder = path[1:].partition("/")[0]
        if folder == "images":
            return "file", self._image
        if folder in SIDES:
            return "thumbnail", self._thumbnail
        if path == "/index.php":
            query = request.query_params
            wanted = (query.get("page"), query.get("s"))
            if wanted == ("dapi", "post"):
                return "list", self._list
            return ("list", self._tags) if wanted == ("dapi", "tag") else ("page", self._page)
        return ("page", self._page) if path == "/" else None

    def place(self, post: PostRecord) -> tuple[str, str]:
        """Folder and name of a file: a directory by id, a name that is not the file's MD5."""
        return str(post.directory), post.image

    def urls(self, post: PostRecord, root: str) -> dict[str, str]:
        """Addresses of a post's files by the names that the answers give them."""
        directory, image = self.place(post)
        stem = image.rpartition(".")[0]
        return {
            "preview_url": f"{root}/thumbnails/{directory}/thumbnail_{stem}.jpg",
            "sample_url": f"{root}/samples/{directory}/sample_{stem}.jpg",
            "file_url": f"{root}/images/{directory}/{image}",
        }

    def _paths(self) -> dict[str, PostRecord]:
        """Posts that have a file, by directory and stem."""
        deleted = self.collection.deleted
        posts = [post for post in self.collection.all() if post.id not in deleted]
        places = [(self.place(post), post) for post in posts if post.file is not None]
        return {f"{place}/{image.rpartition('.')[0]}": post for (place, image), post in places}

    def _list(self, request: Request) -> Response:
        query = request.query_params
        try:
            limit = min(int(query.get("limit", 100)), self.page_cap)
            page = int(query.get("pid", 0))
            only = f" id:{int(query['id'])}" if "id" in query else ""
        except ValueError:
            return xml_answer(refusal("Search error: a number was expected."))
        limit = max(limit, 0)
        offset = max(page, 0) * limit
        if offset > self.DEEPEST:
            return self._too_deep()
        words = self._words(query.get("tags", "")) + only
        shown, total = self.collection.index.page(words, offset, limit)
        return self._written(request, shown, total, offset, limit)

    def _words(self, tags: str) -> str:
        """A query in the words of the index."""
        return tags

    def _too_deep(self) -> Response:
        return xml_answer(refusal("Search error: API limited due to abuse."))

    def _written(
        self, request: Request, shown: list[PostRecord], total: int, offset: int, limit: int
    ) -> Response:
        root = root_of(request)
        if request.query_params.get("json") == "1":
            rows = [self._json_row(post, root) for post in shown]
            return HTMLResponse(json.dumps(rows) if rows else "")
        elements = "".join(self._xml_row(post, root) for post in shown)
        return xml_answer(f'{XML}\n<posts count="{total}" offset="{offset}">{elements}</posts>')

    def _json_row(self, post: PostRecord, root: str) -> dict[str, object]:
        """A post as the site writes it: without time, the score often null."""
        row: dict[str, object] = {
            **self.urls(post, root),
            "directory": str(post.directory),
            "hash": post.md5,
            "width": post.width,
            "height": post.height,
            "id": post.id,
            "image": post.image,
            "change": post.changed,
            "owner": "practice",
            "parent_id": post.parent_id or 0,
            "rating": post.rating,
            "sample": False,
            "sample_height": 0,
            "sample_width": 0,
            "score": post.score,
            "tags": " ".join(post.tags),
            "source": "",
            "status": "active",
            "has_notes": False,
            "comment_count": 0,
        }
        return dict.fromkeys(row) | ghost(post.id, root) if post.ghost else row

    def _xml_row(self, post: PostRecord, root: str) -> str:
        """A post as an element; all values are strings."""
        values: dict[str, object] = {
            "height": post.height,
            "score": "" if post.score is None else post.score,
            **self.urls(post, root),
            "parent_id": post.parent_id or "",
            "sample_width": post.width,
            "sample_height": post.height,
            "rating": post.rating,
            "tags": f" {' '.join(post.tags)} ",
            "id": post.id,
            "width": post.width,
            "change": post.changed,
            "md5": post.md5 or "",
            "creator_id": 1,
            "has_children": "false",
            "created_at": moment(post.created),
            "status": "active",
            "source": "",
            "has_notes": "false",
            "has_comments": "false",
            "preview_width": 150,
            "preview_height": 150,
        }
        if post.ghost:
            values = dict.fromkeys(values, "") | ghost(post.id, root)
        attributes = " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())
        return f"<post {attributes}/>"

    def _tags(self, request: Request) -> Response:
        names = request.query_params.get("names", request.query_params.get("name", "")).split()
        types = (
            f'<tag type="{TAG_TYPES[category_of(name)]}" count="{count}" '
            f'name={quoteattr(name)} ambiguous="false" id="{number}"/>'
            for number, name, count in self.known(names)
        )
        return xml_answer(f'{XML}\n<tags type="array">{"".join(types)}</tags>')

    def known(self, names: list[str]) -> Iterable[tuple[int, str, int]]:
        """Number, name and count of each tag that some post has."""
        for number, name in enumerate(names[:TAGS_PER_CALL], 1):
            count = self.collection.index.num_posts(name)
            if count:
                yield number, name, count

    def _image(self, request: Request) -> Response:
        place, _, ending = request.url.path.removeprefix("/images/").rpartition(".")
        post = self._by_path().get(place)
        good = post is not None and self.place(post)[1].endswith(f".{ending}")
        return self.file(request, post if good else None)

    def _thumbnail(self, request: Request) -> Response | Awaitable[Response]:
        folder, _, rest = request.url.path[1:].partition("/")
        place = PurePosixPath(rest)
        post = self._by_path().get(f"{place.parent}/{place.stem.partition('_')[2]}")
        path = None if post is None else self.collection.path(post)
        return asyncio.to_thread(scaled, path, SIDES[folder])

    def _page(self, request: Request) -> Response:
        index = self.collection.index
        wanted = request.query_params.get("id", "")
        if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
            view = "/index.php?page=post&s=view&id="
            newest = [post for post, _ in index.posts[:60]]
            images = [(f"{view}{post.id}", self.urls(post, "")["preview_url"]) for post in newest]
            return gallery(len(index.posts), images)
        post = index.get(int(wanted))
        if post is None or post.ghost:
            return not_found()
        return post_page(post.id, post.tags, self.urls(post, "")["file_url"])


def ghost(post_id: int, root: str) -> dict[str, object]:
    """All that is left of a deleted post in an index that is out of date."""
    return {"id": post_id, "file_url": f"{root}/images//"}


def moment(epoch: int) -> str:
    """A time as these sites write it."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%a %b %d %H:%M:%S %z %Y")


def refusal(reason: str) -> str:
    """How the sites say that a search failed."""
    return f'{XML}\n<response success="false" reason={quoteattr(reason)}/>'


def xml_answer(text: str) -> Response:
    """An answer in XML."""
    return Response(text, media_type="text/xml")
