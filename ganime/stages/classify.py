"""Ask questions of each image: features once, then small heads that answer by them.

Features are facts, measured once per image and backbone. A question's head is fitted in seconds on
people's answers and on tags; a new label makes a new classifier, never a new pass of the network.
"""

import logging
from collections.abc import Sequence

from ganime.classifiers.storage import load_features, load_figures
from ganime.rows import LabelRow
from ganime.stages.classify_answers import HEAD_REVISION, fit, score
from ganime.stages.classify_config import ClassifyConfig
from ganime.stages.classify_features import (
    REVISION,
    feature_scope,
    measure,
    plan,
    prepare_backbone,
)
from ganime.store.lineage import CrawledImage
from ganime.store.workspace import Workspace

log = logging.getLogger(__name__)

__all__ = [
    "HEAD_REVISION",
    "REVISION",
    "ClassifyConfig",
    "feature_scope",
    "fit",
    "load_features",
    "load_figures",
    "measure",
    "plan",
    "prepare_backbone",
    "run",
    "score",
    "trusted_threshold",
]


def run(
    workspace: Workspace,
    config: ClassifyConfig,
    images: Sequence[CrawledImage],
    labels: Sequence[LabelRow],
    pad_scope: str,
    run_id: str,
) -> dict[str, tuple[str, float]]:
    """Measure features, fit a classifier per question and score every image.

    Args:
        workspace: Where.
        config: What is asked.
        images: What the crawls brought.
        labels: People's current answers.
        pad_scope: Which padded pixels are looked at.
        run_id: Of this run.

    Returns:
        By question, the classifier's id and its threshold; questions with too few answers are left
        out.

    Raises:
        WeightsError: the backbone's weights cannot be had.
    """
    tags = {image.image_id: frozenset(image.tags) for image in images}
    backbone = prepare_backbone(workspace, config, tags, pad_scope, run_id)
    image_ids = sorted(tags)
    for shard in plan(workspace, config, backbone, image_ids, pad_scope):
        measure(workspace, config, backbone, shard, pad_scope, run_id)
    scope = feature_scope(backbone, pad_scope)
    classifiers = fit(workspace, config, scope, tags, labels, run_id, pad_scope=pad_scope)
    for classifier_id in classifiers.values():
        score(workspace, classifier_id, image_ids, run_id)
    thresholds = {
        question: (classifier_id, threshold)
        for question, classifier_id in classifiers.items()
        if (threshold := trusted_threshold(workspace, config, question, classifier_id)) is not None
    }
    log.info(
        "classify: %d images, %s",
        len(image_ids),
        ", ".join(f"{name} above {cut:.3f}" for name, (_, cut) in thresholds.items())
        or "no question has a classifier to trust",
    )
    return thresholds


def trusted_threshold(
    workspace: Workspace, config: ClassifyConfig, question: str, classifier_id: str
) -> float | None:
    """The classifier's threshold, or None if it is wrong too often to drop images by it."""
    figures = load_figures(workspace, classifier_id)
    judges = figures["judged_by"]
    counted = figures["people"] if judges == "people" else figures
    precision = float(counted["precision"] or 0.0)
    if precision >= config.min_precision:
        return float(figures["threshold"])
    log.warning(
        "classify: %s has a held-out precision of %.2f (judged by %s), below "
        "classify.min_precision = %.2f, so its rule will abstain; label more images with `ganime "
        "label`",
        question,
        precision,
        "people's answers" if judges == "people" else "people's answers and tags",
        config.min_precision,
    )
    return None
