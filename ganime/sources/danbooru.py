"""Danbooru: few tags per search, so the rarest go to the server and the rest is filtered here.

Listings go by keyset, `page=b<id>` down and `page=a<id>` up, which no page limit cuts off. The
facts are those of the server's own source (github.com/danbooru/danbooru).
"""

import logging
from base64 import b64encode
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field
from yarl import URL

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import SOURCES, Budget, Page, Post, SiteFacts, WebSource, rating_of
from ganime.sources.client import Client
from ganime.sources.tag_limit import Query, Terms, name_of
from ganime.sources.values import json_of, number_of, text_of

logger = logging.getLogger(__name__)

_LIST_BYTES = 32 << 20  # 200 posts are about 0.3 MB
_ASKS = 5  # of what comes back as an error page or a passing server error
_UNCOUNTED = 1 << 62  # posts of a tag that are too many to be counted in time
_CATEGORIES = ("artist", "copyright", "character", "meta")
_STATES = ("banned", "deleted", "flagged", "pending")  # the first whose flag is set counts
_FIELDS = ",".join(  # of a post, so that answers stay small
    (
        *("id", "created_at", "updated_at", "score", "source", "md5", "rating", "parent_id"),
        *("image_width", "image_height", "file_url", "tag_string_general"),
        *(f"tag_string_{category}" for category in _CATEGORIES),
        *(f"is_{state}" for state in _STATES),
    )
)
_REFUSALS = {  # the site's statuses, and what to do about them
    403: "it refuses this client or account: check the credentials, and name the crawl's user",
    410: "it does not page that far: ask for rarer tags",
    422: "check the query, and set tag_limit to what your account may search for "
    "(2 without one, 6 with Gold)",
}


