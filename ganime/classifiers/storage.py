"""Classifiers on disk: a head, its figures, the held-out scores and features it learned from."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ganime.classifiers.head import Features, Head
from ganime.classifiers.logistic import Linear, Numbers
from ganime.classifiers.mlp import Mlp
from ganime.classifiers.questions import QuestionConfig
from ganime.classifiers.selection import Scorer
from ganime.errors import StoreError
from ganime.rows import FeatureRow, ScoreRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

if TYPE_CHECKING:  # torch takes seconds to import, and heads do without
    from ganime.backbones import BackboneConfig
    from ganime.classifiers.finetune import Tuned

_HEAD = "head.safetensors"
_NETWORK = "network.safetensors"  # instead of a head, where the backbone learned too


def folder(classifier_id: str) -> str:
    """Key of a classifier's folder."""
    return f"classifiers/{classifier_id}"


def exists(workspace: Workspace, classifier_id: str) -> bool:
    """Whether the classifier is there, whole."""
    return workspace.exists(f"{folder(classifier_id)}/figures.json")


def save_classifier(
    workspace: Workspace,
    classifier_id: str,
    head: "Head | Tuned",
    held_out: dict[str, float],
    settings: dict[str, Any],
    figures: dict[str, Any],
    provenance: Provenance,
) -> None:
    """Write a classifier; its figures come last, so that one with figures is whole.

    Args:
        workspace: Where.
        classifier_id: Its name.
        head: What answers.
        held_out: Score of each image it learned from, by heads that had not seen that image.
        settings: What it was made from.
        figures: How good it is.
        provenance: Where the scores came from.
    """
    root = folder(classifier_id)
    if isinstance(head, Head):
        workspace.write_bytes(f"{root}/{_HEAD}", save(_tensors(head)))
    else:
        from safetensors.torch import save as save_tensors

        workspace.write_bytes(f"{root}/{_NETWORK}", save_tensors(head.state()))
    workspace.write_text(f"{root}/config.json", json.dumps(settings, indent=1, sort_keys=True))
    rows = score_rows(
        str(figures["question"]),
        classifier_id,
        list(held_out),
        np.array(list(held_out.values())),
        provenance.run_id,
    )
    Table(workspace, ScoreRow, root=root).write("held_out", rows, provenance)
    workspace.write_text(f"{root}/figures.json", json.dumps(figures, indent=1, sort_keys=True))


def load_head(workspace: Workspace, classifier_id: str) -> Head:
    """The head of a classifier.

    Raises:
        StoreError: there is no such classifier, or its file is damaged.
    """
    key = f"{folder(classifier_id)}/{_HEAD}"
    try:
        tensors = load(workspace.read_bytes(key))
        slope, offset = (float(value) for value in tensors["calibration"])
        return Head(tensors["mean"], tensors["scale"], _scorer(tensors), slope, offset)
    except (SafetensorError, KeyError, ValueError) as error:
        raise _damaged(workspace, classifier_id, key, error) from error


def load_tuned(workspace: Workspace, classifier_id: str, backbone: "BackboneConfig") -> "Tuned":
    """The network of a classifier whose backbone learned too.

    Raises:
        StoreError: there is no such classifier, or its file is damaged.
    """
    from safetensors.torch import load as load_tensors

    from ganime.classifiers.finetune import restore

    key = f"{folder(classifier_id)}/{_NETWORK}"
    try:
        return restore(load_tensors(workspace.read_bytes(key)), backbone)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise _damaged(workspace, classifier_id, key, error) from error


def _damaged(workspace: Workspace, classifier_id: str, key: str, error: Exception) -> StoreError:
    return StoreError(
        f"{workspace.describe(key)} is damaged ({error}): delete the folder "
        f"{workspace.describe(folder(classifier_id))} and run again"
    )


