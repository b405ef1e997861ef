"""Crawl: from tags to posts, from posts to originals; every post ends with one outcome.

Three steps, each of which carries on after a kill: `list_posts` brings the listings up to date,
`plan` names the posts that have no outcome yet, `fetch` settles a shard of them.
"""

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Annotated, Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from ganime.config import Config, digest_of
from ganime.errors import ConfigError
from ganime.rows import AttemptRow, ListingRow, PostRow
from ganime.sources import SOURCES, Source
from ganime.sources.client import Client
from ganime.sources.coordinator import Coordinator
from ganime.sources.listing import Listing, Origin, Query, listing_table
from ganime.sources.safebooru import Safebooru
from ganime.sources.settling import Before, Settled, Settler, Terms
from ganime.store.manifest import Manifest, Table, read_part
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

logger = logging.getLogger(__name__)

REVISION = 2  # raise it whenever rows change: old listings are still read

OUTCOMES = ("fetched", "known", "skipped", "failed", "due")
_POLL_S = 0.2  # while another process lists or fetches what we want
ResultT = TypeVar("ResultT")
Rating = Literal["general", "sensitive", "questionable", "explicit", "unknown"]
Key = tuple[str, str]  # source, post_id
Credentials = Mapping[str, Mapping[str, str]]  # by source, by name


class QueryConfig(Config):
    """One more query of a crawl."""

    tags: str = Field(description="As at the site, separated by spaces.")
    source: SOURCES.field() | None = Field(  # type: ignore[valid-type]
        None, description="Where to ask; the crawl's own source if not given."
    )


class CrawlConfig(Config):
    """What to fetch, and from where."""

    source: SOURCES.field() = Safebooru()  # type: ignore[valid-type]
    tags: str = Field("", description="As at the site, separated by spaces.")
    queries: tuple[QueryConfig, ...] = Field(
        (), description="More queries, there or elsewhere; a post that two of them find is one."
    )
    limit: int = Field(1000, ge=1, description="Posts listed at most per query, newest first.")
    ratings: tuple[Rating, ...] = Field(
        ("general", "unknown"), min_length=1, description="Posts of other ratings are skipped."
    )
    shard_size: int = Field(100, ge=1, le=10_000, description="Posts that are committed together.")
    max_bytes: int = Field(50_000_000, ge=1, description="Longer files are not fetched [bytes].")
    user: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9 _.@+/:-]*$")] = Field(
        "", description="Named to the site: your account there, or how to reach you."
    )
    sweep_days: float = Field(
        7.0, ge=0, description="Everything listed is asked for again so often [days]; 0: never."
    )
    obey_robots: bool = Field(True, description="Whether robots.txt and noai headers count.")
    rehearse: bool = Field(
        False, description="Keep to budgets and robots.txt on this machine's own servers as well."
    )

    @model_validator(mode="after")
    def _one_site_of_a_kind(self) -> "CrawlConfig":
        sites: dict[str, Source] = {}
        for query in self.all_queries:
            name = query.source.component
            if sites.setdefault(name, query.source) != query.source:
                raise ValueError(
                    f"two different {name} sources in one crawl, {sites[name].root} and "
                    f"{query.source.root}: give the second a crawl of its own"
                )
        return self

    @property
    def all_queries(self) -> list[Query]:
        """Every query once, in order."""
        own = [Query(self.source, self.tags)] if self.tags or not self.queries else []
        more = [Query(query.source or self.source, query.tags) for query in self.queries]
        return list({query.query_id: query for query in own + more}.values())

    @property
    def sites(self) -> dict[str, Source]:
        """The sources asked, by name."""
        return {query.source.component: query.source for query in self.all_queries}


@dataclass(frozen=True, slots=True)
class Shard:
    """Posts that are settled and committed together.

    Attributes:
        rows: As listed.
        before: What came of them earlier, by source and id.
        num_parts_elsewhere: Parts of other crawls when that was looked up.
    """

    rows: list[ListingRow]
    before: dict[Key, Before]
    num_parts_elsewhere: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlEvent:
    """Something that happened, for those who watch.

    Attributes:
        source: Where.
        num_listed: Posts that were listed.
        post: A post that was settled.
    """

    source: str
    num_listed: int = 0
    post: PostRow | None = None


