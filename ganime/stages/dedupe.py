"""Measure every image once, and find the pairs that look alike.

Two steps, both facts: `run_fingerprints` decodes and measures shards of images, `compare` holds the
new ones against all. Which of a pair goes is decided later, from these facts and a threshold.
"""

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ganime.config import Config, digest_of
from ganime.errors import ImageError
from ganime.fingerprint import THUMBNAIL, fingerprint
from ganime.hamming import matches_within, pairs_within
from ganime.rows import ImageRow, NeighbourRow
from ganime.similarity import MIN_SKETCH_CORRELATION, similarity, sketches
from ganime.store.manifest import Manifest, Provenance, Table, read_part, schema_of
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

REVISION = 5
log = logging.getLogger(__name__)

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
_SKETCHES = 50_000  # pairs of sketches compared at once: 80 MB
_PAIRS = 200  # pairs of thumbnails verified at once: they fit a cache


class DedupeConfig(Config):
    """How near-duplicates are measured; how alike is too alike is the rule's to say."""

    max_hamming: int = Field(
        16, ge=0, le=20, description="Bits of 64 by which the hashes of a pair may differ."
    )
    min_similarity: float = Field(
        0.75, ge=0, le=1, description="Pairs less alike than this are not even recorded."
    )
    aspect_tolerance: float = Field(
        0.15, ge=0, le=1, description="By which share the aspect ratios of a pair may differ."
    )
    shard_size: int = Field(500, ge=1, le=10_000, description="Images per shard.")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of images that may be the same, as columns [P].

    Attributes:
        one: Index of the first.
        other: Index of the second, smaller than the first.
        hamming: Bits that differ.
        mirrored: Whether the second was held against the first's mirror image.
    """

    one: Indices
    other: Indices
    hamming: Indices
    mirrored: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.one)

    def take(self, chosen: npt.NDArray[Any] | slice) -> "Pairs":
        """Some of the pairs: by flags, by indices or a slice."""
        return Pairs(
            self.one[chosen], self.other[chosen], self.hamming[chosen], self.mirrored[chosen]
        )

    @classmethod
    def joined(cls, parts: Sequence["Pairs"]) -> "Pairs":
        """All pairs of some parts, at least one."""
        names = [item.name for item in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def plan(workspace: Workspace, image_ids: Sequence[str], config: DedupeConfig) -> list[list[str]]:
    """Shards of images that were not measured yet, in the order of their ids."""
    missing = sorted(_images(workspace).missing(image_ids))
    return [missing[i : i + config.shard_size] for i in range(0, len(missing), config.shard_size)]


def run_fingerprints(
    workspace: Workspace, config: DedupeConfig, image_ids: Sequence[str], run_id: str
) -> Manifest:
    """Measure one shard of images; a broken image becomes a row with its problem.

    Raises:
        StoreError: an original is missing, or nothing can be written.
    """
    originals = Originals(workspace)

    def measure(image_id: str) -> ImageRow:
        return image_row(image_id, originals.get(image_id), run_id)

    # Decoding and resizing let go of the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        rows = list(pool.map(measure, image_ids))
    manifest = _images(workspace).write(digest_of(*image_ids), rows, _provenance(config, run_id))
    problems = Counter(row.problem for row in rows if row.problem)
    detail = ", ".join(f"{problem} {number}" for problem, number in sorted(problems.items()))
    log.info(
        "dedupe: %d in, %d measured, %d broken%s",
        *(len(rows), len(rows) - problems.total(), problems.total()),
        f" ({detail})" if detail else "",
    )
    return manifest


def image_row(image_id: str, content: bytes, run_id: str) -> ImageRow:
    """All facts of one original; a file that cannot be used has its problem and little else."""
    try:
        facts = fingerprint(content)
    except ImageError as error:
        return ImageRow(
            image_id=image_id,
            problem=error.reason,
            format=None,
            mode=None,
            width=None,
            height=None,
            frames=None,
            num_bytes=len(content),
            phash=None,
            phash_mirrored=None,
            trim_box=[],
            thumbnail=None,
            alpha_fraction=None,
            border_colour=[],
            background_fraction=None,
            background_texture=None,
            sharpness=None,
            run_id=run_id,
        )
    columns = {item.name: getattr(facts, item.name) for item in dataclasses.fields(facts)}
    return ImageRow(
        image_id=image_id, problem=None, num_bytes=len(content), run_id=run_id, **columns
    )


def compare(workspace: Workspace, config: DedupeConfig, run_id: str) -> Manifest | None:
    """Hold all images not compared yet against all others, and record who looks like whom.

    Every pair is recorded once, in the row of the image compared later; of two compared together,
    in the row of the one with the larger id.

    Returns:
        The part that was written; None if no image is new.
    """
    table = _measured(workspace)
    done = _neighbours(workspace, config).read(["image_id"])["image_id"]
    is_old = pc.is_in(table["image_id"], value_set=done.combine_chunks())
    # Those compared before come first, so that a pair's later index is the newer image.
    table = table.append_column("new", pc.cast(pc.invert(is_old), pa.int8()))
    table = table.sort_by([("new", "ascending"), ("image_id", "ascending")]).combine_chunks()
    num_old = int(pc.sum(is_old).as_py() or 0)
    if num_old == table.num_rows:
        _expire(workspace, config)  # a run killed after its last write left this undone
        return None
    pairs, scores, num_candidates = _alike(workspace, config, table, num_old)
    ids = table["image_id"].combine_chunks()
    rows = _rows(ids, num_old, pairs, scores, run_id)
    manifest = _neighbours(workspace, config).write(
        digest_of(*ids[num_old:].to_pylist()), rows, _provenance(config, run_id)
    )
    _expire(workspace, config)
    log.info(
        "dedupe: %d new of %d compared, %d candidate pairs, %d alike",
        *(rows.num_rows, len(ids), num_candidates, len(pairs)),
    )
    return manifest


def candidates(phash: Hashes, mirrored: Hashes, num_old: int, max_hamming: int) -> Iterator[Pairs]:
    """Exact search for all pairs whose hashes differ by few bits, in blocks.

    Args:
        phash: Hashes [N].
        mirrored: Hashes of the mirror images [N].
        num_old: The first so many were compared with each other before.
        max_hamming: Largest difference [bits].

    Yields:
        Pairs with a new image each, every pair once; of both orientations the closer one.
    """
    old, new = phash[:num_old], phash[num_old:]
    among = pairs_within(new, max_hamming)
    inside = ((one, other + num_old, hamming) for one, other, hamming in among)
    for one, other, straight in chain(inside, matches_within(new, old, max_hamming)):
        newer = one + num_old
        turned = _distance(mirrored[newer], phash[other])
        yield Pairs(newer, other, np.minimum(straight, turned), turned < straight)
    for one, other, turned in matches_within(mirrored[num_old:], phash, max_hamming):
        newer = one + num_old
        straight = _distance(phash[newer], phash[other])
        found = Pairs(newer, other, turned, turned < straight)
        yield found.take((other < newer) & (straight > max_hamming))


def _distance(one: Hashes, other: Hashes) -> Indices:
    distance: Indices = np.bitwise_count(one ^ other).astype(np.int64)
    return distance


def _measured(workspace: Workspace) -> pa.Table:
    """Hashes and boxes of all images that are whole, and in which row of which part they lie."""
    columns = ["image_id", "problem", "phash", "phash_mirrored", "trim_box"]
    empty = schema_of(ImageRow).empty_table().select(columns)
    tables = []
    for part, key in enumerate([None, *_images(workspace).parts()]):
        table = empty if key is None else read_part(workspace, key, ImageRow, columns)
        rows = np.arange(table.num_rows, dtype=np.int64)
        table = table.append_column("part", pa.array(np.full_like(rows, part - 1)))
        table = table.append_column("row", pa.array(rows))
        tables.append(table.filter(pc.is_null(table["problem"])))
    whole = pa.concat_tables(tables)
    codes = whole["image_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)  # an image may have been measured twice
    return whole if len(first) == whole.num_rows else whole.take(np.sort(first))


def _alike(
    workspace: Workspace, config: DedupeConfig, table: pa.Table, num_old: int
) -> tuple[Pairs, Scores, int]:
    """Verified pairs, their similarity [P], and how many were looked at.

    Block by block: on white ground there may be far more candidates than pairs that are alike.
    """
    nothing = np.empty(0, np.int64)
    kept = [Pairs(nothing, nothing, nothing, nothing.astype(bool))]
    kept_scores = [np.empty(0, np.float32)]
    phash, mirrored = (table[name].to_numpy() for name in ("phash", "phash_mirrored"))
    aspect = _aspects(table["trim_box"])
    looks = _Looks(workspace, table)
    num_candidates = 0
    for pairs in candidates(phash, mirrored, num_old, config.max_hamming):
        differ = np.abs(aspect[pairs.one] - aspect[pairs.other])
        likely = pairs.take(differ <= np.log1p(config.aspect_tolerance))
        num_candidates += len(likely)
        scores = looks.similarity(likely)
        alike = scores >= config.min_similarity
        kept.append(likely.take(alike))
        kept_scores.append(scores[alike])
    return Pairs.joined(kept), np.concatenate(kept_scores), num_candidates


def _aspects(boxes: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Logarithm of width by height [N]."""
    left, top, right, bottom = boxes.combine_chunks().flatten().to_numpy().reshape(-1, 4).T
    ratio: npt.NDArray[np.float64] = np.log((right - left).clip(1) / (bottom - top).clip(1))
    return ratio