def _tensors(head: Head) -> dict[str, Numbers]:
    tensors = {
        "mean": head.mean,
        "scale": head.scale,
        "weight": head.scorer.weight,
        "bias": np.array([head.scorer.bias]),
        "calibration": np.array([head.slope, head.offset]),
    }
    if isinstance(head.scorer, Mlp):
        tensors |= {
            "hidden_weight": head.scorer.hidden_weight,
            "hidden_bias": head.scorer.hidden_bias,
        }
    return tensors


def _scorer(tensors: dict[str, Numbers]) -> Scorer:
    bias = float(tensors["bias"][0])
    if "hidden_weight" in tensors:
        return Mlp(tensors["hidden_weight"], tensors["hidden_bias"], tensors["weight"], bias)
    return Linear(tensors["weight"], bias)


def load_figures(workspace: Workspace, classifier_id: str) -> dict[str, Any]:
    """The figures of a classifier, see `ganime.classifiers.training.train_classifier`.

    Raises:
        StoreError: there is no such classifier.
    """
    content = workspace.read_bytes(f"{folder(classifier_id)}/figures.json")
    figures: dict[str, Any] = json.loads(content)
    return figures


def load_settings(workspace: Workspace, classifier_id: str) -> dict[str, Any]:
    """What a classifier was made from.

    Raises:
        StoreError: there is no such classifier.
    """
    content = workspace.read_bytes(f"{folder(classifier_id)}/config.json")
    settings: dict[str, Any] = json.loads(content)
    return settings


def load_question(workspace: Workspace, classifier_id: str) -> QuestionConfig:
    """What a classifier was asked.

    Raises:
        StoreError: there is no such classifier.
    """
    asked = dict(load_settings(workspace, classifier_id)["question"])
    # Classifiers of before `threshold` took wishes have this instead.
    precision = asked.pop("min_precision", None)
    if precision is not None:
        asked["threshold"] = {"precision": precision}
    return QuestionConfig.parse(asked)


def feature_scopes(workspace: Workspace) -> dict[str, str]:
    """A key of the features of each scope: one of its parts, which all tell what measured them."""
    keys = workspace.list(f"manifests/{FeatureRow.FOLDER}", ".parquet")
    return {key.split("/")[2]: key for key in keys}


def load_features(
    workspace: Workspace, scope: str, image_ids: Iterable[str] | None = None
) -> tuple[list[str], Features]:
    """Measured features.

    Args:
        workspace: Where.
        scope: See `ganime.stages.classify.feature_scope`.
        image_ids: Which; all that were measured if None.

    Returns:
        Ids in sorted order, those without features left out, and float32 [N, D].
    """
    table = Table(workspace, FeatureRow, scope).read(["image_id", "features"])
    if image_ids is not None:
        wanted = pa.array(sorted(set(image_ids)), pa.string())
        table = table.filter(pc.is_in(table["image_id"], wanted))
    if not table.num_rows:
        return [], np.empty((0, 0), np.float32)
    ids = np.array(table["image_id"].to_pylist())
    order = np.argsort(ids)
    values = pc.list_flatten(table["features"]).to_numpy().reshape(len(ids), -1)
    return ids[order].tolist(), values[order]


def held_out_scores(workspace: Workspace, classifier_id: str) -> dict[str, float]:
    """Held-out score of each image that a classifier learned from, by image id."""
    table = Table(workspace, ScoreRow, root=folder(classifier_id)).read(["image_id", "score"])
    return dict(zip(table["image_id"].to_pylist(), table["score"].to_pylist(), strict=True))


def score_rows(
    question: str, classifier_id: str, image_ids: list[str], scores: Numbers, run_id: str
) -> list[ScoreRow]:
    """One row per image."""
    at = datetime.now(UTC)
    return [
        ScoreRow(
            image_id=image_id,
            measurement=question,
            revision=classifier_id,
            score=float(score),
            run_id=run_id,
            at=at,
        )
        for image_id, score in zip(image_ids, scores, strict=True)
    ]
