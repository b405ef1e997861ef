"""How long an ablation will take, told by how fast models like its own were trained here."""

from dataclasses import dataclass
from statistics import median
from typing import Any

from ganime.ablation import AblateConfig
from ganime.rows import MetricRow
from ganime.stages.train import TrainConfig
from ganime.store.lineage import models
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

_ALIKE = ("resolution", "batch", "precision", "processes", "accumulate")


@dataclass(frozen=True, slots=True)
class Forecast:
    """How much work.

    Attributes:
        trainings: How many, those that are finished already included.
        nimg: Images shown in each.
        speed: Images per second of a model like these; None where there is none.
        like: That model; empty where there is none.
    """

    trainings: int
    nimg: int
    speed: float | None
    like: str

    @property
    def seconds(self) -> float | None:
        """Of all trainings; None where nothing tells."""
        return None if not self.speed else self.trainings * self.nimg / self.speed

    def line(self) -> str:
        """For people to read."""
        said = f"{self.trainings} trainings of {self.nimg} images each"
        if self.seconds is None:
            return f"{said}; none like them was trained here, so nothing tells how long they take"
        hours, minutes = divmod(round(self.seconds / 60), 60)
        took = f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"
        return f"{said}, about {took} at the {self.speed:.0f} images/s of model {self.like}"


def forecast(workspace: Workspace, config: AblateConfig, train: TrainConfig) -> Forecast:
    """Forecast the trainings; what is finished already takes no time again.

    Args:
        workspace: Its models tell the speed.
        config: How many variants and repeats.
        train: What each training is.
    """
    trainings = (1 + len(config.variants)) * config.repeats
    for identity, described in sorted(models(workspace).items()):
        if not _is_alike(described.get("config", {}), train):
            continue
        rows = Table(workspace, MetricRow, root=f"models/{identity}").rows()
        if speeds := [row.value for row in rows if row.name == "images_per_second"]:
            return Forecast(trainings, train.nimg, median(speeds), identity)
    return Forecast(trainings, train.nimg, None, "")


def _is_alike(settings: dict[str, Any], train: TrainConfig) -> bool:
    ours = train.model_dump(mode="json")
    return settings.get("recipe") == ours["recipe"] and all(
        settings.get(name) == ours[name] for name in _ALIKE
    )
