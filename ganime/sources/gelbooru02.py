"""The Gelbooru protocol (`page=dapi`), as versions 0.2 and 0.2.5 of that software speak it.

What its API does beyond its help page (page=help&topic=dapi) is stated where it matters below.
Listings go by keyset, `id:<N`: deep page numbers break the answer and shift while posts come in.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from yarl import URL

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import STATES, Page, Post, WebSource, rating_of
from ganime.sources.client import Client
from ganime.sources.dapi import Answer, Garbled, moment_of, parse, unix_time_of
from ganime.sources.values import number_of, unescaped

logger = logging.getLogger(__name__)

_LIST_BYTES = 32 << 20  # 1000 posts are about 1 MB
_ASKS = 5  # the sites now and then answer with an empty page or an error page
_OURS = ("id:", "sort:", "order:", "limit:")  # metatags that paging itself needs


@dataclass(frozen=True, slots=True)
class _Listed:
    posts: list[Post]
    count: int | None


class Gelbooru02(WebSource):
    """Base of the boorus that speak this protocol: a table of facts and an address make one.

    Attributes:
        FINAL_WORDS: What the site says in place of a listing when asking again at once is no use,
            in lower case, and what it means.
    """

    FINAL_WORDS: ClassVar[Mapping[str, str]] = {}

    def check(self, tags: str) -> None:
        """Refuse no tags at all, and metatags that paging needs for itself.

        Raises:
            ConfigError: says which.
        """
        if not tags.split():
            raise ConfigError(
                f"no tags: name what to fetch from {self.root}, for example --tags '1girl solo'"
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

    async def again(self, client: Client, post: Post) -> Post | None:
        """The post as it is listed now; see `Source.again`."""
        found = await self._list(client, f"id:{post.post_id}", 1, trust_empty=False)
        if not found.posts and not found.count:
            return None
        return next((item for item in found.posts if item.post_id == post.post_id), post)

    def first_call(self, tags: str, limit: int) -> str:
        """URL of the newest page; see `Source.first_call`."""
        params = self._list_params(tags, limit) | {"json": "1"}
        return str(URL(f"{self.root}/index.php").update_query(params))

    def secrets(self, client: Client) -> dict[str, str]:
        """What goes with every call, on the wire alone."""
        return {}

    async def completed(self, client: Client, posts: list[Post]) -> list[Post]:
        """Posts with what the listing leaves out."""
        return posts

    async def ask(self, client: Client, params: Mapping[str, str]) -> Answer:
        """One call, asked again at most `_ASKS` times while it brings no listing.

        Raises:
            SourceUnavailable: it never did.
            SourceRefused: the site says no.
        """
        for attempt in range(_ASKS):
            try:
                return await self._ask(client, params)
            except Garbled:
                await client.back_off(attempt)
        try:
            return await self._ask(client, params)
        except Garbled as problem:
            raise self._silent(str(problem)) from problem

    async def _list(self, client: Client, query: str, limit: int, *, trust_empty: bool) -> _Listed:
        """Ask for posts; ask again, at most `_ASKS` times, for what looks like a slip."""
        params = self._list_params(query, limit)
        answer, posts, problem = Answer([], None), list[Post](), ""
        for ask in range(_ASKS + 1):
            if ask:
                await client.back_off(ask - 1)
            try:
                # Version 0.2 tells the total in XML alone: it tells the end from a slip.
                answer = await self._ask(client, params if ask else {**params, "json": "1"})
                posts, problem = self._posts(answer), ""
            except Garbled as error:
                problem = str(error)
                continue
            if posts or answer.count == 0 or trust_empty:
                break
            logger.debug("%s: an empty page for %r", self.root, query)
        if problem:
            raise self._silent(problem)
        return _Listed(await self.completed(client, posts), answer.count)

    def _posts(self, answer: Answer) -> list[Post]:
        posts = [post for record in answer.records if (post := self._post(record))]
        num_odd = len(answer.records) - len(posts)
        if num_odd and not posts:  # an empty page would be the end of the listing
            raise Garbled(f"none of its {num_odd} records has an id")
        if num_odd:
            logger.warning("%s: %d records without an id are left out", self.root, num_odd)
        return posts

    def _list_params(self, query: str, limit: int) -> dict[str, str]:
        size = str(min(limit, self.FACTS.page_limit))
        return {"page": "dapi", "s": "post", "q": "index", "tags": query, "limit": size}

    async def _ask(self, client: Client, params: Mapping[str, str]) -> Answer:
        received = await client.get(
            f"{self.root}/index.php",
            purpose="list",
            params=params,
            secrets=self.secrets(client),
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
            raise Garbled(f"its answer is {received.problem.replace('_', ' ')}")
        text = received.content.decode("utf-8", errors="replace").strip().lstrip("\ufeff")
        try:
            return parse(text)
        except Garbled:
            start = text[:1000].lower()
            for words, meaning in self.FINAL_WORDS.items():
                if words in start:
                    raise SourceUnavailable(f"{self.root}: {meaning}") from None
            raise

    def _silent(self, problem: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self.root} does not answer with a listing: {problem}; "
            "run the same command again later"
        )

    def _post(self, record: Any) -> Post | None:
        post_id = number_of(record.get("id")) if isinstance(record, dict) else None
        if post_id is None or post_id < 1:
            return None
        md5 = str(record.get("hash") or record.get("md5") or "").lower()
        parent_id = number_of(record.get("parent_id"))
        state = unescaped(record.get("status")).lower()
        return Post(
            post_id=str(post_id),
            post_url=f"{self.root}/index.php?page=post&s=view&id={post_id}",
            file_url=self._file_url(record),
            tags=sorted(set(unescaped(record.get("tags")).split())),
            rating=rating_of(record.get("rating"), self.FACTS.ratings),
            score=number_of(record.get("score")),
            width=number_of(record.get("width")),
            height=number_of(record.get("height")),
            # The file's name may be a hash of something else, so it never stands in for the MD5.
            site_md5=md5 if len(md5) == 32 and set(md5) <= set("0123456789abcdef") else None,
            posted_at=moment_of(record.get("created_at")),
            changed_at=unix_time_of(record.get("change")),
            state=state if state in STATES else "active",
            parent_id=str(parent_id) if parent_id else None,
            source_link=unescaped(record.get("source")) or None,
        )

    def _file_url(self, record: dict[str, Any]) -> str | None:
        """The original's URL; older sites leave it out. Ghosts, whose file is gone, have none."""
        url = unescaped(record.get("file_url"))
        if not url and record.get("directory") not in (None, "") and record.get("image"):
            url = f"{self.root}/images/{record['directory']}/{record['image']}"
        if not url or url.endswith("/"):
            return None
        return f"{urlsplit(self.root).scheme}:{url}" if url.startswith("//") else url