@SOURCES.register("danbooru")
class Danbooru(WebSource):
    """Danbooru, with an account or without."""

    FACTS: ClassVar[SiteFacts] = SiteFacts(
        hosts=("donmai.us",),
        page_limit=200,
        list_budget=Budget(rate_per_s=1, in_flight=1),  # what the site's wiki asks for
        file_budget=Budget(rate_per_s=4, in_flight=4),  # 10 per second is the hard limit
        credentials=("login", "api_key"),
        documented=("/posts.json", "/posts/", "/tags.json", "/counts/"),  # help:api
    )

    url: str = Field("https://danbooru.donmai.us", description="Address of the site.")
    tag_limit: int = Field(
        2, ge=1, description="Tags the account may search for: 2 without one, 6 with Gold."
    )

    def check(self, tags: str) -> None:
        """Refuse what cannot be listed newest first, or can neither be sent nor filtered here.

        Raises:
            ConfigError: says which tag.
        """
        terms = Terms.of(tags)
        if not terms.words:
            raise ConfigError(
                f"no tags: name what to fetch from {self.root}, for example --tags '1girl solo'"
            )
        for word in terms.ordering:
            raise ConfigError(f"the tag {word!r} cannot be used: posts are listed newest first")
        if len(terms.fixed) > self.tag_limit:
            raise ConfigError(
                f"{' '.join(terms.fixed)!r} cannot be filtered here, and a search at {self.root} "
                f"takes {self.tag_limit} tags: leave some out, or set tag_limit to what your "
                "account may search for"
            )

    async def older(self, client: Client, tags: str, cursor: str | None, limit: int) -> Page:
        """One page below the post whose id is `cursor`; see `Source.older`.

        A page may come out empty though there is more below it: then its cursor has moved.
        """
        query = await self._divide(client, tags)
        below = {"page": f"b{cursor}"} if cursor else {}
        params = self._params(query, limit) | below
        # An empty page is the end; said twice, so that a slip does not end the listing.
        found = await self._list(client, params) or await self._list(client, params)
        if cursor and any(int(post.post_id) >= int(cursor) for post in found):
            raise self._cannot_page(f"b{cursor}")
        if not found:
            return Page([], None)
        posts = [post for post in reversed(found) if query.admits(post)]
        if len(posts) >= limit:
            return Page(posts[:limit], posts[limit - 1].post_id)
        return Page(posts, found[0].post_id)

    async def newer(
        self, client: Client, tags: str, listed: Collection[str], cursor: str | None, limit: int
    ) -> list[Post]:
        """Posts above the highest id; see `Source.newer`.

        Pages of which nothing is left after filtering are passed, as far up as there are any.
        """
        query = await self._divide(client, tags)
        newest = max(map(int, listed))
        posts: list[Post] = []
        while len(posts) < limit:
            params = self._params(query, limit) | {"page": f"a{newest}"}
            found = await self._list(client, params)
            if any(int(post.post_id) <= newest for post in found):
                raise self._cannot_page(f"a{newest}")
            posts += [post for post in found if query.admits(post)]
            if len(found) < int(params["limit"]):
                break
            newest = int(found[-1].post_id)
        return posts[:limit]

    async def again(self, client: Client, post: Post) -> Post | None:
        """The post as it is now; see `Source.again`. An expunged one is no more."""
        status, answer = await self._ask(client, f"/posts/{post.post_id}.json", {"only": _FIELDS})
        if status in (404, 451):
            return None
        self._check_status(status, answer)
        found = self._post(answer)
        if found is None or found.post_id != post.post_id:
            raise self._garbled("it describes another post, or none")
        return found

    def first_call(self, tags: str, limit: int) -> str:
        """URL of the newest page, or of the tags' counts if not all tags can be sent."""
        terms = Terms.of(tags)
        if terms.num_counted > self.tag_limit:
            path, params = "/tags.json", _count_params(terms.plain)
        else:
            path, params = "/posts.json", self._params(terms.divided(self.tag_limit, {}), limit)
        return str(URL(self.root + path).update_query(params))

    async def _divide(self, client: Client, tags: str) -> Query:
        """Choose the tags that the server is asked for.

        Raises:
            SourceRefused: a tag to be looked for here is on no post.
        """
        terms = Terms.of(tags)
        if terms.num_counted <= self.tag_limit:
            return terms.divided(self.tag_limit, {})
        counts: dict[str, int] = client.remember("tag counts", dict)
        unknown = [word for word in terms.plain if name_of(word) not in counts]
        if unknown:
            counts.update(await self._counts(client, unknown))
        query = terms.divided(self.tag_limit, counts)
        # The server alone resolves an alias; as no post carries it, it counts 0 and goes first.
        for name in sorted(query.wanted):
            if not counts[name]:
                raise SourceRefused(
                    f"no post at {self.root} is tagged {name!r}; check the spelling, or write the "
                    "tag's present name if it is an alias"
                )
        for name in sorted(query.unwanted):
            if not counts[name]:
                logger.warning("%s has no posts of %r to leave out: an alias?", self.root, name)
        return query

    async def _counts(self, client: Client, words: list[str]) -> dict[str, int]:
        """Posts of each tag; 0 for tags that are unknown or aliases."""
        names = [name_of(word) for word in words]
        status, answer = await self._ask(client, "/tags.json", _count_params(words))
        if isinstance(answer, list) and status < 400:
            tags = [tag for tag in answer if isinstance(tag, dict)]
            found = {text_of(tag.get("name")): number_of(tag.get("post_count")) for tag in tags}
            return {name: found.get(name) or 0 for name in names}
        logger.info("%s does not count its tags at once (status %d)", self.root, status)
        return {name: await self._count(client, name) for name in names}

    async def _count(self, client: Client, name: str) -> int:
        status, answer = await self._ask(client, "/counts/posts.json", {"tags": name})
        self._check_status(status, answer)
        counts = answer.get("counts") if isinstance(answer, dict) else None
        count = number_of(counts.get("posts")) if isinstance(counts, dict) else None
        return _UNCOUNTED if count is None else count

    def _params(self, query: Query, limit: int) -> dict[str, str]:
        # Nobody knows how much is left of a page that is filtered here, so ask for a whole one.
        size = min(limit, self.FACTS.page_limit) if query.is_whole else self.FACTS.page_limit
        return {"tags": query.sent, "limit": str(size), "only": _FIELDS}

    async def _list(self, client: Client, params: Mapping[str, str]) -> list[Post]:
        """The posts of one page, lowest id first; the site's order is the other in any case."""
        status, answer = await self._ask(client, "/posts.json", params)
        self._check_status(status, answer)
        if not isinstance(answer, list):
            raise self._garbled("it is no list of posts")
        posts = [post for record in answer if (post := self._post(record))]
        num_odd = len(answer) - len(posts)
        if num_odd and not posts:  # an empty page would be the end of the listing
            raise self._garbled(f"none of its {num_odd} posts has an id")
        if num_odd:
            logger.warning("%s: %d records without an id are left out", self.root, num_odd)
        return sorted(posts, key=lambda post: int(post.post_id))

    async def _ask(self, client: Client, path: str, params: Mapping[str, str]) -> tuple[int, Any]:
        """Status and JSON of one call; asked again, at most `_ASKS` times, while it fails."""
        problem = ""
        for ask in range(_ASKS + 1):
            if ask:
                await client.back_off(ask - 1)
            received = await client.get(
                self.root + path,
                purpose="list",
                params=params,
                headers=self._headers(client),
                max_bytes=_LIST_BYTES,
                answers=frozenset({500}),  # it says there what was wrong
            )
            status, answer = received.status or 0, _parsed(received.content)
            reason = _reason(answer)
            if 400 <= status < 500 or (status < 400 and answer is not None and not reason):
                return status, answer
            if "timed out" in reason or "QueryCanceled" in reason:
                raise SourceUnavailable(
                    f"{self.root} takes too long to search for {params.get('tags', path)!r} "
                    f"({reason}): ask for rarer tags, or run the same command again later"
                )
            problem = reason or (received.problem or "no JSON").replace("_", " ")
        raise self._garbled(f"{problem} (status {status})")

    def _headers(self, client: Client) -> dict[str, str]:
        """HTTP Basic, so that no URL holds the key.

        Raises:
            SourceRefused: one half of the credentials is missing.
        """
        given = {name: client.credentials.get(name, "") for name in self.FACTS.credentials}
        missing = [name for name, value in given.items() if not value]
        if len(missing) == len(given):
            return {}
        if missing:
            raise SourceRefused(
                f"{self.root} wants login and api_key together, and your {missing[0]} is not "
                f"known: set the environment variable GANIME_DANBOORU_{missing[0].upper()} or the "
                f"Prefect Secret block danbooru-{missing[0].replace('_', '-')}, or neither of both"
            )
        pair = f"{given['login']}:{given['api_key']}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}

    def _check_status(self, status: int, answer: Any) -> None:
        if status >= 400:
            reason = _reason(answer)
            says = f" ({reason})" if reason else ""
            advice = _REFUSALS.get(status, "is this a Danbooru?")
            raise SourceRefused(f"{self.root} answers {status}{says}: {advice}")

    def _cannot_page(self, page: str) -> SourceRefused:
        return SourceRefused(
            f"{self.root} ignores page={page}, so its listing cannot be paged; is this a Danbooru?"
        )

    def _garbled(self, problem: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self.root} does not answer with posts: {problem}; run the same command again later"
        )

    def _post(self, record: Any) -> Post | None:
        post_id = number_of(record.get("id")) if isinstance(record, dict) else None
        if post_id is None or post_id < 1:
            return None
        # Banned, removed and restricted posts come without URL and MD5.
        file_url, md5 = text_of(record.get("file_url")), text_of(record.get("md5")).lower()
        parent_id = number_of(record.get("parent_id"))
        flags = [state for state in _STATES if record.get(f"is_{state}") is True]
        return Post(
            post_id=str(post_id),
            post_url=f"{self.root}/posts/{post_id}",
            file_url=(self.root + file_url if file_url.startswith("/") else file_url) or None,
            tags=_tags(record, "general"),
            artist_tags=_tags(record, "artist"),
            copyright_tags=_tags(record, "copyright"),
            character_tags=_tags(record, "character"),
            meta_tags=_tags(record, "meta"),
            rating=rating_of(record.get("rating"), self.FACTS.ratings),
            score=number_of(record.get("score")),
            width=number_of(record.get("image_width")),
            height=number_of(record.get("image_height")),
            site_md5=md5 if len(md5) == 32 and set(md5) <= set("0123456789abcdef") else None,
            posted_at=_moment(record.get("created_at")),
            changed_at=_moment(record.get("updated_at")),
            state=flags[0] if flags else "active",
            parent_id=str(parent_id) if parent_id else None,
            source_link=text_of(record.get("source")) or None,
        )


def _count_params(words: list[str]) -> dict[str, str]:
    names = ",".join(name_of(word) for word in words)
    return {"search[name_comma]": names, "only": "name,post_count", "limit": str(len(words))}


def _parsed(content: bytes) -> Any:
    """JSON, or None if it is none."""
    try:
        return json_of(content)
    except ValueError:
        return None


def _reason(answer: Any) -> str:
    """What an error answer says: its class and message."""
    if not isinstance(answer, dict) or answer.get("success") is not False:
        return ""
    said = [str(answer[key]).strip() for key in ("error", "message") if answer.get(key)]
    return ": ".join(said)[:200] or "an error without a reason"


def _tags(record: dict[str, Any], category: str) -> list[str]:
    return sorted(set(text_of(record.get(f"tag_string_{category}")).split()))


def _moment(value: Any) -> datetime | None:
    """`2022-11-24T08:30:35.123-05:00` as UTC."""
    try:
        moment = datetime.fromisoformat(str(value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
