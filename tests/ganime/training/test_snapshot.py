from pathlib import Path

import numpy as np
import pytest

from ganime.errors import ConfigError, WeightsError
from ganime.gans.dcgan import Dcgan
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint
from ganime.training.snapshot import load_generator, save_snapshot, snapshot_key, snapshots

RECIPE = Dcgan(latent=8, width_generator=4, widest=16)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(str(tmp_path))
    for nimg in (64, 1024):
        network = RECIPE.generator(32).eval()
        save_snapshot(workspace, "m", nimg, network, Blueprint(RECIPE, 32))
    return workspace


def test_snapshots_are_listed_in_order(workspace: Workspace) -> None:
    assert snapshots(workspace, "m") == [64, 1024]
    assert snapshots(workspace, "unknown") == []


def test_the_last_one_is_loaded_unless_told_otherwise(workspace: Workspace) -> None:
    assert load_generator(workspace, "m").nimg == 1024
    assert load_generator(workspace, "m", 64).nimg == 64


def test_samples_depend_on_the_seed_alone(workspace: Workspace) -> None:
    generator = load_generator(workspace, "m")
    images = generator.sample(10, seed=1, batch=10)
    assert images.shape == (10, 32, 32, 3)
    assert images.dtype == np.uint8
    few = generator.sample(5, seed=1, batch=3).astype(int)
    assert np.abs(few - images[:5]).max() <= 1  # another batch size may round otherwise
    assert not np.array_equal(generator.sample(10, seed=2), images)
    assert generator.sample(0).shape == (0, 32, 32, 3)


def test_a_missing_snapshot_is_a_setting_that_is_wrong(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"no snapshot at 65 .* \[64, 1024\]"):
        load_generator(workspace, "m", 65)
    with pytest.raises(ConfigError, match="holds no snapshots"):
        load_generator(workspace, "unknown")


@pytest.mark.parametrize("content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"x" * 99])
def test_a_damaged_file_is_named(workspace: Workspace, content: bytes) -> None:
    workspace.local_path(snapshot_key("m", 64)).write_bytes(content)
    with pytest.raises(WeightsError, match=r"000000064\.safetensors"):
        load_generator(workspace, "m", 64)