class _Looks:
    """Thumbnails and sketches of those images that are asked for, read at most once.

    They lie in unnamed temporary files, of which only what is used takes place: of two million
    images the thumbnails alone are 6 GB.
    """

    def __init__(self, workspace: Workspace, table: pa.Table) -> None:
        self._workspace, self._parts = workspace, _images(workspace).parts()
        self._part, self._row = table["part"].to_numpy(), table["row"].to_numpy()
        self._of_part = np.argsort(self._part, kind="stable")
        self._starts = np.searchsorted(self._part[self._of_part], np.arange(len(self._parts) + 1))
        self._loaded = np.zeros(len(self._parts), bool)
        shape = (table.num_rows, THUMBNAIL, THUMBNAIL, 3)
        with TemporaryFile() as one, TemporaryFile() as other:  # a mapping outlives its file
            self._thumbnails = np.memmap(one, np.uint8, "w+", shape=shape)
            self._sketches = np.memmap(other, np.float32, "w+", shape=(table.num_rows, 8, 8, 3))

    def similarity(self, pairs: Pairs) -> Scores:
        """Similarity of each pair's thumbnails [P]; 0 where a first glance tells them apart."""
        scores = np.zeros(len(pairs), np.float32)
        involved = np.concatenate([pairs.one, pairs.other])
        for part in np.unique(self._part[involved]):
            self._load(int(part))
        for start in range(0, len(pairs), _SKETCHES):
            few = pairs.take(slice(start, start + _SKETCHES))
            likely = start + np.flatnonzero(self._glance(few) >= MIN_SKETCH_CORRELATION)
            for chosen in np.split(likely, range(_PAIRS, len(likely), _PAIRS)):
                held = self._thumbnails[pairs.other[chosen]]
                flip = pairs.mirrored[chosen, None, None, None]
                held = np.where(flip, held[:, :, ::-1], held)
                scores[chosen] = similarity(self._thumbnails[pairs.one[chosen]], held)
        return scores

    def _glance(self, pairs: Pairs) -> Scores:
        held = self._sketches[pairs.other]
        # The sketch of a mirror image is the mirror image of the sketch.
        seen = np.where(pairs.mirrored[:, None, None, None], held[:, :, ::-1], held)
        glance: Scores = np.einsum("pyxc,pyxc->p", self._sketches[pairs.one], seen)
        return glance

    def _load(self, part: int) -> None:
        if self._loaded[part]:
            return
        mine = self._of_part[self._starts[part] : self._starts[part + 1]]
        table = read_part(self._workspace, self._parts[part], ImageRow, ["thumbnail"])
        content = b"".join(table["thumbnail"].take(pa.array(self._row[mine])).to_pylist())
        shape = (len(mine), *self._thumbnails.shape[1:])
        thumbnails = np.frombuffer(content, np.uint8).reshape(shape)
        self._thumbnails[mine] = thumbnails
        self._sketches[mine] = sketches(thumbnails).reshape(-1, 8, 8, 3)
        self._loaded[part] = True


