import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ganime.errors import StoreError
from ganime.store.workspace import Workspace
from ganime.training.checkpoint import (
    checkpoint_key,
    checkpoints,
    load_checkpoint,
    resume,
    save_checkpoint,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def state(value: float) -> dict[str, Any]:
    return {"nimg": int(value), "weights": {"w": torch.full((500,), value)}, "nested": [1, "a"]}


def save(workspace: Workspace, nimg: int, keep: int = 2) -> None:
    save_checkpoint(workspace, "m", nimg, state(nimg), keep=keep)


def test_a_state_comes_back_as_it_was(workspace: Workspace) -> None:
    save(workspace, 100)
    loaded = load_checkpoint(workspace, "m", 100)
    assert torch.equal(loaded["weights"]["w"], state(100)["weights"]["w"])
    assert (loaded["nimg"], loaded["nested"]) == (100, [1, "a"])


def test_only_the_last_ones_are_kept(workspace: Workspace) -> None:
    for nimg in (900, 1000, 1100, 12_000):
        save(workspace, nimg, keep=2)
    assert checkpoints(workspace, "m") == [1100, 12_000]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    workspace: Workspace, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    save(workspace, 100)
    save(workspace, 200)
    path = workspace.local_path(checkpoint_key("m", 200))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1
    path.write_bytes({"cut": content[:middle], "flipped": content, "empty": b""}[damage])
    with pytest.raises(StoreError, match="damaged"):
        load_checkpoint(workspace, "m", 200)
    loaded: list[Mapping[str, Any]] = []
    with caplog.at_level(logging.WARNING):
        assert resume(workspace, "m", loaded.append) == 100
    assert loaded[0]["nimg"] == 100
    assert "damaged" in caplog.text


def test_without_any_whole_checkpoint_training_starts_anew(workspace: Workspace) -> None:
    assert resume(workspace, "m", lambda state: None) is None
    save(workspace, 100)
    workspace.local_path(checkpoint_key("m", 100)).write_bytes(b"nothing of ours")
    assert resume(workspace, "m", lambda state: None) is None
