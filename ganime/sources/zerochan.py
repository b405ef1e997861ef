"""Zerochan, by its read-only JSON API (www.zerochan.net/api).

Lists hold enough to find the files, so that an image costs no call of its own. The site's JSON is
often broken: it is read item by item where it cannot be read whole.
"""

import dataclasses
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, ClassVar, Literal
from urllib.parse import quote, urlencode, urlsplit

from pydantic import Field

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import SOURCES, Budget, Page, Post, Received, SiteFacts, WebSource
from ganime.sources.addresses import host_of
from ganime.sources.client import Client
from ganime.sources.sidecars import as_tag
from ganime.sources.values import number_of, unescaped
from ganime.sources.zerochan_items import Garbled, entry_of, items_of

logger = logging.getLogger(__name__)

_FILES = "https://static.zerochan.net"
_EXTENSIONS = ("jpg", "png", "webp", "gif")  # lists do not say which; most are the first
_RATING = "general"  # the site has no ratings: its rules allow nothing else
_REMOVED = b"deleted"  # what the page of a post that was removed says
_LIST_BYTES = 8 << 20  # 250 posts are about 150 kB
_ASKS = 4  # for an answer that cannot be read, or an empty page, which may be a slip
_NEWER_PAGES = 400  # 100,000 posts since the last time: rather a listing that never ends

_CURSOR = re.compile(r"([1-9]\d{0,8})(?::(\d{1,9}))?")


@dataclass
class _Memory:
    """What one client has learnt of one query.

    Attributes:
        path: Where the site has redirected it to, for a tag that was renamed.
        no_window: The site fails if it is told a window.
        pages: Ids that each page held, to know what has moved to the next.
    """

    path: str = ""
    no_window: bool = False
    pages: dict[int, frozenset[str]] = field(default_factory=dict)


