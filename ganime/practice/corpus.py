"""A drawn corpus on disk: files, what the site says of them, and the truth for tests."""

import fcntl
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ganime.config import digest_of
from ganime.errors import StoreError
from ganime.practice.files import FORMATS, alter, decode, encode, spoil
from ganime.practice.plan import REVISION, PlannedPost, PracticeConfig, plan_posts
from ganime.practice.scenes import render

__all__ = ["Corpus", "PostRecord", "PracticeConfig", "TruthRow", "make_post"]
logger = logging.getLogger(__name__)
SMALL = 48  # posts; fewer are drawn in this process, as starting others takes longer


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """What is known of one post because we drew it; for tests, the site does not say it."""

    post_id: int
    kind: str  # standing, chibi, multiple, flashy or viewpoint
    viewpoint: str  # front, from_behind, from_side, from_above, from_below or lying
    character_id: str  # of the drawing: equal for copies, however altered
    base_post_id: int | None  # the post that this one copies
    relation: str  # original, exact, reencoded, resized, cropped, mirrored, tinted, captioned
    fault: str | None
    sha256: str | None  # of the bytes served; null if there are none
    attributes: str  # JSON: attributes of the character, or of `characters`, and the ground


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRecord:
    """One post as the site knows it."""

    id: int
    tags: list[str]
    rating: str
    md5: str | None
    directory: int
    image: str  # name of the file; not its MD5
    file: str | None  # path below the corpus; null if there is none
    media_type: str
    width: int
    height: int
    score: int | None
    created: int
    changed: int
    parent_id: int | None
    ghost: bool  # only the id is known


@dataclass(frozen=True)
class Corpus:
    """A drawn corpus.

    Args:
        folder: Where it lies.
    """

    folder: Path

    @classmethod
    def build(cls, config: PracticeConfig, folder: Path, workers: int | None = None) -> "Corpus":
        """Draw a corpus below `folder`, or find it there as it was drawn before.

        Args:
            config: What it holds.
            folder: Of all corpora; this one gets a folder named by its digest.
            workers: Processes that draw; all cores if not given.

        Raises:
            StoreError: it cannot be written.
        """
        name = digest_of(config.canonical(), str(REVISION))
        done = folder / name
        if not done.exists():
            try:
                _build(config, folder, name, workers or os.cpu_count() or 1)
            except OSError as error:
                raise StoreError(f"cannot draw the practice booru in {folder}: {error}") from error
        return cls(done)

    @cached_property
    def posts(self) -> list[PostRecord]:
        """What the site knows, oldest first."""
        rows = json.loads((self.folder / "posts.json").read_text(encoding="utf-8"))
        return [PostRecord(**row) for row in rows]

    def truth(self) -> list[TruthRow]:
        """What was drawn, in the order of `posts`."""
        rows = pq.read_table(self.folder / "truth.parquet").to_pylist()
        return [TruthRow(**row) for row in rows]


