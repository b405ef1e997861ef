"""Classifiers on disk: a head, its figures, and the held-out scores of what it learned from."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ganime.classifiers.head import Head
from ganime.classifiers.logistic import Linear, Numbers
from ganime.errors import StoreError
from ganime.rows import ScoreRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace


def folder(classifier_id: str) -> str:
    """Key of a classifier's folder."""
    return f"classifiers/{classifier_id}"


def exists(workspace: Workspace, classifier_id: str) -> bool:
    """Whether the classifier is there, whole."""
    return workspace.exists(f"{folder(classifier_id)}/figures.json")


def save_classifier(
    workspace: Workspace,
    classifier_id: str,
    head: Head,
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
    tensors = {
        "mean": head.mean,
        "scale": head.scale,
        "weight": head.linear.weight,
        "bias": np.array([head.linear.bias]),
        "calibration": np.array([head.slope, head.offset]),
    }
    workspace.write_bytes(f"{root}/head.safetensors", save(tensors))
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
    key = f"{folder(classifier_id)}/head.safetensors"
    try:
        tensors = load(workspace.read_bytes(key))
        slope, offset = (float(value) for value in tensors["calibration"])
        linear = Linear(tensors["weight"], float(tensors["bias"][0]))
        return Head(tensors["mean"], tensors["scale"], linear, slope, offset)
    except (SafetensorError, KeyError, ValueError) as error:
        raise StoreError(
            f"{workspace.describe(key)} is damaged ({error}): delete the folder "
            f"{workspace.describe(folder(classifier_id))} and run again"
        ) from error


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
