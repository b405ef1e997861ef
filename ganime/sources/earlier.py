"""What came of posts earlier: in this crawl, in other crawls, in other processes meanwhile."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ganime.rows import ListingRow, PostRow
from ganime.sources.settling import Before
from ganime.store.manifest import Table, from_arrow, read_part
from ganime.store.workspace import Workspace

Key = tuple[str, str]  # source, post_id
OWN = ("source", "post_id", "version", "transient")
_BEFORE = ("attempt", "outcome", "reason", "transient", "http_status", "num_bytes", "image_id")
_BEFORE_COLUMNS = (*_BEFORE, "fetched_at", "file_url", "site_md5")


def due_in(listing: Table[ListingRow], own: pa.Table, taken: pa.Array) -> list[ListingRow]:
    """Posts of a listing without an outcome, or whose failure may heal, or that changed since.

    Asked of columns: a run that finds nothing new asks it of everything that was ever listed.

    Args:
        listing: Of one query.
        own: Columns `OWN` of the crawl's posts.
        taken: Names, as `names_of`, of the posts of earlier queries, which are theirs.

    Returns:
        In the order of the site.
    """
    keys = listing.read(["source", "post_id", "version"])
    if not pc.any(_is_due(keys, own, taken)).as_py():
        return []
    read = listing.read()  # a process that lists meanwhile may have added some
    rows = from_arrow(ListingRow, read.filter(_is_due(read, own, taken)))
    return sorted(rows, key=lambda row: row.position)


def _is_due(listing: pa.Table, own: pa.Table, taken: pa.Array) -> pa.ChunkedArray:
    names = names_of(listing)
    settled = own.filter(pc.invert(own["transient"]))
    place = pc.index_in(names, value_set=names_of(settled))
    version = settled["version"].take(place)  # null where nothing is settled
    as_settled = pc.fill_null(pc.greater_equal(version, listing["version"]), fill_value=False)
    return pc.and_not(pc.invert(as_settled), pc.is_in(names, value_set=taken))


def names_of(posts: pa.Table) -> pa.Array:
    """One text for the source and the id of each post."""
    joined = pc.binary_join_element_wise(posts["source"], posts["post_id"], "\x1f")
    return joined.combine_chunks()


def before_of(table: Table[PostRow], wanted: Collection[Key]) -> dict[Key, Before]:
    """What this crawl's table knows of some posts."""
    if not wanted:
        return {}
    read = table.read(["source", "post_id", *_BEFORE_COLUMNS])
    ids = pa.array({post_id for _, post_id in wanted}, pa.string())
    return {
        (row["source"], row["post_id"]): _one_before(row, is_own=True)
        for row in read.filter(pc.is_in(read["post_id"], value_set=ids)).to_pylist()
    }


def _one_before(row: Mapping[str, Any], *, is_own: bool) -> Before:
    values = {name: row[name] for name in _BEFORE_COLUMNS}
    return Before(is_own=is_own, **{**values, "attempt": row["attempt"] if is_own else 0})


def known_elsewhere(
    table: Table[PostRow], sites: Collection[str], wanted: Collection[Key]
) -> dict[Key, Before]:
    """What other crawls have settled of these posts.

    Args:
        table: Of this crawl.
        sites: Sources whose posts are the same wherever they are listed.
        wanted: The posts.
    """
    if not wanted or not parts_elsewhere(table):
        return {}
    read = Table(table.workspace, PostRow).read(["source", "post_id", "crawl_id", *_BEFORE_COLUMNS])
    ids = pa.array({post_id for _, post_id in wanted}, pa.string())
    chosen = pc.and_(
        pc.is_in(read["post_id"], value_set=ids),
        pc.is_in(read["source"], value_set=pa.array(sites, pa.string())),
    )
    settled = pc.and_(pc.invert(read["transient"]), pc.not_equal(read["outcome"], "skipped"))
    return {
        (row["source"], row["post_id"]): _one_before(row, is_own=False)
        for row in read.filter(pc.and_(chosen, settled)).to_pylist()
        if (row["source"], row["post_id"]) in wanted
    }


def parts_elsewhere(table: Table[PostRow]) -> list[str]:
    """Keys of what other crawls committed."""
    own = f"{table.folder}/"
    return [key for key in Table(table.workspace, PostRow).parts() if not key.startswith(own)]


def still_due(table: Table[PostRow], rows: Sequence[ListingRow]) -> list[ListingRow]:
    """Those of the posts that nobody has settled in this crawl by now, in the listing's order."""
    settled = [_settled_in(table.workspace.url, key) for key in table.parts()]
    due = [row for row in rows if not any((*key_of(row), row.version) in part for part in settled)]
    return sorted(due, key=lambda row: (row.position, row.source))


@lru_cache(maxsize=20_000)
def _settled_in(url: str, key: str) -> frozenset[tuple[str, str, int]]:
    """Source, id and version of the posts that one part settled; parts never change."""
    columns = ["source", "post_id", "version", "transient"]
    part = read_part(Workspace(url), key, PostRow, columns)
    part = part.filter(pc.invert(part["transient"]))
    return frozenset(zip(*(part[name].to_pylist() for name in columns[:3]), strict=True))


def key_of(row: ListingRow | PostRow) -> Key:
    """Which post it is about."""
    return row.source, row.post_id