def _build(config: PracticeConfig, folder: Path, name: str, workers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f".{name}.lock"):
        if (folder / name).exists():  # somebody else drew it while we waited
            return
        partial_folder = folder / f".{name}.partial"
        shutil.rmtree(partial_folder, ignore_errors=True)  # of a build that was killed
        (partial_folder / "images").mkdir(parents=True)
        try:
            _draw(config, partial_folder, workers)
            partial_folder.rename(folder / name)
        finally:
            shutil.rmtree(partial_folder, ignore_errors=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One builder at a time; the system frees the lock even if its holder is killed."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _draw(config: PracticeConfig, folder: Path, workers: int) -> None:
    plan = plan_posts(config)
    logger.info("practice: drawing %d posts", len(plan))
    records: list[PostRecord] = []
    truth: list[TruthRow] = []
    step = max(len(plan) // 10, 100)
    for record, row in _made(plan, config.seed, folder, workers):
        records.append(record)
        truth.append(row)
        if len(records) % step == 0:
            logger.info("practice: %d of %d posts drawn", len(records), len(plan))
    (folder / "posts.json").write_text(
        json.dumps([asdict(record) for record in records]), encoding="utf-8"
    )
    table = pa.Table.from_pylist([asdict(row) for row in truth], _TRUTH)
    pq.write_table(table, folder / "truth.parquet")


_TRUTH = pa.schema(
    [
        pa.field("post_id", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("viewpoint", pa.string(), nullable=False),
        pa.field("character_id", pa.string(), nullable=False),
        pa.field("base_post_id", pa.int64()),
        pa.field("relation", pa.string(), nullable=False),
        pa.field("fault", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("attributes", pa.string(), nullable=False),
    ]
)


def _made(
    plan: list[PlannedPost], seed: int, folder: Path, workers: int
) -> Iterable[tuple[PostRecord, TruthRow]]:
    make = partial(make_post, seed=seed, folder=folder)
    if workers == 1 or len(plan) <= SMALL:
        yield from map(make, plan)
        return
    # spawn: safe in a process that has threads, as every server and orchestrator has
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(make, plan, chunksize=16)


def make_post(post: PlannedPost, seed: int, folder: Path) -> tuple[PostRecord, TruthRow]:
    """Draw one post and write the file that the site will serve."""
    rng = np.random.default_rng((seed, post.index, 1))
    whole, (width, height) = _file_of(post, seed)
    served: bytes | None = whole
    md5: str | None = hashlib.md5(whole).hexdigest()
    if post.fault:
        served, md5 = spoil(whole, post.fault, rng)
    stem = hashlib.sha1(f"{seed} {post.post_id}".encode()).hexdigest()
    if rng.random() < 0.05:
        stem = stem[:32]  # as some are at the real site
    image = f"{stem}.{FORMATS[post.sort]}"
    if served is not None:
        (folder / "images" / image).write_bytes(served)
    media = "image/png" if image.endswith("png") else "image/jpeg"
    record = PostRecord(
        id=post.post_id,
        tags=list(post.tags),
        rating=post.rating,
        md5=md5,
        directory=post.post_id // 1000,
        image=image,
        file=f"images/{image}" if served is not None else None,
        media_type="text/html" if post.fault == "html" else media,
        width=width,
        height=height,
        score=post.score,
        created=post.created,
        changed=post.changed,
        parent_id=post.parent_id,
        ghost=post.fault == "ghost",
    )
    truth = TruthRow(
        post_id=post.post_id,
        kind=post.scene.kind,
        viewpoint=post.scene.viewpoint,
        character_id=f"c{post.original.index:06d}",
        base_post_id=post.base.post_id if post.base else None,
        relation=post.relation,
        fault=post.fault,
        sha256=hashlib.sha256(served).hexdigest() if served is not None else None,
        attributes=_attributes(post),
    )
    return record, truth


def _file_of(post: PlannedPost, seed: int) -> tuple[bytes, tuple[int, int]]:
    """The whole file and its width and height as stored."""
    if post.relation == "exact":
        assert post.base is not None
        return _file_of(post.base, seed)
    if post.base is not None:
        rng = np.random.default_rng((seed, post.index, 2))
        pixels = alter(decode(_file_of(post.base, seed)[0]), post.relation, rng)
    else:
        pixels = render(post.scene)
    height, width = pixels.shape[:2]
    if post.orientation in (6, 8):
        height, width = width, height
    return encode(pixels, post.sort, post.quality, post.orientation), (width, height)


def _attributes(post: PlannedPost) -> str:
    scene = post.scene
    found: dict[str, Any] = {"ground": scene.ground}
    if len(scene.characters) == 1:
        found |= scene.characters[0].attributes()
    else:
        found["characters"] = [character.attributes() for character in scene.characters]
    return json.dumps(found, sort_keys=True)