Watcher = Callable[[CrawlEvent], None]


@dataclass(frozen=True, slots=True)
class CrawlSummary:
    """Where the posts of a crawl stand.

    Attributes:
        num_posts: Posts listed.
        outcomes: Posts by outcome; `due` are those without one.
        reasons: Posts by outcome and reason, for skipped and failed.
        num_bytes: Length of all that was fetched.
    """

    num_posts: int
    outcomes: dict[str, int]
    reasons: dict[tuple[str, str], int]
    num_bytes: int = 0

    def describe(self, title: str = "crawl") -> str:
        """One countable line."""
        parts = [f"{title}: {self.num_posts} posts"]
        for outcome in OUTCOMES:
            if count := self.outcomes.get(outcome, 0):
                why = [
                    f"{reason} {number}"
                    for (of, reason), number in sorted(self.reasons.items())
                    if of == outcome
                ]
                parts.append(f"{count} {outcome}" + (f" ({', '.join(why)})" if why else ""))
        return ", ".join(parts)


def crawl_id(config: CrawlConfig) -> str:
    """Name of the crawl's tables: same queries and rules in any order, same crawl."""
    queries = sorted(query.query_id for query in config.all_queries)
    rules = [*sorted(set(config.ratings)), *([] if config.obey_robots else ["disobeying robots"])]
    return digest_of(*queries, " ".join(rules))


def check(config: CrawlConfig, credentials: Credentials | None = None) -> None:
    """Refuse what cannot work before anything is asked.

    Raises:
        ConfigError: a query that the source cannot answer, no user where the site wants one, or no
            credentials.
    """
    for query in config.all_queries:
        query.source.check(query.tags)
    for name, site in config.sites.items():
        if site.FACTS.needs_user and not config.user:
            raise ConfigError(
                f"{name} wants to know its users: set crawl.user to your account's name there"
            )
        missing = set(site.FACTS.credentials) - set((credentials or {}).get(name, {}))
        if site.FACTS.needs_credentials and missing:
            wanted = ", ".join(f"GANIME_{name}_{item}".upper() for item in site.FACTS.credentials)
            blocks = ", ".join(
                f"{name}-{item}".replace("_", "-") for item in site.FACTS.credentials
            )
            raise ConfigError(
                f"{name} answers only to those with credentials, and {', '.join(sorted(missing))} "
                f"is missing: set the environment variables {wanted}, or make the Prefect Secret "
                f"blocks {blocks}"
            )


def run(
    workspace: Workspace,
    config: CrawlConfig,
    run_id: str,
    *,
    credentials: Credentials | None = None,
    watch: Watcher | None = None,
) -> CrawlSummary:
    """List, then fetch all that is due; the same call carries on after an interruption."""
    list_posts(workspace, config, run_id, credentials=credentials, watch=watch)
    for shard in plan(workspace, config):
        fetch(workspace, config, shard, run_id, credentials=credentials, watch=watch)
    result = summary(workspace, config)
    logger.info("%s", result.describe())
    return result


def list_posts(
    workspace: Workspace,
    config: CrawlConfig,
    run_id: str,
    *,
    credentials: Credentials | None = None,
    watch: Watcher | None = None,
) -> int:
    """Bring the listings of all queries up to date, sites side by side.

    The first time a listing goes down from the newest post to the limit or the end; cut off, it
    goes on where it was. Then it asks for what is new, which costs one call if nothing is. Every
    `sweep_days` it asks for everything once more, to learn what changed. Each page is committed as
    it comes.

    Returns:
        How many posts were added.

    Raises:
        ConfigError: a source cannot answer such a query.
        SourceUnavailable: a site does not answer.
        SourceRefused: it refuses, or no post has these tags.
    """
    check(config, credentials)
    origin = _origin(config, run_id)

    async def list_site(name: str, site: Source) -> int:
        added = 0
        async with _client(workspace, config, site, credentials) as client:
            for query in config.all_queries:
                if query.source == site:
                    added += await _list_query(workspace, config, query, client, origin, watch)
        logger.info("crawl: %d new posts listed at %s", added, name)
        return added

    added = sum(_run_async(_all_of([list_site(*item) for item in config.sites.items()])))
    _remember(workspace, config)
    return added


