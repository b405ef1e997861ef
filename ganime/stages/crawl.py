"""Crawl: from tags to posts, from posts to originals; every post ends with one outcome.

Three steps, each of which carries on after a kill: `list_posts` brings the listing up to date,
`plan` names the posts that have no outcome yet, `fetch` settles a shard of them.
"""

import asyncio
import dataclasses
import logging
import threading
from collections import Counter
from collections.abc import Collection, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ganime.config import Config, digest_of
from ganime.errors import SourceError, SourceRefused, SourceUnavailable
from ganime.rows import ListingRow, PostRow
from ganime.sources import SOURCES, Page, Post, Received, Source
from ganime.sources.addresses import AddressRefused, host_of
from ganime.sources.client import CannotConnect, Client, HostBusy
from ganime.sources.received import problem_of
from ganime.sources.safebooru import Safebooru
from ganime.store.manifest import Manifest, Provenance, Table, from_arrow, read_footer
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

logger = logging.getLogger(__name__)

REVISION = 1  # raise it whenever rows change: old listings are still read

_CONCURRENCY = 8  # downloads at once; the host's budget bounds them further
_OUTAGE = 16  # posts in a row without an answer, or turned away: it is the site, not the post
_TRIES = 5  # runs that try a post whose failure may heal
_NO_IMAGES = frozenset(
    {".mp4", ".webm", ".mkv", ".avi", ".mov", ".zip", ".rar", ".7z", ".swf", ".ugoira", ".pdf"}
)
_POST_FIELDS = tuple(item.name for item in dataclasses.fields(Post))
_LISTING_FIELDS = tuple(item.name for item in dataclasses.fields(ListingRow))
ResultT = TypeVar("ResultT")
Rating = Literal["general", "sensitive", "questionable", "explicit", "unknown"]


class CrawlConfig(Config):
    """What to fetch, and from where."""

    source: SOURCES.field() = Safebooru()  # type: ignore[valid-type]
    tags: str = Field("", description="As at the site, separated by spaces.")
    limit: int = Field(1000, ge=1, description="Posts listed at most, newest first.")
    ratings: tuple[Rating, ...] = Field(
        ("general", "unknown"), min_length=1, description="Posts of other ratings are skipped."
    )
    shard_size: int = Field(100, ge=1, le=10_000, description="Posts that are committed together.")
    max_bytes: int = Field(50_000_000, ge=1, description="Longer files are not fetched [bytes].")
    user: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9 _.@+/:-]*$")] = Field(
        "", description="Named to the site: your account there, or how to reach you."
    )

    @property
    def site(self) -> Source:
        """The source, with its type."""
        site: Source = self.source
        return site


@dataclass(frozen=True, slots=True)
class CrawlSummary:
    """Where the posts of a crawl stand.

    Attributes:
        num_posts: Posts listed.
        outcomes: Posts by outcome; `due` are those without one.
        reasons: Posts by outcome and reason, for skipped and failed.
    """

    num_posts: int
    outcomes: dict[str, int]
    reasons: dict[tuple[str, str], int]

    def describe(self) -> str:
        """One countable line."""
        parts = [f"crawl: {self.num_posts} posts"]
        for outcome in ("fetched", "known", "skipped", "failed", "due"):
            if count := self.outcomes.get(outcome, 0):
                why = [
                    f"{reason} {number}"
                    for (of, reason), number in sorted(self.reasons.items())
                    if of == outcome
                ]
                parts.append(f"{count} {outcome}" + (f" ({', '.join(why)})" if why else ""))
        return ", ".join(parts)


def crawl_id(config: CrawlConfig) -> str:
    """Name of the crawl's tables: same source, tags (in any order) and ratings, same crawl."""
    tags = " ".join(sorted(set(config.tags.split())))
    ratings = " ".join(sorted(set(config.ratings)))
    return digest_of(config.site.canonical(), tags, ratings)


def run(workspace: Workspace, config: CrawlConfig, run_id: str) -> CrawlSummary:
    """List, then fetch all that is due; the same call carries on after an interruption."""
    list_posts(workspace, config, run_id)
    for shard in plan(workspace, config):
        fetch(workspace, config, shard, run_id)
    result = summary(workspace, config)
    logger.info("%s", result.describe())
    return result


