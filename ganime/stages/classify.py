"""Ask questions of each image: features once, then small heads that answer by them.

Features are facts, measured once per image and backbone. A question's head is fitted in seconds on
people's answers and on tags; a new label makes a new classifier, never a new pass of the network.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator
from safetensors.torch import save

from ganime.backbones import Backbone, BackboneConfig, open_backbone
from ganime.backbones.pretraining import train_on_tags, weights_key
from ganime.classifiers import storage
from ganime.classifiers.finetune import FineTuneConfig, Tuned, pretrained_trunk
from ganime.classifiers.folds import neighbour_groups
from ganime.classifiers.head import Features, Head, HeadConfig
from ganime.classifiers.logistic import Numbers
from ganime.classifiers.questions import BACKGROUND, CHIBI, MULTIPLE, VIEWPOINT, QuestionConfig
from ganime.classifiers.storage import load_features, load_figures
from ganime.classifiers.training import (
    Answered,
    gather_answers,
    thin_out,
    train_classifier,
    tune_classifier,
)
from ganime.config import Config, digest_of
from ganime.rows import FeatureRow, LabelRow, ScoreRow
from ganime.store.lineage import CrawledImage
from ganime.store.manifest import Manifest, Provenance, Table, schema_of
from ganime.store.pixels import PaddedPixels
from ganime.store.workspace import Workspace

REVISION = 2  # raise it whenever features change: cached ones then expire
HEAD_REVISION = 2  # the same for heads and their scores
_LOADED = 500  # images in memory at once while a network scores them
log = logging.getLogger(__name__)

Tags = Mapping[str, frozenset[str]]
__all__ = [
    *("HEAD_REVISION", "REVISION", "ClassifyConfig", "feature_scope", "fit", "load_figures"),
    *("load_features", "measure", "plan", "prepare_backbone", "run", "score"),
]


class ClassifyConfig(Config):
    """What is asked of each image, and by which network's features."""

    backbone: BackboneConfig = BackboneConfig()
    questions: tuple[QuestionConfig, ...] = (CHIBI, MULTIPLE, VIEWPOINT, BACKGROUND)
    head: HeadConfig = HeadConfig()
    finetune: FineTuneConfig = FineTuneConfig()
    min_precision: float = Field(
        0.5, ge=0, le=1, description="A classifier with a lower held-out precision is not obeyed."
    )
    min_answers: int = Field(
        8, ge=2, description="A question with fewer yes or fewer no gets no classifier."
    )
    max_training: int = Field(
        20_000, ge=16, description="A head learns from at most so many images."
    )
    seed: int = Field(0, ge=0, description="Of the folds.")
    shard_size: int = Field(1000, ge=1, description="Images per part of the features.")

    @field_validator("questions")
    @classmethod
    def _asked_once(cls, questions: tuple[QuestionConfig, ...]) -> tuple[QuestionConfig, ...]:
        names = [question.question for question in questions]
        if len(set(names)) < len(names):
            raise ValueError(f"a question is asked twice: {', '.join(names)}")
        return questions


@dataclass(frozen=True)
class _Learned:
    """What answers a question, its held-out scores and its figures."""

    answers_by: Head | Tuned
    held_out: list[float]
    figures: dict[str, Any]


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
        if (threshold := _trusted_threshold(workspace, config, question, classifier_id)) is not None
    }
    log.info(
        "classify: %d images, %s",
        len(image_ids),
        ", ".join(f"{name} above {cut:.3f}" for name, (_, cut) in thresholds.items())
        or "no question has a classifier to trust",
    )
    return thresholds


def _trusted_threshold(
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


def prepare_backbone(
    workspace: Workspace, config: ClassifyConfig, tags: Tags, pad_scope: str, run_id: str
) -> Backbone:
    """The backbone, its weights learned from the tags first if so configured and not done yet.

    Raises:
        WeightsError: the weights cannot be had; says how to give them.
    """
    settings = config.backbone
    key = weights_key(settings)
    if settings.weights == "tags" and not workspace.exists(key):
        padded = PaddedPixels(workspace, pad_scope)
        # Ids are hashes: the first are as good as any.
        chosen = sorted(image_id for image_id in tags if image_id in padded)
        chosen = chosen[: settings.pretraining.max_images]
        images = padded.load(chosen) if chosen else np.empty((0, 1, 1, 3), np.uint8)
        state = train_on_tags(images, [tags[image_id] for image_id in chosen], settings)
        workspace.write_text(
            key.replace("weights.safetensors", "config.json"), settings.model_dump_json(indent=1)
        )
        workspace.write_bytes(key, save(state, {"run_id": run_id, "images": str(len(chosen))}))
    return open_backbone(workspace, settings)


def feature_scope(backbone: Backbone, pad_scope: str) -> str:
    """Scope of the features' table: other pixels or another network give other features."""
    return f"{backbone.id}-{pad_scope}-r{REVISION}"


def plan(
    workspace: Workspace,
    config: ClassifyConfig,
    backbone: Backbone,
    image_ids: Sequence[str],
    pad_scope: str,
) -> list[list[str]]:
    """Shards of padded images that lack features, in the order of their ids."""
    padded = PaddedPixels(workspace, pad_scope)
    table = Table(workspace, FeatureRow, feature_scope(backbone, pad_scope))
    missing = table.missing(sorted(image_id for image_id in image_ids if image_id in padded))
    size = config.shard_size
    return [missing[start : start + size] for start in range(0, len(missing), size)]


def measure(
    workspace: Workspace,
    config: ClassifyConfig,
    backbone: Backbone,
    image_ids: Sequence[str],
    pad_scope: str,
    run_id: str,
) -> Manifest:
    """Features of one shard, committed as one part."""
    features = backbone.descriptions(PaddedPixels(workspace, pad_scope).load(image_ids))
    flat = pa.array(features.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, backbone.description_dim)
    rows = pa.table(
        [list(image_ids), column.cast(pa.list_(pa.float32())), [run_id] * len(image_ids)],
        schema=schema_of(FeatureRow),
    )
    provenance = Provenance(
        stage="classify",
        revision=REVISION,
        config=config.backbone,
        run_id=run_id,
        parents={"backbone": backbone.weights_digest, "padded": pad_scope},
    )
    table = Table(workspace, FeatureRow, feature_scope(backbone, pad_scope))
    return table.write(digest_of(*image_ids), rows, provenance)


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
