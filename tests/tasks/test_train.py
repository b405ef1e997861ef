import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganime.backbones import BackboneConfig
from ganime.errors import ConfigError
from ganime.rows import MemberRow
from ganime.stages import evaluate, train, train_together
from ganime.stages.curate import CurateConfig, DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.train import TrainConfig
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import Dataset, write_shard
from ganime.store.workspace import Workspace
from ganime.training.snapshot import load_generator, snapshots
from tasks.train import judging

DATASET = DatasetRef("girls", "v1", 40)
BACKBONE = BackboneConfig(weights="none", size=32)
SCORING = EvaluateConfig(num_fake=24)


def config(**changes: Any) -> TrainConfig:
    recipe = {"name": "dcgan", "latent": 8, "width_generator": 4, "width_discriminator": 4}
    small = {"resolution": 32, "nimg": 512, "batch": 8, "snapshot_nimg": 64, "num_threads": 1}
    return TrainConfig.parse({"recipe": recipe, **small, "device": "cpu", **changes})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    store, root = Workspace(str(tmp_path)), "datasets/girls/v1"
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    members = [
        MemberRow(image_id=f"{i:064x}", shard=f"{root}/i.npy", offset=i, split="train", tags=[])
        for i in range(40)
    ]
    made = Provenance(stage="curate", revision=1, config=CurateConfig(), run_id="r")
    Table(store, MemberRow, root=root).write("members", members, made)
    write_shard(store, f"{root}/i.npy", images)
    return store


def test_without_patience_nothing_is_scored(workspace: Workspace) -> None:
    assert judging(workspace, config(), DATASET, SCORING, BACKBONE) is None


def test_a_score_is_the_distance_that_evaluate_would_write(workspace: Workspace) -> None:
    wanted = config(patience=1, nimg=64)
    score = judging(workspace, wanted, DATASET, SCORING, BACKBONE)
    assert score is not None
    images = Dataset(workspace, "girls", "v1")
    examples = train_together.examples_of(images)
    model = train.run(workspace, wanted, examples, str(DATASET), "r", None, score)

    rows = evaluate.run(
        workspace,
        SCORING,
        model_id=model,
        reals=images.split("train"),
        reference=str(DATASET),
        extractor=evaluate.choose_extractor(workspace, SCORING, BACKBONE),
        sample=lambda nimg, num, seed: load_generator(workspace, model, nimg).sample(num, seed),
        snapshots=snapshots(workspace, model),
        run_id="r",
    )
    values = {row.nimg: row.value for row in rows}
    best = evaluate.best_snapshot(workspace, model)
    assert best == min(values, key=lambda nimg: values[nimg])
    assert score(load_generator(workspace, model, best)) == pytest.approx(min(values.values()))


def test_a_model_that_gets_no_better_stops_and_its_best_snapshot_is_known(
    workspace: Workspace,
) -> None:
    examples = train_together.examples_of(Dataset(workspace, "girls", "v1"))
    scores = itertools.chain([3.0, 1.0], itertools.repeat(2.0))
    model = train.run(
        workspace, config(patience=2), examples, str(DATASET), "r", None, lambda _: next(scores)
    )

    known = snapshots(workspace, model)
    assert len(known) == 4
    assert evaluate.best_snapshot(workspace, model) == known[1]
    assert load_generator(workspace, model).nimg == known[-1]  # the last one, not the best
    ended = json.loads(workspace.read_bytes(f"models/{model}/finished.json"))["ended"]
    assert f"no snapshot since {known[1]} images shown" in ended


def test_a_model_that_nobody_judged_has_no_best_snapshot(workspace: Workspace) -> None:
    assert evaluate.best_snapshot(workspace, "unknown") is None


def test_several_processes_cannot_judge(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"patience is 3 and train\.processes 2"):
        judging(workspace, config(patience=3, processes=2), DATASET, SCORING, BACKBONE)