@SOURCES.register("zerochan")
class Zerochan(WebSource):
    """Zerochan: `Hatsune Miku, Solo` as at the site, or `hatsune_miku solo` as at boorus."""

    FACTS: ClassVar[SiteFacts] = SiteFacts(
        hosts=("zerochan.net",),
        page_limit=250,
        list_budget=Budget(rate_per_s=1, in_flight=1),  # 60 a minute, or it bans
        file_budget=Budget(rate_per_s=2, in_flight=2),
        needs_user=True,  # projects that name no account may be banned
        documented=("/",),  # any path is a tag or an id
    )

    url: str = Field("https://www.zerochan.net", description="Address of the site.")
    order: Literal["id", "fav"] = Field("id", description="id: newest first; fav: most popular.")
    strict: bool = Field(False, description="Only posts whose primary tag this is.")
    window: Literal[0, 1, 2] = Field(
        0, description="Popular among 0: all, 1: the last 7000, 2: the last 15000 posts."
    )
    dimensions: Literal["", "large", "huge", "landscape", "portrait", "square"] = ""

    @property
    def _files(self) -> str:
        is_theirs = f".{host_of(self.root)}".endswith(f".{self.FACTS.hosts[0]}")
        return _FILES if is_theirs else self.root

    def check(self, tags: str) -> None:
        """Refuse what the site would take for something else than tags.

        Raises:
            ConfigError: says which and why.
        """
        words = _tags_of(tags)
        if not words and self.order != "fav":
            raise ConfigError(
                "no tags: name what to fetch, for example --tags 'Hatsune Miku, Solo', "
                "or set order='fav' for the most popular of all"
            )
        for word in words:
            if word.startswith("-"):
                raise ConfigError(f"the tag {word!r} cannot be used: Zerochan leaves no tags out")
            if not word.strip(". "):
                raise ConfigError(f"the tag {word!r} is no tag: it has neither letters nor digits")
        if len(words) == 1 and words[0].isdigit():
            raise ConfigError(f"{words[0]!r} alone is the number of a post, not a tag")

    def first_call(self, tags: str, limit: int) -> str:
        """URL of the first list call; see `Source.first_call`."""
        return f"{self.root}/{_path_of(tags)}?{urlencode(self._params(1, _Memory()))}"

    async def older(self, client: Client, tags: str, cursor: str | None, limit: int) -> Page:
        """One page of the site's; see `Source.older`.

        The cursor is its number, with `:40` where `limit` has cut it after 40 posts. Pages are
        always asked for whole: with another length, the numbers would mean other posts.
        """
        number, skip = _place(cursor)
        memory = _memory(client, self._name_of(tags))
        posts = await self._page(client, tags, number)
        if posts is None:
            return Page([], None)
        ids = frozenset(post.post_id for post in posts)
        before = memory.pages.get(number - 1, frozenset())
        if ids and ids <= before:
            raise self._stuck(number)
        memory.pages = {number: ids}
        rest = posts[skip:]
        if len(rest) > limit:
            wanted, cursor = rest[:limit], f"{number}:{skip + limit}"
        else:
            wanted, cursor = rest, str(number + 1)
        # Posts that came in since have moved others from the page before to this one.
        return Page([post for post in wanted if post.post_id not in before], cursor)

    async def newer(
        self, client: Client, tags: str, listed: Collection[str], cursor: str | None, limit: int
    ) -> list[Post]:
        """Posts above the first one known; none by popularity, which has no newest.

        See `Source.newer`. All are found before any is returned, so that a cut leaves no gap.
        """
        if self.order == "fav":
            return []
        found: dict[str, Post] = {}
        for number in range(1, _NEWER_PAGES + 1):
            page = await self._page(client, tags, number)
            fresh = list(takewhile(lambda post: post.post_id not in listed, page or ()))
            if page and found and all(post.post_id in found for post in page):
                raise self._stuck(number)
            found |= {post.post_id: post for post in fresh}
            if page is None or len(fresh) < len(page):
                return list(found.values())[::-1][:limit]
        raise SourceRefused(
            f"{self.root} lists {_NEWER_PAGES} pages for {tags!r} without a post that is known; "
            "start a new crawl for them"
        )

    async def again(self, client: Client, post: Post) -> Post | None:
        """What the site says of one post now, by a call of its own; see `Source.again`."""
        url = f"{self.root}/{quote(post.post_id)}"
        problem = ""
        for ask in range(_ASKS):
            if ask:
                await client.back_off(ask - 1)
            received = await self._get(client, url, {"json": "1"})
            status = received.status or 0
            if status == 410 or (status == 404 and _REMOVED in received.content.lower()):
                return None
            if status == 404:  # it may be hidden from this client only
                return post
            self._refuse(status)
            try:
                return self._merged(post, entry_of(_text_of(received), post.post_id))
            except Garbled as error:
                problem = str(error)
        raise self._unreadable(url, problem)

    async def fetch(self, client: Client, post: Post, max_bytes: int) -> Received:
        """The original, whichever extension it has; see `Source.fetch`."""
        received = await super().fetch(client, post, max_bytes)
        for url in self._candidates(post.post_id, post.file_url or ""):
            if received.status != 404:
                break
            if url != post.file_url:
                other = dataclasses.replace(post, file_url=url)
                received = await super().fetch(client, other, max_bytes)
        return received

    def _name_of(self, tags: str) -> str:
        return f"{self.canonical()} {_path_of(tags)}"

    def _params(self, number: int, memory: _Memory) -> dict[str, str]:
        params = {"json": "1", "l": str(self.FACTS.page_limit), "p": str(number), "s": self.order}
        if self.order == "fav" and not memory.no_window:
            params["t"] = str(self.window)
        if self.dimensions:
            params["d"] = self.dimensions
        if self.strict:
            params["strict"] = "1"
        return params

    async def _page(self, client: Client, tags: str, number: int) -> list[Post] | None:
        """The posts of a page, each once; None beyond the end."""
        memory = _memory(client, self._name_of(tags))
        problem, num_empty = "", 0
        for ask in range(_ASKS):
            if ask:
                await client.back_off(ask - 1)
            url = f"{self.root}/{memory.path or _path_of(tags)}"
            received = await self._get(client, url, self._params(number, memory))
            status = received.status or 0
            if status in (404, 410) or (status == 403 and number > 1):
                return None
            self._refuse(status)
            # The redirect of a renamed tag may have forgotten the query; so the next call is there.
            memory.path = self._moved_to(received.url) or memory.path
            try:
                items = _items_of(received)
            except Garbled as error:
                problem = str(error)
                # Now and then the site fails if it is told a window, even that of all.
                memory.no_window = memory.no_window or (status == 500 and self.window == 0)
                continue
            if items:
                return self._posts(items)
            num_empty += 1
            if num_empty == 2:  # said twice, it is no slip
                return None
        raise self._unreadable(url, problem)

    async def _get(self, client: Client, url: str, params: dict[str, str]) -> Received:
        # A 500 often has a good answer as its body.
        return await client.get(
            url, purpose="list", params=params, max_bytes=_LIST_BYTES, answers=frozenset({500})
        )

    def _refuse(self, status: int) -> None:
        if status >= 400 and status != 500:
            raise SourceRefused(
                f"{self.root} answers {status} to its listing: it refuses this client or query; "
                "set the crawl's user to your account there and check the tags"
            )

    def _stuck(self, number: int) -> SourceRefused:
        return SourceRefused(
            f"{self.root} lists page {number - 1} again as page {number}: it ignores p, "
            "so its listing cannot be paged"
        )

    def _unreadable(self, url: str, problem: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"{url} does not answer with a listing: {problem}; run the same command again later"
        )

    def _moved_to(self, url: str) -> str:
        """Path below the root that an answer came from."""
        start = f"{urlsplit(self.root).path}/"
        path = urlsplit(url).path
        is_here = path.startswith(start) and host_of(url) == host_of(self.root)
        return path.removeprefix(start) if is_here else ""

    def _posts(self, items: list[dict[str, Any] | None]) -> list[Post]:
        posts = [post for item in items if item is not None and (post := self._post(item))]
        if len(posts) < len(items):
            logger.warning("%s: %d items cannot be read", self.root, len(items) - len(posts))
        return list({post.post_id: post for post in posts}.values())

    def _post(self, item: dict[str, Any]) -> Post | None:
        """A post of an item of a list, or of an entry, whose names differ."""
        number = number_of(item.get("id"), least=1)
        if not number:
            return None
        md5 = str(item.get("md5") or item.get("hash") or "").lower()
        tags = item.get("tags") if isinstance(item.get("tags"), list) else []
        named = [unescaped(tag) for tag in (*(tags or ()), item.get("tag"), item.get("primary"))]
        return Post(
            post_id=str(number),
            post_url=f"{self.root}/{number}",
            file_url=self._file_url(item, number),
            tags=sorted({as_tag(tag).lower() for tag in named if tag}),
            rating=_RATING,
            width=number_of(item.get("width"), least=1),
            height=number_of(item.get("height"), least=1),
            site_md5=md5 if len(md5) == 32 and set(md5) <= set("0123456789abcdef") else None,
            source_link=unescaped(item.get("source")) or None,
        )

    def _merged(self, post: Post, item: dict[str, Any]) -> Post:
        """The entry, with what it leaves out as it was."""
        now = self._post(item)
        if now is None:
            return post
        kept = {
            name: getattr(post, name)
            for name in ("tags", "width", "height", "site_md5", "source_link")
            if not getattr(now, name)
        }
        return dataclasses.replace(now, **kept)

    def _file_url(self, item: dict[str, Any], number: int) -> str:
        full = item.get("full")
        if isinstance(full, str) and host_of(full) == host_of(self._files):
            return full
        return self._candidates(str(number), str(item.get("thumbnail") or ""))[0]

    def _candidates(self, post_id: str, like: str) -> list[str]:
        """Where the original may be; first with the extension of a URL that is known."""
        extension = urlsplit(like).path.rpartition(".")[2].lower().replace("jpeg", "jpg")
        ordered = sorted(_EXTENSIONS, key=lambda known: known != extension)
        return [f"{self._files}/.full.{post_id}.{end}" for end in ordered]