def list_posts(workspace: Workspace, config: CrawlConfig, run_id: str) -> int:
    """Bring the crawl's listing up to date.

    The first time it goes down from the newest post to the limit or the end; cut off, it goes on
    where it was. Then it asks for what is new, which costs one call if nothing is. Each page is
    committed as it comes.

    Returns:
        How many posts it added.

    Raises:
        ConfigError: the source cannot answer such a query.
        SourceUnavailable: the site does not answer.
        SourceRefused: it refuses, or no post has these tags.
    """
    config.site.check(config.tags)
    return _run_async(_Listing(workspace, config, run_id).update())


def plan(workspace: Workspace, config: CrawlConfig) -> list[list[str]]:
    """Posts without an outcome, or whose failure may heal, in shards, newest first."""
    listed = _listings(workspace, config).read(["post_id", "position"]).sort_by("position")
    settled = _settled(_posts(workspace, config).read(["post_id", "outcome", "transient"]))
    due = [post_id for post_id in listed["post_id"].to_pylist() if post_id not in settled]
    size = config.shard_size
    return [due[start : start + size] for start in range(0, len(due), size)]


def fetch(
    workspace: Workspace, config: CrawlConfig, post_ids: Sequence[str], run_id: str
) -> Manifest:
    """Settle the posts of one shard: one row each, committed together.

    Posts that have their outcome already are left alone, so repeating a shard is harmless.

    Raises:
        SourceUnavailable: the site is down; nothing was committed.
        SourceRefused: it turns this client away; nothing was committed.
    """
    table = _posts(workspace, config)
    before = table.read(["post_id", "outcome", "transient", "attempt"])
    settled = _settled(before)
    attempts = dict(zip(before["post_id"].to_pylist(), before["attempt"].to_pylist(), strict=True))
    due = [post_id for post_id in dict.fromkeys(post_ids) if post_id not in settled]
    listed = _rows_of(_listings(workspace, config), due)
    shard = _Shard(workspace, config, run_id, {key: attempts.get(key, 0) + 1 for key in listed})
    rows = _run_async(shard.settle(list(listed.values())))
    name = digest_of(*(f"{row.post_id}:{row.attempt}" for row in rows))
    return table.write(name, rows, _provenance(config, run_id))


def summary(workspace: Workspace, config: CrawlConfig) -> CrawlSummary:
    """Count the crawl's posts by outcome and reason."""
    num_posts = _listings(workspace, config).read(["post_id"]).num_rows
    table = _posts(workspace, config).read(["outcome", "reason"])
    pairs = list(zip(table["outcome"].to_pylist(), table["reason"].to_pylist(), strict=True))
    outcomes = Counter(outcome for outcome, _ in pairs)
    if num_posts > len(pairs):
        outcomes["due"] = num_posts - len(pairs)
    return CrawlSummary(num_posts, dict(outcomes), dict(Counter(pair for pair in pairs if pair[1])))


class _Listing:
    """The listing of one crawl while it is brought up to date.

    A part is a page. Its footer's parent `next` is the cursor where the descent goes on, empty at
    the end: committed with the rows, the two cannot disagree.
    """

    def __init__(self, workspace: Workspace, config: CrawlConfig, run_id: str) -> None:
        self._config = config
        self._site = config.site
        self._run_id = run_id
        self._table = _listings(workspace, config)
        known = self._table.read(["post_id", "position"])
        self._ids = set(known["post_id"].to_pylist())
        positions = known["position"].to_pylist()
        self._num_older = sum(position >= 0 for position in positions)
        self._lowest_position = min([0, *positions])
        older = [key for key in self._table.parts() if "/older-" in key]
        self._num_parts = len(older)
        footer = read_footer(workspace, older[-1]) if older else None
        self._cursor: str | None = (footer["parents"]["next"] or None) if footer else None
        self._at_end = footer is not None and self._cursor is None

    async def update(self) -> int:
        before, resumed = len(self._ids), self._num_parts > 0
        async with _client(self._config) as client:
            while not self._at_end and self._num_older < self._config.limit:
                wanted = self._config.limit - self._num_older
                page = await self._site.older(client, self._config.tags, self._cursor, wanted)
                if page.cursor is not None and page.cursor == self._cursor:
                    logger.warning("%s has more posts but lists none now", self._site.root)
                    break
                self._commit_older(page)
            if resumed:
                await self._add_newer(client)
        added = len(self._ids) - before
        logger.info("crawl: %d posts listed, %d of them new", len(self._ids), added)
        return added

    async def _add_newer(self, client: Client) -> None:
        added, limit = 0, self._config.limit
        while added < limit:
            posts = await self._site.newer(
                client, self._config.tags, frozenset(self._ids), self._cursor, limit - added
            )
            posts = [post for post in posts if post.post_id not in self._ids]
            if not posts:
                return
            first = self._lowest_position - 1
            positions = range(first, first - len(posts), -1)
            # Named by its place: a second writer of the same page writes the same name.
            self._commit(f"newer-{-first:09d}", posts, positions, "")
            self._lowest_position -= len(posts)
            added += len(posts)

    def _commit_older(self, page: Page) -> None:
        posts = [post for post in page.posts if post.post_id not in self._ids]
        if not self._ids and not posts:
            raise SourceRefused(
                f"no post at {self._site.root} is tagged {self._config.tags!r}; check the spelling"
            )
        positions = range(self._num_older, self._num_older + len(posts))
        self._commit(f"older-{self._num_parts:06d}", posts, positions, page.cursor or "")
        self._num_parts += 1
        self._num_older += len(posts)
        self._cursor, self._at_end = page.cursor, page.cursor is None

    def _commit(self, name: str, posts: list[Post], positions: range, cursor: str) -> None:
        rows = [
            ListingRow(
                crawl_id=crawl_id(self._config),
                source=self._site.component,
                query=self._config.tags,
                position=position,
                **_values(post, _POST_FIELDS),
            )
            for post, position in zip(posts, positions, strict=True)
        ]
        self._table.write(name, rows, _provenance(self._config, self._run_id, next=cursor))
        self._ids.update(post.post_id for post in posts)


