"""Find the faces of every image once; what is made of them is decided later."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from ganime.config import Config, digest_of
from ganime.detectors import DETECTORS, Box, Find
from ganime.detectors.lbp_face import LbpFace
from ganime.errors import ImageError
from ganime.images import DecodedImage, decode
from ganime.rows import FaceRow
from ganime.scaling import resize
from ganime.store.manifest import Manifest, Provenance, Table
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

REVISION = 4
log = logging.getLogger(__name__)


class DetectConfig(Config):
    """How faces are found."""

    detector: DETECTORS.field() = Field(  # type: ignore[valid-type]
        default_factory=LbpFace, description="A detector, by name or with its options."
    )
    shard_size: int = Field(500, ge=1, le=10_000, description="Images per shard.")


def scope(config: DetectConfig) -> str:
    """Which faces these settings find: equal scopes hold equal boxes.

    Raises:
        WeightsError: the detector's weights are missing; says how to give them.
    """
    return f"{digest_of(config.detector.identity())}-r{REVISION}"


def find_faces(content: bytes, find: Find, side: int) -> list[Box]:
    """Search a reduced decode, which takes a fraction of the time of the whole one.

    Args:
        content: A whole file.
        find: See `ganime.detectors.Detector.load`.
        side: Length that the longer side is reduced to; smaller images stay as they are [px].

    Returns:
        Boxes in pixels of the upright original, inside of it, the largest first.

    Raises:
        ImageError: it does not decode, with the reasons of `ganime.images.decode`.
    """
    image = decode(content, at_least=side)
    height, width = image.pixels.shape[:2]
    scale = min(1.0, side / max(height, width))
    reduced = resize(image.pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    boxes = [_in_original(box, reduced.shape, image) for box in find(reduced)]
    # Detectors with threads of their own have no order; the position makes one.
    return sorted((box for box in boxes if box.area > 0), key=lambda box: (-box.area, box))


def plan(workspace: Workspace, image_ids: Sequence[str], config: DetectConfig) -> list[list[str]]:
    """Shards of images that were not searched yet, in the order of their ids.

    Raises:
        WeightsError: the detector's weights are missing; says how to give them.
    """
    missing = sorted(_table(workspace, config).missing(image_ids))
    return [missing[i : i + config.shard_size] for i in range(0, len(missing), config.shard_size)]


def run(
    workspace: Workspace, config: DetectConfig, image_ids: Sequence[str], run_id: str
) -> Manifest:
    """Search one shard of images; a broken image becomes a row with its problem.

    Raises:
        StoreError: an original is missing, or nothing can be written.
        WeightsError: the detector's weights are missing or do not fit.
    """
    table = _table(workspace, config)
    find = config.detector.load()
    originals = Originals(workspace)

    def search(image_id: str) -> FaceRow:
        try:
            boxes = find_faces(originals.get(image_id), find, config.detector.side)
        except ImageError as error:
            return FaceRow(image_id=image_id, boxes=[], problem=error.reason, run_id=run_id)
        return FaceRow(
            image_id=image_id, boxes=[list(box) for box in boxes], problem=None, run_id=run_id
        )

    # Decoding and searching let go of the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        rows = list(pool.map(search, image_ids))
    provenance = Provenance(stage="detect", revision=REVISION, config=config, run_id=run_id)
    manifest = table.write(digest_of(*image_ids), rows, provenance)
    _report(rows)
    return manifest


def _in_original(box: Box, shape: tuple[int, ...], image: DecodedImage) -> Box:
    """A box of the reduced image in pixels of the original, cut to it."""
    down, across = image.height / shape[0], image.width / shape[1]
    return Box(
        left=max(0, round(box.left * across)),
        top=max(0, round(box.top * down)),
        right=min(image.width, round(box.right * across)),
        bottom=min(image.height, round(box.bottom * down)),
    )


def _report(rows: Sequence[FaceRow]) -> None:
    problems = Counter(row.problem for row in rows if row.problem)
    with_face = sum(bool(row.boxes) for row in rows)
    detail = ", ".join(f"{problem} {number}" for problem, number in sorted(problems.items()))
    log.info(
        "detect: %d in, %d with a face, %d without, %d broken%s",
        *(len(rows), with_face, len(rows) - with_face - problems.total(), problems.total()),
        f" ({detail})" if detail else "",
    )


def _table(workspace: Workspace, config: DetectConfig) -> Table[FaceRow]:
    return Table(workspace, FaceRow, scope=scope(config))