def _memory(client: Client, name: str) -> _Memory:
    return client.remember(name, _Memory)


def _place(cursor: str | None) -> tuple[int, int]:
    """Number of the page, and how many of its posts have been listed."""
    match = _CURSOR.fullmatch(cursor or "1")
    if not match:
        raise SourceRefused(f"{cursor!r} is no place in a listing of Zerochan; start a new crawl")
    return int(match[1]), int(match[2] or 0)


def _tags_of(query: str) -> list[str]:
    """Tags with spaces between their words: a comma says that the query is spelt as at the site."""
    parts = query.split(",") if "," in query else query.replace("_", "\u00a0").split(" ")
    return [tag for part in parts if (tag := " ".join(part.split()))]


def _path_of(query: str) -> str:
    tags = (tag.split() for tag in _tags_of(query))
    return ",".join("+".join(quote(word, safe="") for word in words) for words in tags)


def _text_of(received: Received) -> str:
    if received.problem:
        raise Garbled(f"its answer is {received.problem.replace('_', ' ')}")
    text = received.content.decode("utf-8", errors="replace")
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)  # the site leaves them in its strings


def _items_of(received: Received) -> list[dict[str, Any] | None]:
    items = list(items_of(_text_of(received)))
    if received.status == 500 and not items:
        raise Garbled("it says 500")
    return items