def _rows(ids: pa.StringArray, num_old: int, pairs: Pairs, scores: Scores, run_id: str) -> pa.Table:
    """One row for each new image, as columns of `NeighbourRow`."""
    order = np.lexsort((pairs.other, pairs.one))
    pairs, scores = pairs.take(order), scores[order]
    starts = np.searchsorted(pairs.one, np.arange(num_old, len(ids) + 1))
    offsets = pa.array(starts.astype(np.int32))
    rounded = scores.astype(np.float64).round(4)
    lists = [ids.take(pa.array(pairs.other)), pairs.hamming, rounded, pairs.mirrored]
    columns = [pa.ListArray.from_arrays(offsets, pa.array(values)) for values in lists]
    run_ids = pa.repeat(run_id, len(ids) - num_old)
    return pa.table([ids[num_old:], *columns, run_ids], schema=schema_of(NeighbourRow))


def _expire(workspace: Workspace, config: DedupeConfig) -> None:
    """Forget facts of another revision or other settings, now that better ones are there."""
    ours = {*_images(workspace).parts(), *_neighbours(workspace, config).parts()}
    for table in (Table(workspace, ImageRow), Table(workspace, NeighbourRow)):
        for key in table.parts():
            if key not in ours:
                workspace.remove(key)


def _provenance(config: DedupeConfig, run_id: str) -> Provenance:
    return Provenance(stage="dedupe", revision=REVISION, config=config, run_id=run_id)


def _images(workspace: Workspace) -> Table[ImageRow]:
    return Table(workspace, ImageRow, scope=f"r{REVISION}")


def _neighbours(workspace: Workspace, config: DedupeConfig) -> Table[NeighbourRow]:
    changes_pairs = config.model_dump_json(exclude={"shard_size"})
    return Table(workspace, NeighbourRow, scope=f"{digest_of(changes_pairs)}-r{REVISION}")
