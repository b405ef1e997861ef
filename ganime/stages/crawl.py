"""Crawl: from tags to posts, from posts to originals; every post ends with one outcome.

Three steps, each of which carries on after a kill: `list_posts` brings the listings up to date,
`plan` names the posts that have no outcome yet, `fetch` settles a shard of them.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest

import pyarrow as pa
import pyarrow.compute as pc

from ganime.config import digest_of
from ganime.rows import AttemptRow, ListingRow, PostRow
from ganime.sources import Source
from ganime.sources.client import Client
from ganime.sources.concurrently import run_all
from ganime.sources.coordinator import Coordinator
from ganime.sources.earlier import (
    OWN,
    Key,
    before_of,
    due_in,
    key_of,
    known_elsewhere,
    names_of,
    parts_elsewhere,
    still_due,
)
from ganime.sources.listing import Listing, Origin, Query, listing_table
from ganime.sources.settling import Before, Terms
from ganime.sources.shards import Shard, settle_shard
from ganime.sources.summary import OUTCOMES, CrawlSummary, summarise
from ganime.stages.crawl_config import (
    CrawlConfig,
    Credentials,
    QueryConfig,
    check,
    crawl_id,
    read_crawl,
)
from ganime.store.manifest import Manifest, Table
from ganime.store.workspace import Workspace

__all__ = [
    "OUTCOMES",
    "CrawlConfig",
    "CrawlEvent",
    "CrawlSummary",
    "Credentials",
    "QueryConfig",
    "Shard",
    "check",
    "crawl_id",
    "fetch",
    "list_posts",
    "plan",
    "read_crawl",
    "run",
    "summaries",
    "summary",
]

logger = logging.getLogger(__name__)

REVISION = 2  # raise it whenever rows change: old listings are still read

_POLL_S = 0.2  # while another process lists or fetches what we want


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

    added = sum(run_all([list_site(*item) for item in config.sites.items()]))
    _remember(workspace, config)
    return added


def plan(workspace: Workspace, config: CrawlConfig) -> list[Shard]:
    """Posts without an outcome, or whose failure may heal, or that changed since, in shards.

    The sites take turns within a shard, so that their budgets are spent side by side.
    """
    posts = _posts(workspace, config)
    own = posts.read(OWN)
    due: dict[str, list[ListingRow]] = {}
    taken = pa.array([], pa.string())
    for query in config.all_queries:
        listing = listing_table(workspace, query)
        for row in due_in(listing, own, taken):
            due.setdefault(row.source, []).append(row)
        if len(config.all_queries) > 1:
            names = names_of(listing.read(["source", "post_id"]))
            taken = pa.concat_arrays([taken, names])
    ordered = [row for turn in zip_longest(*due.values()) for row in turn if row is not None]
    keys = {key_of(row) for row in ordered}
    num_parts = len(parts_elsewhere(posts))
    before = _known_elsewhere(workspace, config, keys) | before_of(posts, keys)
    return [
        Shard(rows, {key: before[key] for row in rows if (key := key_of(row)) in before}, num_parts)
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
    roots = {name: site.root for name, site in config.sites.items()}
    waiting = {f"fetch {roots[row.source]} {row.post_id}": row for row in shard.rows}
    while waiting:
        with _coordinator(workspace).claiming(list(waiting)) as ours:
            rows = still_due(_posts(workspace, config), [waiting[name] for name in ours])
            if rows:
                before = shard.before
                if len(parts_elsewhere(_posts(workspace, config))) != shard.num_parts_elsewhere:
                    keys = {key_of(row) for row in rows}
                    before = {**_known_elsewhere(workspace, config, keys), **before}
                part = Shard(rows, before)
                committed.append(_settle(workspace, config, part, run_id, credentials, watch))
        waiting = {name: row for name, row in waiting.items() if name not in ours}
        if not ours:
            time.sleep(_POLL_S)
    return committed


def summary(workspace: Workspace, config: CrawlConfig) -> CrawlSummary:
    """Count the crawl's posts by outcome and reason."""
    listed, posts = _counted(workspace, config)
    return summarise(len(listed), posts)


def summaries(workspace: Workspace, config: CrawlConfig) -> dict[str, CrawlSummary]:
    """The same, site by site."""
    listed, posts = _counted(workspace, config)
    return {
        name: summarise(
            sum(source == name for source, _ in listed),
            posts.filter(pc.equal(posts["source"], name)),
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
    def on_settled(post: PostRow) -> None:
        if watch:
            watch(CrawlEvent(source=post.source, post=post))

    coordinator = _coordinator(workspace)
    terms = Terms(
        crawl_id=crawl_id(config),
        run_id=run_id,
        ratings=config.ratings,
        max_bytes=config.max_bytes,
    )
    settled = settle_shard(
        *(workspace, coordinator, shard, terms, config.sites.values()),
        lambda site: _client(workspace, config, site, credentials),
        on_settled,
    )
    rows = [item.post for item in settled.posts]
    attempts = [attempt for item in settled.posts for attempt in item.attempts]
    name = digest_of(*(f"{row.source}:{row.post_id}:{row.attempt}" for row in rows))
    provenance = _origin(config, run_id).provenance()
    # The requests first: rows without them would never be asked about again.
    if attempts:
        Table(workspace, AttemptRow, crawl_id(config)).write(name, attempts, provenance)
    committed = _posts(workspace, config).write(name, rows, provenance)
    coordinator.forget(crawl_id(config), settled.notes)
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


def _known_elsewhere(
    workspace: Workspace, config: CrawlConfig, wanted: Collection[Key]
) -> dict[Key, Before]:
    remote = [name for name, site in config.sites.items() if not site.IS_LOCAL]
    return known_elsewhere(_posts(workspace, config), remote, wanted)


def _counted(workspace: Workspace, config: CrawlConfig) -> tuple[set[Key], pa.Table]:
    listed: set[Key] = set()
    for query in config.all_queries:
        table = listing_table(workspace, query).read(["source", "post_id"])
        listed |= set(zip(table["source"].to_pylist(), table["post_id"].to_pylist(), strict=True))
    columns = ["source", "post_id", "outcome", "reason", "num_bytes"]
    return listed, _posts(workspace, config).read(columns)


def _posts(workspace: Workspace, config: CrawlConfig) -> Table[PostRow]:
    return Table(workspace, PostRow, crawl_id(config))


def _origin(config: CrawlConfig, run_id: str) -> Origin:
    return Origin("crawl", REVISION, config, run_id)


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
