"""Safebooru, and any booru that speaks the Gelbooru 0.2 protocol (`page=dapi`).

What its API does beyond its help page (page=help&topic=dapi) is stated where it matters below.
Listings go by keyset, `id:<N`: deep page numbers break the answer and shift while posts come in.
"""

import html
import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from pydantic import Field, field_validator

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import SOURCES, Budget, Page, Post, SiteFacts, Source, rating_of
from ganime.sources.addresses import host_of
from ganime.sources.client import Client

logger = logging.getLogger(__name__)

_LIST_BYTES = 32 << 20  # 1000 posts are about 1 MB
_ASKS = 5  # the site now and then answers with an empty page or an error page
_RATINGS = {"s": "general"}  # "safe"
_OURS = ("id:", "sort:", "order:", "limit:")  # metatags that paging itself needs


@dataclass(frozen=True, slots=True)
class _Listed:
    """One answer: its posts, and how many there are in all where the site says (XML only)."""

    posts: list[Post]
    count: int | None


class _Garbled(Exception):  # noqa: N818 - it is a signal inside this file
    """An answer that is no listing, though it may be one when asked again."""


@SOURCES.register("safebooru")
class Safebooru(Source):
    """A booru of the Gelbooru 0.2 kind."""

    FACTS: ClassVar[SiteFacts] = SiteFacts(
        hosts=("safebooru.org",),
        page_limit=1000,  # the help page's maximum; older copies of it say 100: less is accepted
        list_budget=Budget(rate_per_s=1, in_flight=1),
        file_budget=Budget(rate_per_s=4, in_flight=4),
    )

    url: str = Field("https://safebooru.org", description="Address of the site.")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https") or not host_of(url) or "@" in url:
            raise ValueError("wanted an address like https://safebooru.org")
        return url.rstrip("/")

    @property
    def root(self) -> str:
        """Address of the site, without a slash at its end."""
        return self.url

    def check(self, tags: str) -> None:
        """Refuse no tags at all, and metatags that paging needs for itself.

        Raises:
            ConfigError: says which.
        """
        if not tags.split():
            raise ConfigError(
                f"no tags: name what to fetch from {self.root}, for example tags='1girl solo'"
            )
        for tag in tags.split():
            if tag.lower().startswith(_OURS):
                raise ConfigError(f"the tag {tag!r} cannot be used: posts are listed newest first")

    async def older(self, client: Client, tags: str, cursor: str | None, limit: int) -> Page:
        """One page below the post whose id is `cursor`; see `Source.older`."""
        query = f"{tags} id:<{cursor}" if cursor else tags
        listed = await self._list(client, query, limit, trust_empty=False)
        posts = [post for post in listed.posts if not cursor or int(post.post_id) < int(cursor)]
        if listed.posts and not posts:
            raise SourceRefused(
                f"{self.root} ignores id:<{cursor}, so its listing cannot be paged; "
                "does it speak the Gelbooru 0.2 protocol?"
            )
        if not posts:
            if listed.count and not cursor:
                raise SourceUnavailable(
                    f"{self.root} counts {listed.count} posts for {query!r} but lists none; "
                    "run the same command again later"
                )
            return Page([], cursor if listed.count else None)
        posts.sort(key=lambda post: -int(post.post_id))
        # A short page says nothing: only an empty one is the end.
        return Page(posts[:limit], posts[:limit][-1].post_id)

    async def newer(
        self, client: Client, tags: str, listed: Collection[str], cursor: str | None, limit: int
    ) -> list[Post]:
        """Posts above the highest id; see `Source.newer`."""
        newest = max(map(int, listed))
        query = f"{tags} id:>{newest} sort:id:asc"
        found = (await self._list(client, query, limit, trust_empty=True)).posts
        ids = [int(post.post_id) for post in found]
        if ids != sorted(ids):
            raise SourceRefused(
                f"{self.root} ignores sort:id:asc, so what is new cannot be listed without gaps"
            )
        return [post for post in found if int(post.post_id) > newest][:limit]

    async def again(self, client: Client, post: Post) -> Post:
        """The post as it is listed now, or as it was if it cannot be found."""
        found = await self._list(client, f"id:{post.post_id}", 1, trust_empty=True)
        return next((item for item in found.posts if item.post_id == post.post_id), post)

    async def _list(self, client: Client, query: str, limit: int, *, trust_empty: bool) -> _Listed:
        """Ask for posts; ask again, at most `_ASKS` times, for what looks like a slip."""
        limit = min(limit, self.FACTS.page_limit)
        listed, problem = _Listed([], None), ""
        for ask in range(_ASKS + 1):
            if ask:
                await client.back_off(ask - 1)
            try:
                # JSON has no total; XML has, and so can tell the end from an empty page mid-way.
                listed = await self._ask(client, query, limit, as_json=ask == 0)
            except _Garbled as error:
                problem = str(error)
                continue
            if listed.posts or listed.count == 0 or trust_empty:
                return listed
            logger.debug("%s: an empty page for %r", self.root, query)
            problem = ""
        if problem:
            raise SourceUnavailable(
                f"{self.root} does not answer with a listing: {problem}; "
                "run the same command again later"
            )
        return listed

    async def _ask(self, client: Client, query: str, limit: int, *, as_json: bool) -> _Listed:
        params = {"page": "dapi", "s": "post", "q": "index", "tags": query, "limit": str(limit)}
        received = await client.get(
            f"{self.root}/index.php",
            purpose="list",
            params={**params, "json": "1"} if as_json else params,
            max_bytes=_LIST_BYTES,
        )
        status = received.status or 0
        if status in (401, 403):
            raise SourceRefused(
                f"{self.root} answers {status} to its listing: it wants credentials or refuses "
                "this client; set the crawl's user and ask the site"
            )
        if status >= 400:
            raise SourceRefused(f"{self.root} answers {status} to its listing; is this a booru?")
        if received.problem:
            raise _Garbled(f"its answer is {received.problem.replace('_', ' ')}")
        return self._parse(received.content)

    def _parse(self, content: bytes) -> _Listed:
        text = content.decode("utf-8", errors="replace").strip().lstrip("\ufeff")
        if not text:
            return _Listed([], None)
        if text[0] in "[{":
            records, count = _json_records(text), None
        else:
            records, count = _xml_records(text)
        posts = [post for record in records if (post := self._post(record))]
        if len(posts) < len(records):
            logger.warning("%s: %d records have no id", self.root, len(records) - len(posts))
        return _Listed(posts, count)

    def _post(self, record: Any) -> Post | None:
        post_id = _number(record.get("id")) if isinstance(record, dict) else None
        if post_id is None or post_id < 1:
            return None
        md5 = str(record.get("hash") or record.get("md5") or "").lower()
        parent_id = _number(record.get("parent_id"))
        return Post(
            post_id=str(post_id),
            post_url=f"{self.root}/index.php?page=post&s=view&id={post_id}",
            file_url=self._file_url(record),
            tags=sorted(set(_text(record.get("tags")).split())),
            rating=rating_of(record.get("rating"), _RATINGS),
            score=_number(record.get("score")),
            width=_number(record.get("width")),
            height=_number(record.get("height")),
            # The file's name is a hash of something else, never its MD5.
            site_md5=md5 if len(md5) == 32 and set(md5) <= set("0123456789abcdef") else None,
            posted_at=_moment(record.get("created_at")),
            parent_id=str(parent_id) if parent_id else None,
            source_link=_text(record.get("source")) or None,
        )

    def _file_url(self, record: dict[str, Any]) -> str | None:
        """The original's URL; older sites leave it out. Ghosts, whose file is gone, have none."""
        url = _text(record.get("file_url"))
        if not url and record.get("directory") not in (None, "") and record.get("image"):
            url = f"{self.root}/images/{record['directory']}/{record['image']}"
        if not url or url.endswith("/"):
            return None
        return f"{urlsplit(self.root).scheme}:{url}" if url.startswith("//") else url


