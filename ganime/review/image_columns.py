"""Columns about images that come from posts and measured facts: sources, dates, tags, sizes."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ganime.review.columns import Array
from ganime.review.digests import Bytes, Ids, to_bytes
from ganime.rows import ImageRow, ListingRow, PostRow
from ganime.store.lineage import CrawledImages, crawled_images, queries_of
from ganime.store.manifest import Table
from ganime.store.word_sets import WordSets
from ganime.store.workspace import Workspace

Made = dict[str, tuple[Mapping[str, Array | pa.Array], Mapping[str, Any]]]
RATINGS = ("unknown", "general", "sensitive", "questionable", "explicit")
UNKNOWN = 0  # seconds, months: no site had images in 1970
_LATER = np.uint32(2**32 - 1)  # than any date
_WORDS = re.compile(r"[^_\s():/-]+")  # what a tag is made of, as people type it
_POST = ("image_id", "source", "post_id", "outcome", "reason", "rating", "posted_at", "fetched_at")


def post_columns(workspace: Workspace, crawl_ids: Sequence[str]) -> Made:
    """What the posts of some crawls say, by group: `images`, `tags`, `tag_rows` and `words`.

    Args:
        workspace: Where.
        crawl_ids: The crawls.
    """
    crawled = crawled_images(workspace, crawl_ids)
    ids = Ids(to_bytes(crawled.ids))
    said = _Said(len(ids))
    for crawl_id in crawl_ids:
        names = [pa.array([], pa.string())]
        for part in Table(workspace, PostRow, crawl_id).stream(_POST):
            said.add(ids, part.combine_chunks())
            joined = pc.binary_join_element_wise(part["source"], part["post_id"], "/")
            names += joined.chunks
        said.lost["no_outcome_yet"] += _unsettled(workspace, crawl_id, pa.chunked_array(names))
    made: Made = {"images": (_images(ids.digests, crawled, said), said.notes())}
    return made | tag_columns(crawled.tags)


def fact_columns(workspace: Workspace, ids: Ids) -> Made:
    """What was measured, by group: `facts`."""
    wanted = ["image_id", "problem", "format", "width", "height", "num_bytes"]
    table = Table(workspace, ImageRow).read(wanted)
    rows = ids.rows(to_bytes(table["image_id"]))
    ours = rows >= 0
    columns: dict[str, Array] = {}
    for name in ("width", "height", "num_bytes"):
        values = np.asarray(pc.fill_null(table[name], 0).to_numpy(), np.int64)
        columns[name] = np.zeros(len(ids), np.uint32)
        columns[name][rows[ours]] = np.minimum(values[ours], _LATER)
    notes: dict[str, list[str]] = {}
    for name in ("problem", "format"):
        codes, notes[name] = coded(table[name])
        columns[name] = np.full(len(ids), -1, np.int16)
        columns[name][rows[ours]] = codes[ours]
    return {"facts": (columns, notes)}


def coded(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int16], list[str]]:
    """A column of few different words as places in the list of them; -1 for null."""
    words = sorted(word for word in pc.unique(column).to_pylist() if word is not None)
    places = pc.fill_null(pc.index_in(column, value_set=pa.array(words, pa.string())), -1)
    return np.asarray(places.to_numpy(), np.int16), words


class _Said:
    """What the posts of N images say, gathered part by part; the earliest date counts."""

    def __init__(self, num: int) -> None:
        self.sources = np.zeros(num, np.uint32)  # a bit per source
        self.rating = np.zeros(num, np.int8)  # the strictest that any post says
        self.posted, self.fetched = np.full(num, _LATER), np.full(num, _LATER)
        self.names: list[str] = []
        self.num_posts = self.num_with_image = 0
        self.lost: Counter[str] = Counter()

    def add(self, ids: Ids, part: pa.Table) -> None:
        """Posts, with or without images."""
        self.num_posts += part.num_rows
        fates = part.filter(pc.is_in(part["outcome"], pa.array(["skipped", "failed"])))
        for item in pc.coalesce(fates["reason"], fates["outcome"]).value_counts().to_pylist():
            self.lost[item["values"]] += item["counts"]
        found = part.filter(pc.is_valid(part["image_id"])).combine_chunks()
        self.num_with_image += found.num_rows
        rows = ids.rows(to_bytes(found["image_id"]))
        for column, target in (("posted_at", self.posted), ("fetched_at", self.fetched)):
            np.minimum.at(target, rows, _seconds(found[column]))
        codes, names = coded(found["rating"])
        known = [RATINGS.index(name) if name in RATINGS else 0 for name in names]
        np.maximum.at(self.rating, rows, np.array(known, np.int8)[codes])
        codes, names = coded(found["source"])
        self.names += [name for name in names if name not in self.names]
        bits = np.array([1 << self.names.index(name) for name in names], np.uint32)
        np.bitwise_or.at(self.sources, rows, bits[codes])

    def notes(self) -> dict[str, Any]:
        """Names of the sources, and what became of all posts."""
        lost = {reason: count for reason, count in self.lost.items() if count}
        return {
            "sources": self.names,
            "num_posts": self.num_posts,
            "num_with_image": self.num_with_image,
            "lost": lost,
        }


def _images(digests: Bytes, crawled: CrawledImages, said: _Said) -> dict[str, Array | pa.Array]:
    offsets = np.asarray(crawled.posts.offsets)
    posted = np.where(said.posted == _LATER, np.uint32(UNKNOWN), said.posted)
    fetched = np.where(said.fetched == _LATER, np.uint32(UNKNOWN), said.fetched)
    return {
        "digest": digests,
        "post": crawled.posts.values.take(pa.array(offsets[:-1])),
        "num_posts": np.diff(offsets).astype(np.int32),
        "sources": said.sources,
        "rating": said.rating,
        "posted": posted,
        "fetched": fetched,
        "month": posted.astype("datetime64[s]").astype("datetime64[M]").astype(np.int16),
    }


def _seconds(column: pa.ChunkedArray) -> npt.NDArray[np.uint32]:
    """Seconds since 1970; later than any date where there is none or it is before."""
    micros = np.asarray(pc.fill_null(column.cast(pa.int64()), -1).to_numpy(), np.int64)
    inside = (micros > 0) & (micros // 1_000_000 < int(_LATER))
    return np.where(inside, micros // 1_000_000, int(_LATER)).astype(np.uint32)


def _unsettled(workspace: Workspace, crawl_id: str, settled: pa.ChunkedArray) -> int:
    """How many posts a crawl listed that have no outcome yet."""
    listed = [pa.array([], pa.string())]
    for query_id in queries_of(workspace, crawl_id):
        table = Table(workspace, ListingRow, query_id).read(["source", "post_id"])
        names = pc.binary_join_element_wise(table["source"], table["post_id"], "/")
        listed += names.chunks
    different = pc.unique(pa.chunked_array(listed))
    return (
        len(different) - pc.sum(pc.is_in(different, value_set=settled)).as_py()
        if len(different)
        else 0
    )


def tag_columns(tags: WordSets) -> Made:
    """Which rows hold each tag, and where each word that people may type leads."""
    counts = tags.counts().astype(np.int64)
    # One number per pair sorts as fast as numbers do: the tag above, the row below.
    pairs = tags.codes.astype(np.uint64) << np.uint64(32)
    pairs |= tags.owners().astype(np.uint64)
    pairs.sort()
    rows = (pairs & np.uint64(0xFFFFFFFF)).astype(np.int32)
    leads = list(_entries(tags.words))
    entries = pa.table(
        [
            pa.array([word for word, _ in leads], pa.string()),
            pa.array([tag for _, tag in leads], pa.int32()),
        ],
        ["word", "tag"],
    )
    entries = entries.sort_by("word").combine_chunks()
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1].astype(np.int64)
    words = {
        name: (entries[name].chunks or [pa.array([], kind)])[0]
        for name, kind in (("word", pa.string()), ("tag", pa.int32()))
    }
    return {
        "tags": ({"tag": pa.array(tags.words, pa.string()), "count": counts, "start": starts}, {}),
        "tag_rows": ({"row": rows}, {}),
        "words": (words, {}),
    }


def _entries(tags: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each tag from each of its words on, in lower case: `blue_hair` is found by `hair` too."""
    for code, tag in enumerate(tags):
        text = tag.lower()
        starts = {0, *(match.start() for match in _WORDS.finditer(text))}
        yield from ((text[start:], code) for start in starts)
