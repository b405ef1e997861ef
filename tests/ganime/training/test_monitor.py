import logging
import math

import pytest
import torch

from ganime.errors import TrainingDiverged
from ganime.training.monitor import NUM_ROWS_TO_WARN, Monitor

CPU = torch.device("cpu")


def test_rows_are_means_since_the_row_before() -> None:
    monitor = Monitor()
    for value in (1.0, 2.0, 6.0):
        monitor.add({"loss": torch.tensor(value)})
    (row,) = monitor.rows(96)
    assert (row.nimg, row.name, row.value) == (96, "loss", 3.0)
    assert monitor.rows(128) == []


def test_a_value_that_is_not_reported_each_time_is_averaged_over_its_own_count() -> None:
    monitor = Monitor()
    monitor.add({"loss": torch.tensor(1.0), "penalty": torch.tensor(8.0)})
    monitor.add({"loss": torch.tensor(3.0)})
    assert {row.name: row.value for row in monitor.rows(1)} == {"loss": 2.0, "penalty": 8.0}


def test_means_survive_a_resume_between_rows() -> None:
    first, second = Monitor(), Monitor()
    first.add({"loss": torch.tensor(1.0)})
    second.load_state(first.state(), CPU)
    second.add({"loss": torch.tensor(2.0)})
    assert second.rows(64)[0].value == 1.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_the_run(value: float) -> None:
    monitor = Monitor()
    monitor.add({"loss_generator": torch.tensor(value)})
    monitor.add({"loss_generator": torch.tensor(1.0)})
    with pytest.raises(TrainingDiverged, match=r"loss_generator became .* before 640 images"):
        monitor.check(640)


@pytest.mark.parametrize(("name", "value"), [("diversity", 0.01), ("loss_discriminator", 0.0)])
def test_a_collapse_is_warned_of_once(
    name: str, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor()
    with caplog.at_level(logging.WARNING):
        for number in range(NUM_ROWS_TO_WARN * 2):
            monitor.add({name: torch.tensor(value)})
            monitor.rows(number)
            assert len(caplog.records) == (number >= NUM_ROWS_TO_WARN - 1)
