"""What a training run says of itself: means between rows, divergence, collapse."""

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganime.errors import TrainingDiverged
from ganime.rows import MetricRow
from ganime.training.world import World

log = logging.getLogger(__name__)

LEAST_DIVERSITY = 0.25  # of fakes against reals; samples that look alike lie below
LEAST_LOSS = 0.005  # of the discriminator; one that is never wrong gives hardly any gradient
NUM_ROWS_TO_WARN = 10  # in a row, so that a passing dip stays quiet


class Monitor:
    """Sums up what steps report and gives it out as means; its sums survive a resume.

    Args:
        world: The processes whose reports are taken together; they must ask for rows at once.
    """

    def __init__(self, world: World | None = None) -> None:
        self._world = world or World()
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._suspicions: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in one step's values, scalars on any device; nothing waits for the device."""
        for name, value in values.items():
            value = value.detach().double()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def check(self, nimg: int) -> None:
        """Stop a run that cannot recover.

        Raises:
            TrainingDiverged: a value since the last row is not finite.
        """
        for name, total in self._world.sums(self._sums).items():
            if not math.isfinite(total.item()):
                raise TrainingDiverged(
                    f"{name} became {total.item()} before {nimg} images were shown: lower the "
                    "recipe's learning rates, or set precision to fp32"
                )

    def rows(self, nimg: int) -> list[MetricRow]:
        """Means since the last call, and start anew.

        Raises:
            TrainingDiverged: one of them is not finite.
        """
        self.check(nimg)
        sums = self._world.sums(self._sums)
        rows = [
            MetricRow(nimg=nimg, name=name, value=sums[name].item() / (count * self._world.size))
            for name, count in self._counts.items()
        ]
        self._sums, self._counts = {}, {}
        self._look_for_collapse({row.name: row.value for row in rows}, nimg)
        return rows

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        sums = {name: total.cpu() for name, total in self._sums.items()}
        return {"sums": sums, "counts": dict(self._counts)}

    def load_state(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from a checkpoint."""
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        self._counts = dict(state["counts"])

    def _look_for_collapse(self, means: Mapping[str, float], nimg: int) -> None:
        diversity, loss = means.get("diversity", 1.0), means.get("loss_discriminator", 1.0)
        if self._persists("diversity", diversity < LEAST_DIVERSITY):
            log.warning(
                "train: at %d images shown the generator's images differ from each other by only "
                "%.0f%% of what the real ones do; it may have collapsed",
                nimg,
                100 * diversity,
            )
        if self._persists("loss_discriminator", abs(loss) < LEAST_LOSS):
            log.warning(
                "train: at %d images shown the discriminator's loss is %.4f; the generator learns "
                "little from one that is never wrong (augment more, or lower its learning rate)",
                nimg,
                loss,
            )

    def _persists(self, name: str, suspicious: bool) -> bool:
        self._suspicions[name] = self._suspicions.get(name, 0) + 1 if suspicious else 0
        return self._suspicions[name] == NUM_ROWS_TO_WARN