def plan(workspace: Workspace, config: CrawlConfig) -> list[Shard]:
    """Posts without an outcome, or whose failure may heal, or that changed since, in shards.

    The sites take turns within a shard, so that their budgets are spent side by side.
    """
    own = _before(_posts(workspace, config), is_own=True)
    settled = {key for key, (_, before) in own.items() if before.is_settled}
    due: dict[str, list[ListingRow]] = {}
    taken: set[Key] = set()
    for query in config.all_queries:
        rows = listing_table(workspace, query).rows()
        for row in sorted(rows, key=lambda row: row.position):
            key = (row.source, row.post_id)
            as_settled = key in settled and own[key][0] >= row.version
            if key not in taken and not as_settled:
                due.setdefault(row.source, []).append(row)
            taken.add(key)
    ordered = [row for turn in zip_longest(*due.values()) for row in turn if row is not None]
    num_parts = len(_parts_elsewhere(workspace, config))
    before = _known_elsewhere(workspace, config, {(row.source, row.post_id) for row in ordered})
    before |= {key: item for key, (_, item) in own.items()}
    return [
        Shard(rows, {key: before[key] for row in rows if (key := _key(row)) in before}, num_parts)
        for start in range(0, len(ordered), config.shard_size)
        if (rows := ordered[start : start + config.shard_size])
    ]


def fetch(
    workspace: Workspace,
    config: CrawlConfig,
    shard: Shard,
    run_id: str,
    *,
    credentials: Credentials | None = None,
    watch: Watcher | None = None,
) -> list[Manifest]:
    """Settle the posts of one shard: one row each, committed together.

    Posts that were settled since they were planned are left alone, so repeating a shard is
    harmless; posts that another process is fetching are waited for, not fetched twice.

    Returns:
        What was committed: usually one part, none if nothing was left to do.

    Raises:
        SourceUnavailable: a site is down; what was settled before is not asked for again.
        SourceRefused: it turns this client away.
    """
    committed = []
    waiting = {_claim(config, row): row for row in shard.rows}
    while waiting:
        with _coordinator(workspace).claiming(list(waiting)) as ours:
            rows = _still_due(workspace, config, [waiting[name] for name in ours])
            if rows:
                before = shard.before
                if len(_parts_elsewhere(workspace, config)) != shard.num_parts_elsewhere:
                    keys = {_key(row) for row in rows}
                    before = {**_known_elsewhere(workspace, config, keys), **before}
                part = Shard(rows, before)
                committed.append(_settle(workspace, config, part, run_id, credentials, watch))
        waiting = {name: row for name, row in waiting.items() if name not in ours}
        if not ours:
            time.sleep(_POLL_S)
    return committed


def summary(workspace: Workspace, config: CrawlConfig) -> CrawlSummary:
    """Count the crawl's posts by outcome and reason."""
    return _summarise(*_counted(workspace, config))


def summaries(workspace: Workspace, config: CrawlConfig) -> dict[str, CrawlSummary]:
    """The same, site by site."""
    listed, posts = _counted(workspace, config)
    return {
        name: _summarise(
            {key for key in listed if key[0] == name}, posts.filter(pc.equal(posts["source"], name))
        )
        for name in config.sites
    }