class _Shard:
    """The posts of one shard while they are settled."""

    def __init__(
        self, workspace: Workspace, config: CrawlConfig, run_id: str, attempts: dict[str, int]
    ) -> None:
        self._config = config
        self._site = config.site
        self._run_id = run_id
        self._attempts = attempts
        self._originals = Originals(workspace)
        self._known = {} if self._site.IS_LOCAL else _fetched_before(workspace, config, attempts)
        self._turned_away = 0  # posts in a row
        self._any_answer = False

    async def settle(self, listed: list[ListingRow]) -> list[PostRow]:
        """One row per post, in their order."""
        rows: dict[str, PostRow] = {}
        waiting = iter(listed)
        async with _client(self._config) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(_CONCURRENCY, len(listed))):
                        group.create_task(self._work(client, waiting, rows))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors
        return [rows[row.post_id] for row in listed]

    async def _work(
        self, client: Client, waiting: Iterator[ListingRow], rows: dict[str, PostRow]
    ) -> None:
        for row in waiting:
            rows[row.post_id] = self._without_asking(row) or await self._download(client, row)

    def _without_asking(self, row: ListingRow) -> PostRow | None:
        if row.file_url is None:
            return self._row(row, outcome="failed", reason="ghost")
        if row.rating not in self._config.ratings:
            return self._row(row, outcome="skipped", reason="rating")
        if _extension(row.file_url) in _NO_IMAGES:
            return self._row(row, outcome="skipped", reason="extension")
        known = self._known.get((row.post_id, row.file_url, row.site_md5))
        if known and self._originals.has(known.image_id):
            num_bytes, image_id = known.num_bytes, known.image_id
            return self._row(row, outcome="known", num_bytes=num_bytes, image_id=image_id)
        return None

    async def _download(self, client: Client, row: ListingRow) -> PostRow:
        post = Post(**_values(row, _POST_FIELDS))
        max_bytes = self._config.max_bytes
        try:
            received = await self._site.fetch(client, post, max_bytes)
            problem = problem_of(received, post)
            if problem == "md5_mismatch":
                # The file may have been replaced since it was listed, or damaged on its way.
                post = await self._site.again(client, post)
                received = await self._site.fetch(client, post, max_bytes)
                problem = problem_of(received, post)
        except SourceError as error:
            return self._failed(row, error)
        self._note(received)
        row = dataclasses.replace(row, **_values(post, _POST_FIELDS))
        facts = {"http_status": received.status, "num_bytes": len(received.content)}
        if problem:
            return self._row(row, outcome="failed", reason=problem, **facts)
        image_id = await asyncio.to_thread(self._originals.put, received.content)
        return self._row(row, outcome="fetched", image_id=image_id, **facts)

    def _failed(self, row: ListingRow, error: SourceError) -> PostRow:
        """The row of a post that got no answer.

        Raises:
            SourceError: this one, if it is not about the post but about the whole site.
        """
        if isinstance(error, AddressRefused):
            return self._row(row, outcome="failed", reason="address_refused")
        if not isinstance(error, SourceUnavailable):
            raise error
        self._turned_away += 1
        if self._turned_away >= _OUTAGE:
            raise error
        if isinstance(error, CannotConnect) and not self._any_answer and self._is_at_root(row):
            raise error
        logger.warning("post %s: %s", row.post_id, error)
        status = error.status if isinstance(error, HostBusy) else None
        # After some runs it is taken as settled, or a dead file would be asked for for ever.
        transient = self._attempts[row.post_id] < _TRIES
        return self._row(
            row, outcome="failed", reason="unavailable", transient=transient, http_status=status
        )

    def _is_at_root(self, row: ListingRow) -> bool:
        # Of a name that one post alone has made up, nothing follows for the site.
        return host_of(row.file_url or "") == host_of(self._site.root)

    def _note(self, received: Received) -> None:
        self._any_answer = True
        self._turned_away = self._turned_away + 1 if received.status in (401, 403) else 0
        if self._turned_away >= _OUTAGE:
            raise SourceRefused(
                f"{self._site.root} answers {received.status} to {_OUTAGE} files in a row: "
                "it turns this client away; wait, set the crawl's user, or ask the site"
            )

    def _row(self, row: ListingRow, *, outcome: str, **facts: Any) -> PostRow:
        asked_for_nothing = {"reason": None, "http_status": None, "num_bytes": None}
        return PostRow(
            **_values(row, _LISTING_FIELDS),
            **{**asked_for_nothing, "transient": False, "image_id": None, **facts},
            outcome=outcome,
            attempt=self._attempts[row.post_id],
            fetched_at=datetime.now(UTC) if outcome == "fetched" else None,
            run_id=self._run_id,
        )


