"""A workspace of sixty images, twenty of them small, decided about and packed; nothing is drawn."""

import hashlib
from collections.abc import Callable
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
def made(
    post_row: Callable[..., PostRow],
    image_row: Callable[..., ImageRow],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("ablation")
    store = Workspace(str(folder))
    posts = [post_row(i, image_id) for i, image_id in enumerate(IDS)]
    Table(store, PostRow, "crawl").write("part", posts, FROM)
    images = [image_row(image_id, 50) for image_id in IDS[:NUM_SMALL]]
    images += [image_row(image_id, 200) for image_id in IDS[NUM_SMALL:-1]]
    images += [image_row(IDS[-1], 200, problem="truncated")]
    Table(store, ImageRow).write("part", images, FROM)
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