def _json_records(text: str) -> list[Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Garbled(f"broken JSON ({error})") from error
    if isinstance(answer, dict) and "post" in answer:
        answer = answer["post"]
    if isinstance(answer, list):
        return answer
    if "id" in answer:
        return [answer]
    if answer.get("success") in (False, "false") or "message" in answer or "error" in answer:
        raise _Garbled(f"it says {_reason(answer)!r}")
    return []


def _xml_records(text: str) -> tuple[list[Any], int | None]:
    if text[:200].lower().lstrip().startswith(("<!doctype", "<html", "<head", "<body")):
        raise _Garbled("it is a web page")
    if not text.startswith("<"):
        raise _Garbled(f"it says {text[:100]!r}")
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise _Garbled("its XML declares entities")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise _Garbled(f"broken XML ({error})") from error
    if root.tag != "posts":
        raise _Garbled(f"it says {_reason({**root.attrib, 'error': root.text})!r}")
    return [dict(item.attrib) for item in root.iter("post")], _number(root.get("count"))


def _reason(answer: dict[str, Any]) -> str:
    found = answer.get("reason") or answer.get("message") or answer.get("error") or "no reason"
    return str(found).strip()[:200]


def _number(value: Any) -> int | None:
    """An integer, or None; sites send numbers as text, and null and "" for none."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < 1 << 62 else None


def _text(value: Any) -> str:
    return html.unescape(value).strip() if isinstance(value, str) else ""


def _moment(value: Any) -> datetime | None:
    """`Thu Nov 24 08:30:35 -0600 2022`, in XML only, as UTC."""
    try:
        return datetime.strptime(str(value), "%a %b %d %H:%M:%S %z %Y").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
