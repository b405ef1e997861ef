"""Real worker processes under torchrun and gloo."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ganime.errors import ManifestError
from ganime.gans.r3gan import R3gan
from ganime.rows import MemberRow, MetricRow
from ganime.stages import train_together
from ganime.stages.train import TrainConfig
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import write_shard
from ganime.store.workspace import Workspace
from ganime.training.checkpoint import checkpoints, load_checkpoint
from ganime.training.pace import Progress
from ganime.training.snapshot import load_generator

pytestmark = pytest.mark.slow

CONFIG = TrainConfig(
    recipe=R3gan(latent=8, width=8, widest=16),
    resolution=32,
    nimg=64,
    batch=8,
    processes=2,
    snapshot_nimg=32,
    checkpoint_nimg=32,
    metric_nimg=16,
    num_threads=1,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(str(tmp_path / "workspace"))
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    write_shard(workspace, "datasets/girls/1/images.npy", pixels)
    members = [
        MemberRow(
            image_id=f"{number:064x}",
            shard="datasets/girls/1/images.npy",
            offset=number,
            split="train",
            tags=[],
        )
        for number in range(20)
    ]
    provenance = Provenance(stage="curate", revision=1, config=CONFIG, run_id="r", parents={})
    Table(workspace, MemberRow, root="datasets/girls/1").write("members", members, provenance)
    return workspace


def test_two_processes_train_one_model_and_one_of_them_reports(workspace: Workspace) -> None:
    told: list[Progress] = []
    identity = train_together.run(workspace, CONFIG, ("girls", "1"), "run-1", told.append)
    assert [item.nimg for item in told] == list(range(8, 65, 8))
    assert json.loads(workspace.read_bytes(f"models/{identity}/finished.json"))["nimg"] == 64
    assert load_generator(workspace, identity).sample(2).shape == (2, 32, 32, 3)
    rows = Table(workspace, MetricRow, root=f"models/{identity}").rows()
    assert {row.nimg for row in rows if row.name == "loss_generator"} == {16, 32, 48, 64}
    assert all(np.isfinite(row.value) for row in rows)


def test_a_second_run_goes_on_from_the_checkpoint_to_the_same_weights(
    workspace: Workspace, tmp_path: Path
) -> None:
    class EnoughError(Exception):
        pass

    def stop(told: Progress) -> None:
        if told.nimg == 48:
            raise EnoughError

    with pytest.raises(EnoughError):
        train_together.run(workspace, CONFIG, ("girls", "1"), "run-1", stop)
    told: list[Progress] = []
    identity = train_together.run(workspace, CONFIG, ("girls", "1"), "run-2", told.append)
    assert told[0].nimg == 40
    other = CONFIG.model_copy(update={"keep_checkpoints": 3})
    broken = load_checkpoint(workspace, identity, checkpoints(workspace, identity)[-1])
    for key in workspace.list(f"models/{identity}", ""):
        workspace.remove(key)
    train_together.run(workspace, other, ("girls", "1"), "run-3")
    unbroken = load_checkpoint(workspace, identity, 64)
    for part in ("generator", "discriminator", "average"):
        for name, tensor in unbroken[part].items():
            assert torch.equal(tensor, broken[part][name]), name


def test_what_a_worker_raises_is_raised_here(workspace: Workspace) -> None:
    with pytest.raises(ManifestError, match="holds no dataset"):
        train_together.run(workspace, CONFIG, ("girls", "unknown"), "run-1")
