"""Where images come from: one file per site, each a table of facts and a parser.

A source turns tags into posts, page by page, and a post into bytes. It keeps no state: the crawl
stage commits each page and hands the cursor back, so any listing goes on where it was cut off.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from pydantic import field_validator

from ganime.registry import Component, Registry
from ganime.sources.addresses import host_of

if TYPE_CHECKING:
    from ganime.sources.client import Client

STATES = ("active", "pending", "flagged", "deleted", "banned", "gone")
RATINGS = ("general", "sensitive", "questionable", "explicit", "unknown")
_RATING_WORDS = {
    "g": "general",
    "general": "general",
    "safe": "general",
    "s": "sensitive",
    "sensitive": "sensitive",
    "q": "questionable",
    "questionable": "questionable",
    "e": "explicit",
    "explicit": "explicit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much one host is asked for at most, by the whole process.

    Attributes:
        rate_per_s: Requests per second, evenly spaced.
        in_flight: Requests at the same time.
    """

    rate_per_s: float
    in_flight: int

    def __post_init__(self) -> None:
        if not (0 < self.rate_per_s <= 100 and self.in_flight >= 1):
            raise ValueError(f"{self} is no budget: wanted 0 < rate_per_s <= 100, in_flight >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFacts:
    """What must be known of a site to use it well.

    Attributes:
        hosts: Hosts of its lists and files, their subdomains included; redirects and file URLs
            that lead elsewhere are refused.
        page_limit: Posts that one list call may ask for.
        list_budget: For list calls, per host.
        file_budget: For files, per host.
        file_headers: Sent with every file request, for example a Referer.
        ratings: The site's words for ratings where they differ from ours.
        needs_user: Whether it turns away clients that do not name an account of theirs.
        credentials: Names of the secrets it knows, for example `api_key`.
        needs_credentials: Whether it turns away clients without them.
        documented: Starts of paths that the site documents for programs. Its robots.txt, which
            speaks to crawlers that follow links, is asked about all others.
    """

    hosts: tuple[str, ...]
    page_limit: int
    list_budget: Budget
    file_budget: Budget
    file_headers: Mapping[str, str] = field(default_factory=dict)
    ratings: Mapping[str, str] = field(default_factory=dict)
    needs_user: bool = False
    credentials: tuple[str, ...] = ()
    needs_credentials: bool = False
    documented: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a site says of one post; the columns of `ganime.rows.ListingRow` that are its own."""

    post_id: str
    post_url: str
    file_url: str | None
    tags: list[str] = field(default_factory=list)
    artist_tags: list[str] = field(default_factory=list)
    copyright_tags: list[str] = field(default_factory=list)
    character_tags: list[str] = field(default_factory=list)
    meta_tags: list[str] = field(default_factory=list)
    rating: str = "unknown"
    score: int | None = None
    width: int | None = None
    height: int | None = None
    site_md5: str | None = None
    posted_at: datetime | None = None
    changed_at: datetime | None = None
    state: str = "active"
    parent_id: str | None = None
    source_link: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing.

    Attributes:
        posts: Newest first.
        cursor: Where the listing goes on, in the source's own terms; None if this was the last.
            No posts and the cursor of the page before: there is more, but not to be had now.
    """

    posts: list[Post]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came of a request.

    Attributes:
        content: The body as received; empty if there is a problem or if it lies in `file`.
        status: HTTP status of the last answer; None where no HTTP is spoken.
        problem: Why the body cannot be used, a short code (`too_large`, `truncated`, `gone`,
            `robots`, `noai`).
        content_type: As the server says, lower case, without parameters; empty if it does not.
        url: Where the answer came from, after redirects, without secrets.
        file: A long body lies here instead of in memory, until the client is closed.
    """

    content: bytes = b""
    status: int | None = None
    problem: str | None = None
    content_type: str = ""
    url: str = ""
    file: Path | None = None

    @property
    def num_bytes(self) -> int:
        """Length of the body."""
        return self.file.stat().st_size if self.file else len(self.content)

    def read(self, num_bytes: int = -1) -> bytes:
        """The first bytes of the body; all of it by default."""
        if self.file is None:
            return self.content[: num_bytes if num_bytes >= 0 else None]
        with self.file.open("rb") as file:
            return file.read(num_bytes)

    def digest(self, algorithm: str) -> str:
        """Hex digest of the body by a hash of `hashlib`."""
        if self.file is None:
            return hashlib.new(algorithm, self.content, usedforsecurity=False).hexdigest()
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request as it went; the columns of `ganime.rows.AttemptRow` that are its own."""

    url: str
    http_status: int | None
    content_type: str | None
    resumed_from: int
    num_bytes: int
    outcome: str
    error: str | None
    started_at: datetime
    ms: int


class Source(Component):
    """Base of all sources.

    Attributes:
        FACTS: The site's table of facts.
        IS_LOCAL: Whether its files lie on this machine, so that fetching costs no request.
    """

    FACTS: ClassVar[SiteFacts]
    IS_LOCAL: ClassVar[bool] = False

    @property
    def root(self) -> str:
        """Address of the site, without a slash at its end; its host is trusted."""
        raise NotImplementedError

    def check(self, tags: str) -> None:
        """Refuse a query that this source cannot answer, before anything is asked.

        Raises:
            ConfigError: says which tag is wrong and why.
        """

    async def older(self, client: "Client", tags: str, cursor: str | None, limit: int) -> Page:
        """One page of posts, newest first.

        Args:
            client: The site's client.
            tags: Separated by spaces.
            cursor: Where the page before ended; None for the newest page.
            limit: Posts wanted at most, at least 1.

        Raises:
            SourceUnavailable: the site does not answer, or answers with errors.
            SourceRefused: it understood and says no.
        """
        raise NotImplementedError

    async def newer(
        self, client: "Client", tags: str, listed: Collection[str], cursor: str | None, limit: int
    ) -> list[Post]:
        """Posts that were added since, oldest first; empty if there are none.

        Args:
            client: The site's client.
            tags: Separated by spaces.
            listed: Ids of the posts listed so far, at least one.
            cursor: Where `older` has got to; None if it reached the end.
            limit: Posts wanted at most, at least 1.

        Raises:
            SourceUnavailable: as `older`.
            SourceRefused: as `older`.
        """
        raise NotImplementedError

    async def again(self, client: "Client", post: Post) -> Post | None:
        """What the site says of the post now; None if it has it no more.

        The same post where that cannot be asked.
        """
        return post

    def first_call(self, tags: str, limit: int) -> str:
        """URL of the first list call for a query, without secrets; empty for local sources."""
        return ""

    async def fetch(self, client: "Client", post: Post, max_bytes: int) -> Received:
        """The original of a post that has a `file_url`.

        Args:
            client: The site's client.
            post: As listed.
            max_bytes: A longer body is not read to its end: problem `too_large`.

        Raises:
            SourceUnavailable: no answer in spite of retries.
            AddressRefused: the URL leads to a place that is not the site's.
        """
        if post.file_url is None:
            return Received(content=b"", problem="ghost")
        return await client.get(
            post.file_url, purpose="file", headers=self.FACTS.file_headers, max_bytes=max_bytes
        )


class WebSource(Source):
    """Base of the sources that are sites; subclasses give `url` its default."""

    url: str

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https") or not host_of(url) or "@" in url:
            raise ValueError(f"wanted an address like {cls.model_fields['url'].default}")
        return url.rstrip("/")

    @property
    def root(self) -> str:
        """Address of the site, without a slash at its end."""
        return self.url


def rating_of(word: object, site: Mapping[str, str] | None = None) -> str:
    """Map a site's rating to ours.

    Args:
        word: As the site spells it.
        site: The site's own meanings where they differ (`s` is "safe" here, "sensitive" there).

    Returns:
        One of `RATINGS`.
    """
    text = str(word).strip().lower()
    return (site or {}).get(text) or _RATING_WORDS.get(text, "unknown")


SOURCES: Registry[Source] = Registry(Source, "ganime.sources")
