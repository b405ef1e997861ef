"""Which answers to look at again, and which images to label next.

Suspects: Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels", arXiv 1911.00068. Diversity: Sener, Savarese 2018, "Active Learning for Convolutional
Neural Networks: A Core-Set Approach", arXiv 1708.00489, its greedy k-centre, each distance weighted
by how unsure the classifier is, so that no lone but obvious image is asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from ganime.classifiers import storage
from ganime.classifiers.head import Features
from ganime.classifiers.logistic import Answers, Numbers
from ganime.classifiers.training import gather_answers
from ganime.errors import ConfigError
from ganime.rows import LabelRow, ScoreRow
from ganime.store.lineage import crawled_images, crawls
from ganime.store.manifest import Table, read_part
from ganime.store.workspace import Workspace

Indices = npt.NDArray[np.int64]
# Copies and certain images come last, yet in an order: their weight is small rather than nothing.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Candidate:
    """One image that is worth a person's look.

    Attributes:
        image_id: SHA-256 of the original.
        score: The classifier's probability of yes, held out if it learned from the image, 0-1.
        answer: The answer to check; None where one is asked for.
        by: Who gave it, person or tags; None where one is asked for.
        reason: Why it is worth a look, in words.
    """

    image_id: str
    score: float
    answer: bool | None
    by: str | None
    reason: str


def class_thresholds(scores: Numbers, answers: Answers) -> tuple[float, float]:
    """Least probability at which an example counts as a no and as a yes.

    The paper's average self-confidence: the mean over the examples with that answer of the
    probability of that answer. So an answer that the classifier is shy of gets a lower threshold.
    Infinite for an answer that nobody gave.

    Args:
        scores: Probability of yes, of examples that were not learned from [N].
        answers: Yes or no [N].
    """
    no, yes = 1 - scores[~answers], scores[answers]
    return (
        float(no.mean()) if len(no) else float("inf"),
        float(yes.mean()) if len(yes) else float("inf"),
    )


def suspects(
    scores: Numbers, answers: Answers, thresholds: tuple[float, float] | None = None
) -> Indices:
    """Answers that the scores confidently contradict.

    An example counts confidently as an answer whose probability reaches the answer's threshold; of
    two such answers the more probable one: the paper's confident joint, off its diagonal.

    Args:
        scores: Probability of yes, of examples that were not learned from [N].
        answers: Yes or no [N].
        thresholds: Least probability to count as a no, and as a yes; None takes
            `class_thresholds`.

    Returns:
        Indices [M], the least probable answer first.
    """
    least_no, least_yes = class_thresholds(scores, answers) if thresholds is None else thresholds
    likely_no, likely_yes = 1 - scores >= least_no, scores >= least_yes
    said_no = likely_no & (~likely_yes | (scores < 0.5))
    said_yes = likely_yes & (~likely_no | (scores > 0.5))
    wrong = np.flatnonzero(np.where(answers, said_no, said_yes))
    given = np.where(answers, scores, 1 - scores)[wrong]
    return wrong[np.argsort(given, kind="stable")]


def uncertainty(scores: Numbers, threshold: float = 0.5) -> Numbers:
    """1 at the threshold, falling evenly to 0 at the scores 0 and 1.

    Args:
        scores: Probability of yes [N].
        threshold: Yes is above it.

    Returns:
        [N], each in [0, 1].
    """
    room = np.where(scores < threshold, threshold, 1 - threshold)
    found: Numbers = 1 - np.abs(scores - threshold) / np.maximum(room, _LEAST)
    return found


def next_to_label(
    scores: Numbers, features: Features, num: int, seed: int, threshold: float = 0.5
) -> Indices:
    """Unsure images that differ from each other: farthest first, distances weighted.

    The first is drawn by its uncertainty; each next one has the largest product of its uncertainty
    and its distance to the nearest chosen one. Distances are those of directions, so that images
    with long features do not look far from everything.

    Args:
        scores: Probability of yes [N].
        features: Of the same images, float32 [N, D].
        num: How many; at most N are there.
        seed: Draws the first.
        threshold: Yes is above it.

    Returns:
        Indices [min(num, N)] in the order of the choice: a smaller num gives the beginning of it.
        Time grows with num x N x D, memory beside the arguments with N.
    """
    num = min(max(num, 0), len(scores))
    if num == 0:
        return np.empty(0, np.int64)
    weight = np.maximum(uncertainty(scores, threshold), _LEAST)
    lengths = np.maximum(np.sqrt(np.einsum("nd,nd->n", features, features)), _LEAST)
    chosen = np.empty(num, np.int64)
    chosen[0] = np.random.default_rng(seed).choice(len(scores), p=weight / weight.sum())
    nearest = np.full(len(scores), np.inf)
    for i in range(1, num):
        last = chosen[i - 1]
        cosine = features @ features[last] / (lengths * lengths[last])
        distance = np.sqrt(np.maximum(2 - 2 * cosine, 0))
        nearest = np.minimum(nearest, np.maximum(distance, _LEAST))
        nearest[last] = 0.0  # less than any that is not chosen
        chosen[i] = np.argmax(weight * nearest)
    return chosen


def newest_classifier(workspace: Workspace, question: str) -> str:
    """Id of the classifier that scored images last.

    Raises:
        ConfigError: none answered this question.
    """
    folder = f"manifests/{ScoreRow.FOLDER}/{question}"
    newest: tuple[datetime, str] | None = None
    for key in workspace.list(folder, ".parquet"):
        scored_at = pc.max(read_part(workspace, key, ScoreRow, ["at"])["at"]).as_py()
        if scored_at is not None:
            found = (scored_at, key.split("/")[3])
            newest = found if newest is None else max(newest, found)
    if newest is None:
        raise ConfigError(
            f"no classifier in {workspace.describe()} answers {question!r}: run `ganime run` with "
            "this question in classify.questions, and label some images if it says too few"
        )
    return newest[1]


def find_suspects(
    workspace: Workspace,
    classifier_id: str,
    labels: Sequence[LabelRow],
    num: int,
    tags: Mapping[str, frozenset[str]] | None = None,
) -> list[Candidate]:
    """Answers that a classifier's held-out scores contradict, the worst first.

    Args:
        workspace: Where.
        classifier_id: Whose scores.
        labels: People's current answers, which may be newer than the classifier.
        num: At most so many.
        tags: By image id, for what tags answer; None reads those of all crawls.

    Raises:
        StoreError: there is no such classifier.
    """
    question = storage.load_question(workspace, classifier_id)
    held_out = storage.held_out_scores(workspace, classifier_id)
    found = _all_tags(workspace) if tags is None else tags
    ours = {image_id: found.get(image_id, frozenset()) for image_id in held_out}
    answered = gather_answers(question, ours, labels)
    scores = np.array([held_out[image_id] for image_id in answered.image_ids])
    answers = np.array(answered.answers, dtype=bool)
    least = class_thresholds(scores, answers)
    return [
        Candidate(
            answered.image_ids[i],
            float(scores[i]),
            bool(answers[i]),
            by := "person" if answered.by_person[i] else "tags",
            _contradiction(by, bool(answers[i]), float(scores[i]), least),
        )
        for i in suspects(scores, answers, least)[: max(num, 0)]
    ]


def propose_labels(
    workspace: Workspace,
    classifier_id: str,
    labels: Sequence[LabelRow],
    num: int,
    seed: int = 0,
) -> list[Candidate]:
    """Images to label next for a classifier's question, the most telling first.

    Args:
        workspace: Where.
        classifier_id: Whose scores.
        labels: People's current answers; images with one are not asked for again.
        num: At most so many.
        seed: Draws the first.

    Returns:
        Images that the classifier scored and that still have features.

    Raises:
        StoreError: there is no such classifier.
    """
    settings = storage.load_settings(workspace, classifier_id)
    question = storage.load_question(workspace, classifier_id).question
    threshold = float(storage.load_figures(workspace, classifier_id)["threshold"])
    done = {row.image_id for row in labels if row.question == question}
    table = Table(workspace, ScoreRow, f"{question}/{classifier_id}").read(["image_id", "score"])
    known = dict(zip(table["image_id"].to_pylist(), table["score"].to_pylist(), strict=True))
    wanted = known.keys() - done
    image_ids, features = storage.load_features(workspace, str(settings["features"]), wanted)
    scores = np.array([known[image_id] for image_id in image_ids])
    return [
        Candidate(
            image_ids[i],
            float(scores[i]),
            None,
            None,
            f"unsure: score {scores[i]:.2f}, yes is above {threshold:.2f}",
        )
        for i in next_to_label(scores, features, num, seed, threshold)
    ]


def _contradiction(by: str, answer: bool, score: float, least: tuple[float, float]) -> str:
    who = "a person says" if by == "person" else "the tags say"
    given, other = ("yes", "no") if answer else ("no", "yes")
    probability = 1 - score if answer else score
    return (
        f"{who} {given}; the classifier says {other} with {probability:.2f}, where "
        f"{least[not answer]:.2f} is usual"
    )


def _all_tags(workspace: Workspace) -> dict[str, frozenset[str]]:
    images = crawled_images(workspace, crawls(workspace))
    return {image.image_id: frozenset(image.tags) for image in images}
