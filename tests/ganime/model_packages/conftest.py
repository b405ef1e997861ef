import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganime.gans.dcgan import Dcgan
from ganime.gans.stylegan2 import StyleGan2
from ganime.rows import DecisionRow, EvaluationRow, MemberRow, PostRow
from ganime.stages import crawl, train
from ganime.stages.curate import CurateConfig
from ganime.stages.train import TrainConfig
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import write_shard
from ganime.store.workspace import Workspace
from ganime.training.batches import Examples

NUM, HELD_OUT = 12, 2
TAGS = ("hat", "smile")
STYLES = StyleGan2(latent=16, channel_base=512, channel_max=8, mapping_layers=2)
PLAIN = Dcgan(latent=8, latents_are="binary", width_generator=4, widest=16)
DATASET = "girls/0123456789ab"


@dataclass(frozen=True)
class Trained:
    """A workspace with two models: one with styles and tags, one with neither."""

    workspace: Workspace
    styled: str
    plain: str


def evaluation(model_id: str, nimg: int, value: float, metric: str = "fd_small") -> EvaluationRow:
    return EvaluationRow(
        model_id=model_id,
        nimg=nimg,
        metric=metric,
        value=value,
        extractor="small",
        weights="0" * 12,
        resize="none",
        num_real=10,
        num_fake=64,
        reference=DATASET,
        seed=0,
    )


def _crawled(store: Workspace, folder: Path) -> tuple[str, list[str]]:
    folder.mkdir()
    for number in range(NUM):
        Image.new("RGB", (32, 32), (number * 20, 90, 160)).save(folder / f"{number:02}.png")
    settings = {"source": {"name": "folder", "path": str(folder)}}
    crawl.run(store, crawl.CrawlConfig.parse(settings), "a run")
    (key,) = store.list("manifests/crawls", ".json")
    crawl_id = key.split("/")[2].removesuffix(".json")
    return crawl_id, sorted(Table(store, PostRow, crawl_id).column("image_id"))


def _curated(store: Workspace, crawl_id: str, ids: list[str]) -> np.ndarray:
    root = f"datasets/{DATASET}"
    made = Provenance(
        stage="curate",
        revision=1,
        config=CurateConfig.parse({"rules": [{"name": "min_side", "pixels": 32}]}),
        run_id="r",
        parents={f"posts/{crawl_id}": "digest"},
    )
    shard = f"{root}/images.npy"
    members = [
        MemberRow(
            image_id=item,
            shard=shard,
            offset=place,
            split="train" if place < NUM - HELD_OUT else "holdout",
            tags=[],
        )
        for place, item in enumerate(ids)
    ]
    decisions = [
        DecisionRow(
            **{"image_id": item, "rule": "min_side", "order": 0, "reason": None, "verdict": "keep"},
            **{"score": None, "threshold": None, "evidence": None, "decided_by": "rule"},
        )
        for item in ids
    ]
    Table(store, MemberRow, root=root).write("members", members, made)
    Table(store, DecisionRow, root=root).write("decisions", decisions, made)
    images = np.random.default_rng(0).integers(0, 256, (NUM, 32, 32, 3), np.uint8)
    write_shard(store, shard, images)
    return images


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    store = Workspace(str(folder / "workspace"))
    images = _curated(store, *_crawled(store, folder / "art"))[: NUM - HELD_OUT]
    labels = np.random.default_rng(1).integers(0, 2, (len(images), len(TAGS)), np.uint8)
    common = {"resolution": 32, "nimg": 16, "batch": 8, "num_threads": 1, "precision": "fp32"}
    styled = train.run(
        store,
        TrainConfig(recipe=STYLES, tags=("all",), **common),
        Examples(images, labels, TAGS),
        DATASET,
        "r",
    )
    plain = train.run(store, TrainConfig(recipe=PLAIN, **common), Examples(images), DATASET, "r")
    rows = [evaluation(styled, 16, 7.0), evaluation(styled, 0, 2.0, "fd_small_floor")]
    made = Provenance(stage="evaluate", revision=1, config=CurateConfig(), run_id="r")
    Table(store, EvaluationRow, root=f"models/{styled}").write("16", rows, made)
    return Trained(store, styled, plain)


@pytest.fixture
def trained(trained_once: Trained, tmp_path: Path) -> Trained:
    """A copy of it that a test may change."""
    shutil.copytree(trained_once.workspace.url, tmp_path / "workspace")
    store = Workspace(str(tmp_path / "workspace"))
    return Trained(store, trained_once.styled, trained_once.plain)


@pytest.fixture
def without_dataset(trained: Trained) -> Trained:
    """The models alone, as after someone cleared up."""
    shutil.rmtree(Path(trained.workspace.url) / "datasets")
    assert json.loads(trained.workspace.read_bytes(f"models/{trained.plain}/config.json"))
    return trained
