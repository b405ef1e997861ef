"""From people's answers and tags to a fitted classifier with its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganime.classifiers.figures import (
    at_threshold,
    calibration_error,
    curve,
    histogram,
)
from ganime.classifiers.head import Examples, Features, Fitted, HeadConfig, fit_head
from ganime.classifiers.questions import QuestionConfig
from ganime.rows import LabelRow

MAX_SUSPECTS = 200


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
        The fitted head, and its figures as JSON-ready values. All figures come from held-out
        scores. Those at the top hold every answer for right, so that tags that are missing count
        against the classifier; `without_suspects` leaves out the weak answers that were set aside,
        which flatters it: the truth lies between. `people` counts people's answers alone.
    """
    examples = Examples(
        keys=answered.image_ids,
        features=features,
        answers=np.array(answered.answers),
        sure=np.array(answered.by_person),
        groups=groups,
    )
    fitted = fit_head(examples, config, seed=seed, min_precision=question.min_precision)
    threshold = fitted.threshold if question.threshold is None else question.threshold
    return fitted, _figures(question.question, answered, examples, fitted, threshold)


def _figures(
    question: str, answered: Answered, examples: Examples, fitted: Fitted, threshold: float
) -> dict[str, Any]:
    scores, answers, used = fitted.held_out, examples.answers, ~fitted.set_aside
    sure = examples.sure
    return {
        "question": question,
        **at_threshold(scores, answers, threshold),
        "num_positive": int(answers.sum()),
        "num_negative": int((~answers).sum()),
        "labels": answered.counts(),
        "without_suspects": at_threshold(scores[used], answers[used], threshold),
        "people": at_threshold(scores[sure], answers[sure], threshold) if sure.any() else None,
        "calibration_error": calibration_error(scores, answers),
        "curve": curve(scores, answers),
        "curve_without_suspects": curve(scores[used], answers[used]),
        "histogram": histogram(scores, answers),
        "num_set_aside": int(fitted.set_aside.sum()),
        "suspects": _suspects(answered, examples, fitted, threshold),
        "folds": int(fitted.folds.max()) + 1,
        "l2": fitted.l2,
    }


def _suspects(
    answered: Answered, examples: Examples, fitted: Fitted, threshold: float
) -> list[dict[str, Any]]:
    """Answers the held-out score contradicts, the worst first: worth a look by a person."""
    scores, answers = fitted.held_out, examples.answers
    wrong = np.flatnonzero((scores > threshold) != answers)
    worst = wrong[np.argsort(-np.abs(scores[wrong] - threshold), kind="stable")][:MAX_SUSPECTS]
    return [
        {
            "image_id": answered.image_ids[i],
            "score": float(scores[i]),
            "answer": bool(answers[i]),
            "by": "person" if examples.sure[i] else "tags",
            "set_aside": bool(fitted.set_aside[i]),
        }
        for i in worst
    ]
