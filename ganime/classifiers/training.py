"""From people's answers and tags to a fitted classifier with its figures."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ganime.classifiers.figures import (
    at_threshold,
    calibration_error,
    curve,
    histogram,
)
from ganime.classifiers.folds import assign_folds
from ganime.classifiers.head import Examples, Features, Fitted, HeadConfig, fit_head
from ganime.classifiers.logistic import Answers, Numbers
from ganime.classifiers.questions import QuestionConfig
from ganime.classifiers.selection import Folds
from ganime.classifiers.thresholds import (
    Chosen,
    ThresholdWish,
    choose_threshold,
    thresholds_by_fold,
)
from ganime.rows import LabelRow

if TYPE_CHECKING:  # torch takes seconds to import, and heads do without
    from ganime.backbones import BackboneConfig
    from ganime.backbones.networks import Trunk
    from ganime.classifiers.finetune import FineTuneConfig, Images, TunedFit

MAX_SUSPECTS = 200
# Yes and no by people, each, from which on these alone say how good a classifier is: ten of ten
# still leave a precision of 0.72 in the interval, fewer tell next to nothing.
MIN_PEOPLE = 10
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
    """Images with an answer to one question, by image id in sorted order.

    Attributes:
        image_ids: [N].
        answers: Yes or no [N].
        by_person: Whether a person said so, else the tags did [N].
    """

    image_ids: list[str]
    answers: list[bool]
    by_person: list[bool]

    def examples(self, features: Features, groups: Sequence[str]) -> Examples:
        """With their features [N, D] and the names of their groups [N]."""
        return Examples(
            keys=self.image_ids,
            features=features,
            answers=np.array(self.answers),
            sure=np.array(self.by_person),
            groups=groups,
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """How many yes and no, by people and by tags."""
        pairs = list(zip(self.answers, self.by_person, strict=True))
        return {
            name: {"people": pairs.count((answer, True)), "tags": pairs.count((answer, False))}
            for name, answer in (("positive", True), ("negative", False))
        }


def gather_answers(
    question: QuestionConfig,
    tags: Mapping[str, frozenset[str]],
    labels: Sequence[LabelRow],
) -> Answered:
    """What is known about the images: people's answers outrank the tags.

    Args:
        question: What is asked.
        tags: By image id; images that are not in it take no part.
        labels: Current answers of people to any question.
    """
    said = {
        row.image_id: row.answer
        for row in labels
        if row.question == question.question and row.answer is not None and row.image_id in tags
    }
    known = {image_id: question.weak_answer(found) for image_id, found in tags.items()} | said
    image_ids = sorted(image_id for image_id, answer in known.items() if answer is not None)
    return Answered(
        image_ids,
        [bool(known[image_id]) for image_id in image_ids],
        [image_id in said for image_id in image_ids],
    )


def thin_out(answered: Answered, most: int) -> Answered:
    """Leave out weak answers beyond `most` images, those of the more common answer first.

    Image ids are hashes, so that taking them in order is as good as drawing lots.
    """
    if len(answered.image_ids) <= most:
        return answered
    common = 2 * sum(answered.answers) > len(answered.answers)
    rows = list(zip(answered.image_ids, answered.answers, answered.by_person, strict=True))
    order = sorted(rows, key=lambda row: (not row[2], row[1] == common, row[0]))
    kept = sorted(order[:most])
    return Answered([row[0] for row in kept], [row[1] for row in kept], [row[2] for row in kept])


def train_classifier(
    question: QuestionConfig,
    answered: Answered,
    features: Features,
    groups: Sequence[str],
    config: HeadConfig,
    seed: int,
) -> tuple[Fitted, dict[str, Any]]:
    """Fit a head and tell how good it is.

    Args:
        question: What is asked, and how the threshold is chosen.
        answered: N images with answers, both yes and no among them.
        features: Of these images, float32 [N, D].
        groups: Near-duplicates share a group [N].
        config: How to fit.
        seed: Of the folds.

    Returns:
        The fitted head, and its figures as JSON-ready values. All come from held-out scores, and
        those that depend on the threshold from one that was chosen without the fold they count.
        Those at the top hold every answer for right, so that missing tags count against the
        classifier; `people` counts people's answers alone, which are right but may have been
        picked for being hard; `judged_by` says which of the two to go by: people once they gave
        `MIN_PEOPLE` yes and as many no. A wish for a precision or recall is judged by the same.
    """
    examples = answered.examples(features, groups)
    fitted = fit_head(examples, config, seed=seed)
    figures = _figures(
        question, answered, examples, fitted.held_out, fitted.set_aside, fitted.folds
    )
    return fitted, figures | {"kind": fitted.kind, "l2": fitted.l2}


def tune_classifier(
    question: QuestionConfig,
    answered: Answered,
    images: "Images",
    groups: Sequence[str],
    start: "Callable[[], Trunk]",
    backbone: "BackboneConfig",
    config: "FineTuneConfig",
    seed: int,
) -> "tuple[TunedFit, dict[str, Any]]":
    """Learn the last blocks of a backbone for a question and tell how good the network is.

    Args:
        question: What is asked, and how the threshold is chosen.
        answered: N images with answers, both yes and no among them.
        images: These images, uint8 sRGB [N, H, W, 3].
        groups: Near-duplicates share a group [N].
        start: Makes the pretrained trunk afresh.
        backbone: Its settings.
        config: How to learn.
        seed: Of the folds, the order and the augmentation.

    Returns:
        The network, and figures as those of `train_classifier`; no weak answer is set aside.
    """
    from ganime.classifiers.finetune import fine_tune

    examples = answered.examples(np.empty((len(images), 0), np.float32), groups)
    folds = assign_folds(
        examples.keys, examples.answers, examples.groups, folds=config.folds, seed=seed
    )
    fitted = fine_tune(examples, folds, images, start, backbone, config, seed)
    nothing = np.zeros(len(images), bool)
    figures = _figures(question, answered, examples, fitted.held_out, nothing, folds)
    return fitted, figures | {"kind": "finetuned", "l2": None}


def judged_by(answers: Answers, sure: Answers) -> Literal["people", "all"]:
    """Whose answers tell how good a classifier is.

    Args:
        answers: Yes or no [N].
        sure: Said by a person [N].
    """
    enough = min(int((answers & sure).sum()), int((~answers & sure).sum())) >= MIN_PEOPLE
    return "people" if enough else "all"


def _figures(
    question: QuestionConfig,
    answered: Answered,
    examples: Examples,
    scores: Numbers,
    set_aside: Answers,
    folds: Folds,
) -> dict[str, Any]:
    answers, sure = examples.answers, examples.sure
    judges = judged_by(answers, sure)
    wanted = question.threshold
    # Answers that are probably wrong take no part in the best F1, but a wish is not to be met by
    # leaving out what contradicts it.
    used = ~set_aside
    if isinstance(wanted, ThresholdWish):
        used = sure if judges == "people" else np.ones(len(answers), bool)
    chosen = choose_threshold(scores[used], answers[used], wanted)
    _warn(question.question, wanted, chosen)
    cuts = thresholds_by_fold(scores, answers, folds, used, wanted)
    by_people = at_threshold(scores[sure], answers[sure], cuts[sure]) if sure.any() else None
    return {
        "question": question.question,
        "threshold": chosen.threshold,
        "wish": chosen.told(wanted),
        **at_threshold(scores, answers, cuts),
        "people": by_people,
        "judged_by": judges,
        "num_positive": int(answers.sum()),
        "num_negative": int((~answers).sum()),
        "labels": answered.counts(),
        "calibration_error": calibration_error(scores, answers),
        "curve": curve(scores, answers),
        "histogram": histogram(scores, answers),
        "num_set_aside": int(set_aside.sum()),
        "suspects": _suspects(answered, examples, scores, set_aside, chosen.threshold),
        "folds": int(folds.max()) + 1,
    }


def _warn(question: str, wanted: float | ThresholdWish | None, chosen: Chosen) -> None:
    if isinstance(wanted, ThresholdWish) and not chosen.reached:
        log.warning(
            "classify: no threshold of %s reaches the wanted %s on held-out answers, so the best "
            "F1 is taken, at %.3f; label more images with `ganime label`, or want less",
            question,
            ", ".join(f"{name} {v}" for name, v in wanted.model_dump(exclude_none=True).items()),
            chosen.threshold,
        )


def _suspects(
    answered: Answered,
    examples: Examples,
    scores: Numbers,
    set_aside: Answers,
    threshold: float,
) -> list[dict[str, Any]]:
    """Answers the held-out score contradicts, the worst first: worth a look by a person."""
    answers = examples.answers
    wrong = np.flatnonzero((scores > threshold) != answers)
    worst = wrong[np.argsort(-np.abs(scores[wrong] - threshold), kind="stable")][:MAX_SUSPECTS]
    return [
        {
            "image_id": answered.image_ids[i],
            "score": float(scores[i]),
            "answer": bool(answers[i]),
            "by": "person" if examples.sure[i] else "tags",
            "set_aside": bool(set_aside[i]),
        }
        for i in worst
    ]