def _settle(
    workspace: Workspace,
    config: CrawlConfig,
    shard: Shard,
    run_id: str,
    credentials: Credentials | None,
    watch: Watcher | None,
) -> Manifest:
    coordinator = _coordinator(workspace)
    terms = Terms(
        crawl_id=crawl_id(config),
        run_id=run_id,
        ratings=config.ratings,
        max_bytes=config.max_bytes,
    )
    notes: list[str] = []

    def on_settled(post: PostRow) -> None:
        if watch:
            watch(CrawlEvent(source=post.source, post=post))

    async def settle_site(name: str, site: Source) -> list[Settled]:
        rows = [row for row in shard.rows if row.source == name]
        before = {key[1]: item for key, item in shard.before.items() if key[0] == name}
        async with _client(workspace, config, site, credentials) as client:
            settler = Settler(
                *(site, client, Originals(workspace), coordinator, terms, before),
                on_settled=on_settled,
            )
            notes.extend(map(settler.note_key, rows))
            return await settler.settle(rows)

    found = _run_async(_all_of([settle_site(*item) for item in config.sites.items()]))
    settled = {_key(item.post): item for item in chain(*found)}
    rows = [settled[_key(row)].post for row in shard.rows]
    attempts = [attempt for row in shard.rows for attempt in settled[_key(row)].attempts]
    name = digest_of(*(f"{row.source}:{row.post_id}:{row.attempt}" for row in rows))
    provenance = _origin(config, run_id).provenance()
    # The requests first: rows without them would never be asked about again.
    if attempts:
        Table(workspace, AttemptRow, crawl_id(config)).write(name, attempts, provenance)
    committed = _posts(workspace, config).write(name, rows, provenance)
    coordinator.forget(crawl_id(config), notes)
    return committed


async def _list_query(
    workspace: Workspace,
    config: CrawlConfig,
    query: Query,
    client: Client,
    origin: Origin,
    watch: Watcher | None,
) -> int:
    name = query.source.component

    def on_listed(count: int) -> None:
        _remember(workspace, config)  # with the first page, should the rest not come
        if watch:
            watch(CrawlEvent(source=name, num_listed=count))

    claim = f"list {query.query_id}"
    while True:
        with _coordinator(workspace).claiming([claim]) as ours:
            if ours:
                listing = Listing(workspace, query, config.limit, origin, on_listed)
                added = await listing.update(client)
                if listing.needs_sweep(timedelta(days=config.sweep_days)):
                    added += await listing.sweep(client)
                return added
        await asyncio.sleep(_POLL_S)


def _remember(workspace: Workspace, config: CrawlConfig) -> None:
    """Write down which queries the crawl is made of, for those who only know its id."""
    queries = [
        {
            "query_id": query.query_id,
            "source": query.source.component,
            "root": query.source.root,
            "tags": query.tags,
        }
        for query in config.all_queries
    ]
    said = {"queries": queries, "ratings": sorted(config.ratings)}
    key = f"manifests/crawls/{crawl_id(config)}.json"
    if not workspace.exists(key):
        workspace.write_text(key, json.dumps(said, indent=2) + "\n")


_BEFORE = ("attempt", "outcome", "reason", "transient", "http_status", "num_bytes", "image_id")
_BEFORE_COLUMNS = (*_BEFORE, "fetched_at", "file_url", "site_md5")


def _before(table: Table[PostRow], *, is_own: bool) -> dict[Key, tuple[int, Before]]:
    """What a posts table knows, with the version of the post it was about."""
    read = table.read(["source", "post_id", "version", *_BEFORE_COLUMNS])
    return {
        (row["source"], row["post_id"]): (row["version"], _one_before(row, is_own=is_own))
        for row in read.to_pylist()
    }


def _one_before(row: Mapping[str, Any], *, is_own: bool) -> Before:
    values = {name: row[name] for name in _BEFORE_COLUMNS}
    return Before(is_own=is_own, **{**values, "attempt": row["attempt"] if is_own else 0})


