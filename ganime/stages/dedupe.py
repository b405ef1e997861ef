"""Measure every image once, and find the pairs that look alike.

Two steps, both facts: `run_fingerprints` decodes and measures shards of images, `compare` holds the
new ones against all. Which of a pair goes is decided later, from these facts and a threshold.
"""

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from ganime.config import Config, digest_of
from ganime.errors import ImageError
from ganime.fingerprint import THUMBNAIL, fingerprint
from ganime.rows import ImageRow, NeighbourRow
from ganime.similarity import MIN_SKETCH_CORRELATION, similarity, sketches
from ganime.store.manifest import Manifest, Provenance, Table, read_part
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

REVISION = 1
log = logging.getLogger(__name__)

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
_BLOCK = 4_000_000  # pairs of hashes compared at once: 32 MB
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
    columns = ["image_id", "phash", "phash_mirrored", "trim_box"]
    table = _images(workspace).read(["problem", *columns])
    table = table.filter(pa.compute.is_null(table["problem"]))
    done = set(_neighbours(workspace, config).column("image_id"))
    # Those compared before come first, so that a pair's later index is the newer image.
    ids = sorted(
        table["image_id"].to_pylist(), key=lambda image_id: (image_id not in done, image_id)
    )
    num_old = sum(image_id in done for image_id in ids)
    if num_old == len(ids):
        _expire(workspace, config)  # a run killed after its last write left this undone
        return None
    place = {image_id: i for i, image_id in enumerate(table["image_id"].to_pylist())}
    table = table.take([place[image_id] for image_id in ids])
    pairs = candidates(
        table["phash"].to_numpy(), table["phash_mirrored"].to_numpy(), num_old, config.max_hamming
    )
    pairs = pairs.take(_same_shape(table["trim_box"].to_pylist(), pairs, config.aspect_tolerance))
    scores = _verified(workspace, ids, pairs)
    alike = scores >= config.min_similarity
    rows = _rows(ids, num_old, pairs.take(alike), scores[alike], run_id)
    manifest = _neighbours(workspace, config).write(
        digest_of(*ids[num_old:]), rows, _provenance(config, run_id)
    )
    _expire(workspace, config)
    log.info(
        "dedupe: %d new of %d compared, %d candidate pairs, %d alike",
        *(len(rows), len(ids), len(pairs), int(alike.sum())),
    )
    return manifest


def candidates(phash: Hashes, mirrored: Hashes, num_old: int, max_hamming: int) -> Pairs:
    """Exact search for all pairs whose hashes differ by few bits.

    Args:
        phash: Hashes [N].
        mirrored: Hashes of the mirror images [N].
        num_old: The first so many were compared with each other before.
        max_hamming: Largest difference [bits].

    Returns:
        Pairs with a new image each; of both orientations the closer one.
    """
    num = len(phash)
    step = max(1, _BLOCK // max(1, num))
    nothing = np.empty(0, np.int64)
    found = [Pairs(nothing, nothing, nothing, nothing.astype(bool))]
    for start in range(num_old, num, step):
        stop = min(start + step, num)
        straight = np.bitwise_count(phash[start:stop, None] ^ phash[None, :stop])
        turned = np.bitwise_count(mirrored[start:stop, None] ^ phash[None, :stop])
        closest = np.minimum(straight, turned)
        one, other = np.nonzero(closest <= max_hamming)
        earlier = other < one + start
        one, other = one[earlier], other[earlier]
        found.append(
            Pairs(
                one + start,
                other,
                closest[one, other].astype(np.int64),
                turned[one, other] < straight[one, other],
            )
        )
    return Pairs(
        np.concatenate([part.one for part in found]),
        np.concatenate([part.other for part in found]),
        np.concatenate([part.hamming for part in found]),
        np.concatenate([part.mirrored for part in found]),
    )


def _same_shape(boxes: list[list[int]], pairs: Pairs, tolerance: float) -> npt.NDArray[np.bool_]:
    box = np.array(boxes, np.float64).reshape(-1, 4)
    aspect = np.log((box[:, 2] - box[:, 0]).clip(1) / (box[:, 3] - box[:, 1]).clip(1))
    same: npt.NDArray[np.bool_] = np.abs(aspect[pairs.one] - aspect[pairs.other]) <= np.log1p(
        tolerance
    )
    return same


def _verified(workspace: Workspace, ids: list[str], pairs: Pairs) -> npt.NDArray[np.float32]:
    """Similarity of each pair's thumbnails [P]; 0 where a first glance tells them apart."""
    scores = np.zeros(len(pairs), np.float32)
    involved = np.unique(np.concatenate([pairs.one, pairs.other]))
    thumbnails = _thumbnails(workspace, [ids[i] for i in involved])
    straight, turned = sketches(thumbnails), sketches(thumbnails[:, :, ::-1])
    one, other = np.searchsorted(involved, pairs.one), np.searchsorted(involved, pairs.other)
    for start in range(0, len(pairs), _SKETCHES):
        part = slice(start, start + _SKETCHES)
        flip = pairs.mirrored[part, None]
        seen = np.where(flip, turned[other[part]], straight[other[part]])
        glance = np.einsum("pf,pf->p", straight[one[part]], seen)
        likely = start + np.flatnonzero(glance >= MIN_SKETCH_CORRELATION)
        for few in np.split(likely, range(_PAIRS, len(likely), _PAIRS)):
            held = thumbnails[other[few]]
            flip = pairs.mirrored[few, None, None, None]
            scores[few] = similarity(thumbnails[one[few]], np.where(flip, held[:, :, ::-1], held))
    return scores


def _thumbnails(workspace: Workspace, image_ids: list[str]) -> npt.NDArray[np.uint8]:
    """Thumbnails in the order asked for [N, 32, 32, 3], part by part: most are never needed."""
    place = {image_id: i for i, image_id in enumerate(image_ids)}
    thumbnails = np.empty((len(image_ids), THUMBNAIL, THUMBNAIL, 3), np.uint8)
    for key in _images(workspace).parts():
        table = read_part(workspace, key, ImageRow, ["image_id", "thumbnail"])
        for j, image_id in enumerate(table["image_id"].to_pylist()):
            if (i := place.get(image_id)) is not None:
                flat = np.frombuffer(table["thumbnail"][j].as_py(), np.uint8)
                thumbnails[i] = flat.reshape(THUMBNAIL, THUMBNAIL, 3)
    return thumbnails


def _rows(
    ids: list[str], num_old: int, pairs: Pairs, scores: npt.NDArray[np.float32], run_id: str
) -> list[NeighbourRow]:
    order = np.lexsort((pairs.other, pairs.one))
    pairs, scores = pairs.take(order), scores[order]
    starts = np.searchsorted(pairs.one, np.arange(num_old, len(ids) + 1))
    rows = []
    for i, (start, stop) in enumerate(pairwise(starts), num_old):
        mine = pairs.take(slice(start, stop))
        rows.append(
            NeighbourRow(
                image_id=ids[i],
                others=[ids[j] for j in mine.other],
                hamming=mine.hamming.tolist(),
                similarity=[round(float(score), 4) for score in scores[start:stop]],
                mirrored=mine.mirrored.tolist(),
                run_id=run_id,
            )
        )
    return rows


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
