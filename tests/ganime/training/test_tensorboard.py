from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganime.errors import ConfigError
from ganime.rows import MetricRow
from ganime.store.workspace import Workspace
from ganime.training.tensorboard import Board


def read(workspace: Workspace) -> EventAccumulator:
    events = EventAccumulator(str(workspace.local_path("models/m/tensorboard")))
    return events.Reload()


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    board = Board(workspace, "m", 0)
    board.scalars([MetricRow(nimg=64, name="loss_generator", value=1.5)])
    board.picture("grid", np.zeros((4, 4, 3), np.uint8), 64)
    board.close()
    events = read(workspace)
    (point,) = events.Scalars("loss_generator")
    assert (point.step, point.value) == (64, 1.5)
    assert events.Images("grid")[0].step == 64


def test_what_a_killed_run_wrote_beyond_its_checkpoint_is_hidden(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for start, values in ((0, {64: 1.0, 128: 9.0}), (64, {128: 2.0})):
        board = Board(workspace, "m", start + 1)
        board.scalars([MetricRow(nimg=nimg, name="loss", value=v) for nimg, v in values.items()])
        board.close()
    points = [(point.step, point.value) for point in read(workspace).Scalars("loss")]
    assert points == [(64, 1.0), (128, 2.0)]


def test_an_object_store_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="wants a workspace on a disk"):
        Board(Workspace("memory://somewhere"), "m", 0)
