"""What a workspace knows of its models, read without torch: for lists, and for packages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ganime.errors import ManifestError
from ganime.lite.description import TrainingSet
from ganime.model_packages.training_set import training_set
from ganime.rows import EvaluationRow, MetricRow
from ganime.store.lineage import datasets, models
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
from ganime.training.keys import config_key, finished_key, snapshot_key, snapshots

HEALTH = ("spread", "recall_16px", "copied", "score")  # measured at each snapshot in training
ORIGIN = "origin.json"  # in the folder of a model that a package brought


def brought_key(model_id: str, nimg: int) -> str:
    """Key of the directions that a package brought with a snapshot."""
    return f"models/{model_id}/studio/brought-{nimg:09d}.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model.

    Attributes:
        model_id: Its id.
        settings: Its config.json.
        snapshots: Images shown at each, ascending.
        finished: Its finished.json; None while it trains.
        at: When its last snapshot was written; None without any.
        scores: Its evaluations, floors (`nimg` 0) included.
        dataset_is_here: Whether the version that it learned from is in the workspace.
        origin: SHA-256 of the weights of the package that brought it; None if trained here.
    """

    model_id: str
    settings: Mapping[str, Any]
    snapshots: tuple[int, ...]
    finished: Mapping[str, Any] | None
    at: datetime | None
    scores: tuple[EvaluationRow, ...]
    dataset_is_here: bool
    origin: str | None

    @property
    def recipe(self) -> str:
        """Name of what it was trained by."""
        return str(self.settings["config"]["recipe"]["name"])

    @property
    def resolution(self) -> int:
        """R [px]."""
        return int(self.settings["config"]["resolution"])

    @property
    def dataset(self) -> str:
        """`name/version`."""
        return str(self.settings["dataset_version"])

    @property
    def nimg(self) -> int:
        """Images shown at the last snapshot; 0 without any."""
        return self.snapshots[-1] if self.snapshots else 0

    @property
    def best(self) -> EvaluationRow | None:
        """The best value of one metric: the plain Fréchet distance where it was measured.

        Among different extractors and numbers of samples the one with the most samples counts:
        others do not compare with it.
        """
        rows = [row for row in self.scores if row.nimg > 0]
        plain = [row for row in rows if json.loads(row.settings)["name"] == "fd"]
        chosen = sorted(plain or rows, key=lambda row: (-row.num_fake, row.metric))
        like = [row for row in chosen if _comparable(row) == _comparable(chosen[0])]
        sign = 1 if like and like[0].better == "lower" else -1
        return min(like, key=lambda row: (sign * row.value, row.nimg), default=None)

    def row(self) -> dict[str, Any]:
        """What a list shows of it, fit for JSON."""
        best = self.best
        return {
            "model": self.model_id,
            "recipe": self.recipe,
            "resolution": self.resolution,
            "dataset": self.dataset,
            "nimg": self.nimg,
            "metric": best.metric if best else None,
            "value": best.value if best else None,
            "at": self.at.isoformat(timespec="seconds") if self.at else None,
            "imported": self.origin is not None,
        }


def read_facts(workspace: Workspace) -> list[ModelFacts]:
    """All models of a workspace, the newest first.

    Raises:
        ManifestError: a model's config.json lacks what every model has.
    """
    known = datasets(workspace)
    found = [
        _facts(workspace, model_id, settings, known)
        for model_id, settings in models(workspace).items()
    ]
    # Equal times, as in a copied workspace, are told apart by id.
    return sorted(found, key=lambda one: (-one.at.timestamp() if one.at else 0.0, one.model_id))


def facts_of(workspace: Workspace, model_id: str) -> ModelFacts:
    """One model, by its whole id.

    Raises:
        ManifestError: its config.json lacks what every model has.
    """
    settings = json.loads(workspace.read_bytes(config_key(model_id)))
    return _facts(workspace, model_id, settings, datasets(workspace))


def health_at(workspace: Workspace, model_id: str, nimg: int) -> dict[str, float]:
    """What training measured at a snapshot: spread, recall, copies, and the score if it had one."""
    rows = Table(workspace, MetricRow, root=f"models/{model_id}").rows()
    return {row.name: row.value for row in rows if row.nimg == nimg and row.name in HEALTH}


def images_of(workspace: Workspace, facts: ModelFacts) -> TrainingSet:
    """What a model was trained on; of one that a package brought, what the package says."""
    if facts.origin is not None and not facts.dataset_is_here:
        return TrainingSet.parse(_origin(workspace, facts.model_id)["trained_on"])
    return training_set(workspace, facts.dataset, int(facts.settings["num_images"]))


def _facts(
    workspace: Workspace, model_id: str, settings: Mapping[str, Any], known: list[tuple[str, str]]
) -> ModelFacts:
    where = workspace.describe(config_key(model_id))
    for name in ("config", "dataset_version", "num_images"):
        if name not in settings:
            raise ManifestError(f"{where} lacks {name!r}, which every model has: train it again")
    taken = snapshots(workspace, model_id)
    finished = finished_key(model_id)
    origin = _origin(workspace, model_id)
    return ModelFacts(
        model_id=model_id,
        settings=settings,
        snapshots=tuple(taken),
        finished=json.loads(workspace.read_bytes(finished)) if workspace.exists(finished) else None,
        at=workspace.modified(snapshot_key(model_id, taken[-1])) if taken else None,
        scores=tuple(Table(workspace, EvaluationRow, root=f"models/{model_id}").rows()),
        dataset_is_here=tuple(str(settings["dataset_version"]).split("/", 1)) in known,
        origin=origin.get("weights_sha256"),
    )


def _origin(workspace: Workspace, model_id: str) -> dict[str, Any]:
    key = f"models/{model_id}/{ORIGIN}"
    found: dict[str, Any] = json.loads(workspace.read_bytes(key)) if workspace.exists(key) else {}
    return found


def _comparable(row: EvaluationRow) -> tuple[object, ...]:
    return (row.metric, row.settings, row.weights, row.resize, row.num_fake, row.reference)
