"""A workspace of sixty images, twenty of them small, decided about and packed; nothing is drawn."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ganime.config import Config
from ganime.rows import ImageRow, PaddedRow, PostRow
from ganime.stages import curate
from ganime.stages.curate import CurateConfig, DatasetRef
from ganime.store.lineage import crawled_images
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import write_shard
from ganime.store.workspace import Workspace

NUM, NUM_SMALL = 60, 20
IDS = [hashlib.sha256(bytes([i])).hexdigest() for i in range(NUM)]  # as digests are spread
SETTINGS = {
    "rules": ["decodable", {"name": "min_side", "pixels": 100}],
    "resolution": 32,
    "holdout": 0.3,
}
FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run-0")
NOTHING = ("score", "width", "height", "site_md5", "posted_at", "changed_at", "parent_id")


def post(i: int) -> PostRow:
    nothing: dict[str, None] = dict.fromkeys((*NOTHING, "source_link", "reason", "fetched_at"))
    return PostRow(
        crawl_id="crawl",
        source="safebooru",
        post_id=str(i),
        position=i,
        post_url=f"http://localhost/{i}",
        file_url=f"http://localhost/{i}.png",
        query="1girl",
        tags=["1girl"],
        artist_tags=[],
        copyright_tags=[],
        character_tags=[],
        meta_tags=[],
        state="active",
        version=1,
        rating="general",
        outcome="fetched",
        transient=False,
        attempt=1,
        http_status=200,
        num_bytes=1,
        image_id=IDS[i],
        run_id="run-0",
        **nothing,
    )


def image(i: int) -> ImageRow:
    side = 50 if i < NUM_SMALL else 200
    return ImageRow(
        image_id=IDS[i],
        problem="truncated" if i == NUM - 1 else None,
        format="PNG",
        mode="RGB",
        width=side,
        height=side,
        frames=1,
        num_bytes=10,
        phash=1,
        phash_mirrored=2,
        trim_box=[0, 0, side, side],
        thumbnail=bytes(3072),
        alpha_fraction=0.0,
        border_colour=[255, 255, 255],
        background_fraction=1.0,
        background_texture=0.0,
        sharpness=1.0,
        run_id="run-0",
    )


def padded(i: int) -> PaddedRow:
    return PaddedRow(
        image_id=IDS[i],
        shard="padded/p/shard.npy",
        offset=i,
        scale=1.0,
        fill=[255, 255, 255],
        problem=None,
        run_id="run-0",
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ablation")
    store = Workspace(str(folder))
    Table(store, PostRow, "crawl").write("part", [post(i) for i in range(NUM)], FROM)
    Table(store, ImageRow).write("part", [image(i) for i in range(NUM)], FROM)
    colours = np.random.default_rng(0).integers(40, 220, (NUM, 1, 1, 3))
    write_shard(store, "padded/p/shard.npy", np.tile(colours, (1, 32, 32, 1)).astype(np.uint8))
    rows = [padded(i) for i in range(NUM - 1)]  # the broken one has no pixels
    Table(store, PaddedRow, "p").write("part", rows, FROM)
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Workspace:
    """A copy of its own for each test."""
    copy = Workspace(str(tmp_path))
    for key in Workspace(str(made)).list(""):
        copy.write_bytes(key, (made / key).read_bytes())
    return copy


@pytest.fixture
def base(store: Workspace) -> DatasetRef:
    return curate.run(
        store,
        CurateConfig.parse(SETTINGS),
        images=crawled_images(store, ["crawl"]),
        classifiers={},
        labels=[],
        pad_scope="p",
        crawl_ids=["crawl"],
        run_id="run-0",
    )