@dataclass(frozen=True, slots=True)
class _Known:
    image_id: str
    num_bytes: int | None


def _fetched_before(
    workspace: Workspace, config: CrawlConfig, post_ids: Collection[str]
) -> dict[tuple[str, str, str | None], _Known]:
    """What other crawls have fetched of these posts, by id, URL and MD5.

    The URL keeps two sites of one kind apart, the MD5 tells a file that was replaced.
    """
    own = _posts(workspace, config).folder
    if all(key.startswith(own) for key in Table(workspace, PostRow).parts()):
        return {}
    columns = ["post_id", "file_url", "site_md5", "outcome", "image_id", "num_bytes", "source"]
    table = Table(workspace, PostRow).read(columns)
    wanted = pc.is_in(table["post_id"], value_set=pa.array(list(post_ids), pa.string()))
    same = pc.equal(table["source"], config.site.component)
    table = table.filter(pc.and_(pc.and_(wanted, same), pc.equal(table["outcome"], "fetched")))
    return {
        (row["post_id"], row["file_url"], row["site_md5"]): _Known(
            row["image_id"], row["num_bytes"]
        )
        for row in table.to_pylist()
    }


def _listings(workspace: Workspace, config: CrawlConfig) -> Table[ListingRow]:
    return Table(workspace, ListingRow, crawl_id(config))


def _posts(workspace: Workspace, config: CrawlConfig) -> Table[PostRow]:
    return Table(workspace, PostRow, crawl_id(config))


def _settled(posts: pa.Table) -> set[str]:
    return set(posts.filter(pc.invert(posts["transient"]))["post_id"].to_pylist())


def _rows_of(table: Table[ListingRow], post_ids: Sequence[str]) -> dict[str, ListingRow]:
    """Rows of these posts, in the order given; posts that are not listed are left out."""
    everything = table.read()
    wanted = pc.is_in(everything["post_id"], value_set=pa.array(list(post_ids), pa.string()))
    found = {row.post_id: row for row in from_arrow(table.row, everything.filter(wanted))}
    return {post_id: found[post_id] for post_id in post_ids if post_id in found}


def _provenance(config: CrawlConfig, run_id: str, **parents: str) -> Provenance:
    return Provenance(
        stage="crawl", revision=REVISION, config=config, run_id=run_id, parents=parents
    )


def _values(item: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _storable(getattr(item, name)) for name in names}


def _storable(value: Any) -> Any:
    """Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes a question mark."""
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _extension(url: str) -> str:
    try:
        return PurePosixPath(urlsplit(url).path).suffix.lower()
    except ValueError:
        return ""


def _client(config: CrawlConfig) -> Client:
    return Client(config.site.FACTS, config.site.root, config.user)


def _run_async(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end, from any thread, also from one whose event loop is running (notebooks)."""
    result: Future[ResultT] = Future()

    def run_apart() -> None:
        try:
            result.set_result(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            result.set_exception(error)

    if not _has_running_loop():
        return asyncio.run(work)
    threading.Thread(target=run_apart, name="crawl").start()
    return result.result()


def _has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