def _known_elsewhere(
    workspace: Workspace, config: CrawlConfig, wanted: Collection[Key]
) -> dict[Key, Before]:
    """What other crawls have settled of these posts."""
    if not wanted or not _parts_elsewhere(workspace, config):
        return {}
    table = Table(workspace, PostRow)
    columns = ["source", "post_id", "crawl_id", *_BEFORE_COLUMNS]
    read = table.read(columns)
    ids = pa.array({post_id for _, post_id in wanted}, pa.string())
    remote = [name for name, site in config.sites.items() if not site.IS_LOCAL]
    chosen = pc.and_(
        pc.is_in(read["post_id"], value_set=ids),
        pc.is_in(read["source"], value_set=pa.array(remote, pa.string())),
    )
    settled = pc.and_(pc.invert(read["transient"]), pc.not_equal(read["outcome"], "skipped"))
    return {
        (row["source"], row["post_id"]): _one_before(row, is_own=False)
        for row in read.filter(pc.and_(chosen, settled)).to_pylist()
        if (row["source"], row["post_id"]) in wanted
    }


def _parts_elsewhere(workspace: Workspace, config: CrawlConfig) -> list[str]:
    own = f"{_posts(workspace, config).folder}/"
    return [key for key in Table(workspace, PostRow).parts() if not key.startswith(own)]


def _still_due(
    workspace: Workspace, config: CrawlConfig, rows: Sequence[ListingRow]
) -> list[ListingRow]:
    """Those of the posts that nobody has settled in this crawl by now, in the listing's order."""
    keys = _posts(workspace, config).parts()
    settled = [_settled_in(workspace.url, key) for key in keys]
    due = [row for row in rows if not any((*_key(row), row.version) in part for part in settled)]
    return sorted(due, key=lambda row: (row.position, row.source))


@lru_cache(maxsize=20_000)
def _settled_in(url: str, key: str) -> frozenset[tuple[str, str, int]]:
    """Source, id and version of the posts that one part settled; parts never change."""
    columns = ["source", "post_id", "version", "transient"]
    part = read_part(Workspace(url), key, PostRow, columns)
    part = part.filter(pc.invert(part["transient"]))
    return frozenset(zip(*(part[name].to_pylist() for name in columns[:3]), strict=True))


def _counted(workspace: Workspace, config: CrawlConfig) -> tuple[set[Key], pa.Table]:
    listed: set[Key] = set()
    for query in config.all_queries:
        table = listing_table(workspace, query).read(["source", "post_id"])
        listed |= set(zip(table["source"].to_pylist(), table["post_id"].to_pylist(), strict=True))
    columns = ["source", "post_id", "outcome", "reason", "num_bytes"]
    return listed, _posts(workspace, config).read(columns)


def _summarise(listed: Collection[Key], posts: pa.Table) -> CrawlSummary:
    pairs = list(zip(posts["outcome"].to_pylist(), posts["reason"].to_pylist(), strict=True))
    outcomes = Counter(outcome for outcome, _ in pairs)
    if len(listed) > len(pairs):
        outcomes["due"] = len(listed) - len(pairs)
    fetched = posts.filter(pc.equal(posts["outcome"], "fetched"))
    return CrawlSummary(
        num_posts=len(listed),
        outcomes=dict(outcomes),
        reasons=dict(Counter(pair for pair in pairs if pair[1])),
        num_bytes=pc.sum(fetched["num_bytes"]).as_py() or 0,
    )


def _posts(workspace: Workspace, config: CrawlConfig) -> Table[PostRow]:
    return Table(workspace, PostRow, crawl_id(config))


def _origin(config: CrawlConfig, run_id: str) -> Origin:
    return Origin("crawl", REVISION, config, run_id)


def _key(row: ListingRow | PostRow) -> Key:
    return row.source, row.post_id


def _claim(config: CrawlConfig, row: ListingRow) -> str:
    return f"fetch {config.sites[row.source].root} {row.post_id}"


def _coordinator(workspace: Workspace) -> Coordinator:
    return Coordinator.at(workspace.shared_folder("crawl"))


def _client(
    workspace: Workspace, config: CrawlConfig, site: Source, credentials: Credentials | None
) -> Client:
    return Client(
        site.FACTS,
        site.root,
        config.user,
        credentials=(credentials or {}).get(site.component),
        coordinator=_coordinator(workspace),
        rehearse=config.rehearse,
        obey_robots=config.obey_robots,
    )


async def _all_of(work: Sequence[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """All side by side; the others are finished before the first error is raised."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


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
