"""Shards: posts that are settled side by side and committed together."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import chain

from ganime.rows import ListingRow, PostRow
from ganime.sources import Source
from ganime.sources.client import Client
from ganime.sources.concurrently import run_all
from ganime.sources.coordinator import Coordinator
from ganime.sources.earlier import Key, key_of
from ganime.sources.settled import Settled
from ganime.sources.settling import Before, Settler, Terms
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace


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


@dataclass(frozen=True, slots=True)
class SettledShard:
    """What came of a shard.

    Attributes:
        posts: In the shard's order.
        notes: Names of its entries in the journal, to be forgotten once it is committed.
    """

    posts: list[Settled]
    notes: list[str]


def settle_shard(
    workspace: Workspace,
    coordinator: Coordinator,
    shard: Shard,
    terms: Terms,
    sites: Collection[Source],
    open_client: Callable[[Source], AbstractAsyncContextManager[Client]],
    on_settled: Callable[[PostRow], None],
) -> SettledShard:
    """Bring home the originals of a shard, the sites side by side.

    They are gathered in groups that are flushed to the disk together; each is in its place when
    this returns.

    Args:
        workspace: Where originals go.
        coordinator: Of the workspace.
        shard: The posts.
        terms: The rules.
        sites: All that the posts come from.
        open_client: Opens the client of a site.
        on_settled: Called with each post as it is settled.

    Raises:
        SourceUnavailable: a site is down; what was settled is in the journal.
        SourceRefused: it turns this client away.
    """
    originals = Originals(workspace, coordinator.spool() if workspace.is_local else None)
    notes: list[str] = []

    async def settle_site(site: Source) -> list[Settled]:
        name = site.component
        rows = [row for row in shard.rows if row.source == name]
        before = {key[1]: item for key, item in shard.before.items() if key[0] == name}
        async with open_client(site) as client:
            settler = Settler(
                *(site, client, originals, coordinator, terms, before), on_settled=on_settled
            )
            notes.extend(map(settler.note_key, rows))
            return await settler.settle(rows)

    with coordinator.noting_after(originals.commit):
        found = run_all([settle_site(site) for site in sites])
        originals.commit()
    settled = {key_of(item.post): item for item in chain(*found)}
    return SettledShard([settled[key_of(row)] for row in shard.rows], notes)
