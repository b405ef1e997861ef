"""The answering half of classifying: a classifier per question, and its score of every image."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganime.backbones import BackboneConfig
from ganime.backbones.networks import pretrained_trunk
from ganime.backbones.pretraining import weights_key
from ganime.classifiers import storage
from ganime.classifiers.finetune import Tuned
from ganime.classifiers.folds import neighbour_groups
from ganime.classifiers.head import Features, Head
from ganime.classifiers.logistic import Numbers
from ganime.classifiers.questions import QuestionConfig
from ganime.classifiers.storage import load_features
from ganime.classifiers.training import (
    Answered,
    gather_answers,
    thin_out,
    train_classifier,
    tune_classifier,
)
from ganime.config import Config, digest_of
from ganime.rows import LabelRow, ScoreRow
from ganime.stages.classify_config import ClassifyConfig
from ganime.stages.classify_features import Tags
from ganime.store.manifest import Manifest, Provenance, Table
from ganime.store.pixels import PaddedPixels
from ganime.store.workspace import Workspace

HEAD_REVISION = 3  # raise it whenever heads or their scores change: cached ones then expire
_LOADED = 500  # images in memory at once while a network scores them
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Learned:
    """What answers a question, its held-out scores and its figures."""

    answers_by: Head | Tuned
    held_out: list[float]
    figures: dict[str, Any]


def fit(
    workspace: Workspace,
    config: ClassifyConfig,
    scope: str,
    tags: Tags,
    labels: Sequence[LabelRow],
    run_id: str,
    groups: Mapping[str, str] | None = None,
    pad_scope: str = "",
) -> dict[str, str]:
    """One classifier per question; one that was fitted from the same inputs before is reused.

    Args:
        workspace: Where.
        config: What is asked.
        scope: Of the features, see `feature_scope`.
        tags: By image id, of the images that take part.
        labels: People's current answers.
        run_id: Of this run.
        groups: Name of the group of near-duplicates of an image, by image id, so that none is
            judged by a head that learned from its twin; None takes the workspace's own.
        pad_scope: Which padded pixels fine-tuning looks at.

    Returns:
        The classifier's id by question; questions with too few answers are left out.
    """
    image_ids, features = load_features(workspace, scope, list(tags))
    place = {image_id: i for i, image_id in enumerate(image_ids)}
    together = neighbour_groups(workspace) if groups is None else groups
    ours = {image_id: tags[image_id] for image_id in image_ids}
    classifiers = {}
    for question in config.questions:
        answered = gather_answers(question, ours, labels)
        if not _enough(question, answered, together, config.min_answers):
            continue
        answered = thin_out(answered, config.max_training)
        names = [together.get(image_id, image_id) for image_id in answered.image_ids]
        classifier_id = _classifier_id(config, question, scope, answered, names)
        classifiers[question.question] = classifier_id
        if not storage.exists(workspace, classifier_id):
            if config.finetune.blocks:
                fitted = _tune(workspace, config, question, answered, names, pad_scope)
            else:
                matrix = features[[place[image_id] for image_id in answered.image_ids]]
                fitted = _fit(config, question, answered, matrix, names)
            source = {"features": scope, "padded": pad_scope}
            _save(workspace, config, question, answered, fitted, source, classifier_id, run_id)
    return classifiers


def score(
    workspace: Workspace, classifier_id: str, image_ids: Sequence[str], run_id: str
) -> Manifest | None:
    """Score every image with features that lacks a score of this classifier.

    Images that the classifier learned from get their held-out score, so that no score is
    flattered by having seen the answer.

    Returns:
        The new part; None if nothing was missing.
    """
    settings = storage.load_settings(workspace, classifier_id)
    asked = storage.load_question(workspace, classifier_id)
    question = asked.question
    table = Table(workspace, ScoreRow, f"{question}/{classifier_id}")
    scored = set(table.column("image_id"))
    wanted = [image_id for image_id in image_ids if image_id not in scored]
    if settings.get("finetune", {}).get("blocks"):
        ids, answers = _tuned_scores(workspace, classifier_id, settings, wanted)
    else:
        ids, features = load_features(workspace, str(settings["features"]), wanted)
        head = storage.load_head(workspace, classifier_id)
        answers = head.scores(features) if ids else np.empty(0)
    if not ids:
        return None
    held_out = storage.held_out_scores(workspace, classifier_id)
    scores = np.array([held_out.get(image_id, answers[i]) for i, image_id in enumerate(ids)])
    rows = storage.score_rows(question, classifier_id, ids, scores, run_id)
    return table.write(digest_of(*ids), rows, _provenance(asked, classifier_id, run_id))


def _tuned_scores(
    workspace: Workspace, classifier_id: str, settings: Mapping[str, Any], wanted: Sequence[str]
) -> tuple[list[str], Numbers]:
    """Padded ones of the images, sorted, and their scores by a network of its own [N]."""
    padded = PaddedPixels(workspace, str(settings["padded"]))
    ids = sorted(image_id for image_id in wanted if image_id in padded)
    backbone = BackboneConfig.parse(settings["backbone"])
    tuned = storage.load_tuned(workspace, classifier_id, backbone)
    scores = [np.empty(0)]
    for start in range(0, len(ids), _LOADED):
        scores.append(tuned.scores(padded.load(ids[start : start + _LOADED])))
    return ids, np.concatenate(scores)


def _enough(
    question: QuestionConfig, answered: Answered, groups: Mapping[str, str], least: int
) -> bool:
    """Whether both answers are there often enough, near-duplicates counting once."""
    kinds: dict[bool, set[str]] = {True: set(), False: set()}
    for image_id, answer in zip(answered.image_ids, answered.answers, strict=True):
        kinds[answer].add(groups.get(image_id, image_id))
    yes, no = len(kinds[True]), len(kinds[False])
    if min(yes, no) >= least:
        return True
    log.warning(
        "classify: %s has no classifier, so its rule will abstain: %d yes and %d no are known, at "
        "least %d of each are needed; label some with `ganime label`, or name tags that tell in "
        "classify.questions",
        *(question.question, yes, no, least),
    )
    return False


def _classifier_id(
    config: ClassifyConfig,
    question: QuestionConfig,
    scope: str,
    answered: Answered,
    groups: Sequence[str],
) -> str:
    examples = [
        f"{image_id} {answer} {person} {group}"
        for image_id, answer, person, group in zip(
            answered.image_ids, answered.answers, answered.by_person, groups, strict=True
        )
    ]
    how = config.finetune if config.finetune.blocks else config.head
    settings = [question.canonical(), how.canonical(), str(config.seed)]
    return digest_of(str(HEAD_REVISION), scope, *settings, *examples)


def _fit(
    config: ClassifyConfig,
    question: QuestionConfig,
    answered: Answered,
    features: Features,
    groups: Sequence[str],
) -> _Learned:
    fitted, figures = train_classifier(
        question, answered, features, groups, config.head, config.seed
    )
    return _Learned(fitted.head, fitted.held_out.tolist(), figures)


def _tune(
    workspace: Workspace,
    config: ClassifyConfig,
    question: QuestionConfig,
    answered: Answered,
    groups: Sequence[str],
    pad_scope: str,
) -> _Learned:
    settings = config.backbone
    learned = workspace.local_path(weights_key(settings)) if settings.weights == "tags" else None
    fitted, figures = tune_classifier(
        question,
        answered,
        PaddedPixels(workspace, pad_scope).load(answered.image_ids),
        groups,
        lambda: pretrained_trunk(settings, learned),
        settings,
        config.finetune,
        config.seed,
    )
    return _Learned(fitted.tuned, fitted.held_out.tolist(), figures)


def _save(
    workspace: Workspace,
    config: ClassifyConfig,
    question: QuestionConfig,
    answered: Answered,
    learned: _Learned,
    source: Mapping[str, str],
    classifier_id: str,
    run_id: str,
) -> None:
    figures = learned.figures
    log.info(
        "classify: %s learned from %d yes and %d no, %d set aside; held out: precision %.3f, "
        "recall %.3f",
        *(question.question, figures["num_positive"], figures["num_negative"]),
        *(figures["num_set_aside"], figures["precision"] or 0.0, figures["recall"] or 0.0),
    )
    settings = {
        "question": question.model_dump(mode="json"),
        "head": config.head.model_dump(mode="json"),
        "finetune": config.finetune.model_dump(mode="json"),
        "backbone": config.backbone.model_dump(mode="json"),
        "seed": config.seed,
        "revision": HEAD_REVISION,
        "num_images": len(answered.image_ids),
        **source,
    }
    storage.save_classifier(
        workspace,
        classifier_id,
        learned.answers_by,
        dict(zip(answered.image_ids, learned.held_out, strict=True)),
        settings,
        {"classifier_id": classifier_id, "features": source["features"], **figures},
        _provenance(config, classifier_id, run_id),
    )


def _provenance(config: Config, classifier_id: str, run_id: str) -> Provenance:
    return Provenance(
        stage="classify",
        revision=HEAD_REVISION,
        config=config,
        run_id=run_id,
        parents={"classifier": classifier_id},
    )
