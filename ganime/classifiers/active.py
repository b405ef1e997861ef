"""Which answers to look at again, and which images to label next.

Suspects: Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels", arXiv 1911.00068. What to label next is chosen by `ganime.classifiers.asking`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle

import numpy as np
import pyarrow.compute as pc

from ganime.classifiers import storage
from ganime.classifiers.asking import Indices, Known, Way, next_to_label, ways
from ganime.classifiers.head import Features
from ganime.classifiers.logistic import Answers, Numbers
from ganime.classifiers.training import gather_answers
from ganime.errors import ConfigError
from ganime.rows import FeatureRow, LabelRow, ScoreRow
from ganime.store.lineage import crawled_images, crawls
from ganime.store.manifest import Table, read_part
from ganime.store.workspace import Workspace

_FIRST: dict[Way, str] = {  # why, where there are no scores yet
    "typical": "typical: many images are like it",
    "unlike the known ones": "unlike the known ones: a kind that nobody may have answered yet",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One image that is worth a person's look.

    Attributes:
        image_id: SHA-256 of the original.
        score: The classifier's probability of yes, held out if it learned from the image, 0-1;
            None where there is no classifier.
        answer: The answer to check; None where one is asked for.
        by: Who gave it, person or tags; None where one is asked for.
        reason: Why it is worth a look, in words.
    """

    image_id: str
    score: float | None
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


def newest_classifier(workspace: Workspace, question: str) -> str:
    """Id of the classifier that scored images last.

    Raises:
        ConfigError: none answered this question.
    """
    found = find_classifier(workspace, question)
    if found is None:
        raise ConfigError(
            f"no classifier in {workspace.describe()} answers {question!r}: run `ganime run` with "
            "this question in classify.questions, and label some images if it says too few"
        )
    return found


def find_classifier(workspace: Workspace, question: str) -> str | None:
    """`newest_classifier`, or None where none answered this question yet."""
    folder = f"manifests/{ScoreRow.FOLDER}/{question}"
    newest: tuple[datetime, str] | None = None
    for key in workspace.list(folder, ".parquet"):
        scored_at = pc.max(read_part(workspace, key, ScoreRow, ["at"])["at"]).as_py()
        if scored_at is not None:
            found = (scored_at, key.split("/")[3])
            newest = found if newest is None else max(newest, found)
    return None if newest is None else newest[1]


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
        seed: See `next_to_label`.

    Returns:
        Images that the classifier scored and that still have features.

    Raises:
        StoreError: there is no such classifier.
    """
    settings = storage.load_settings(workspace, classifier_id)
    question = storage.load_question(workspace, classifier_id).question
    threshold = float(storage.load_figures(workspace, classifier_id)["threshold"])
    table = Table(workspace, ScoreRow, f"{question}/{classifier_id}").read(["image_id", "score"])
    scored = dict(zip(table["image_id"].to_pylist(), table["score"].to_pylist(), strict=True))
    image_ids, features = storage.load_features(workspace, str(settings["features"]), scored)
    new, known = _known(labels, question, image_ids, features)
    scores = np.array([scored[image_id] for image_id in image_ids])[new]
    asked = next_to_label(scores, features[new], num, seed, threshold, known)
    return [
        Candidate(
            image_id,
            scored[image_id],
            None,
            None,
            f"{way}: score {scored[image_id]:.2f}, yes is above {threshold:.2f}",
        )
        for image_id, way in _with_ways(image_ids, new, asked, ways(scores, known))
    ]


def propose_first_labels(
    workspace: Workspace,
    question: str,
    labels: Sequence[LabelRow],
    num: int,
    seed: int = 0,
) -> list[Candidate]:
    """Images to label while no classifier answers a question, the most telling first.

    Args:
        workspace: Where.
        question: What is asked.
        labels: People's current answers; images with one are not asked for again.
        num: At most so many.
        seed: See `next_to_label`.

    Returns:
        Images of the table of features that has most of them, without scores.

    Raises:
        ConfigError: no image has features yet.
    """
    image_ids, features = storage.load_features(workspace, _largest_scope(workspace))
    new, known = _known(labels, question, image_ids, features)
    nothing = np.full(int(new.sum()), 0.5)
    asked = next_to_label(nothing, features[new], num, seed, known=known)
    return [
        Candidate(image_id, None, None, None, _FIRST[way])
        for image_id, way in _with_ways(image_ids, new, asked, ways(nothing, known))
    ]


def _known(
    labels: Sequence[LabelRow], question: str, image_ids: Sequence[str], features: Features
) -> tuple[Answers, Known]:
    """Which images nobody answered [N], and those that somebody did."""
    answers = {
        row.image_id: row.answer
        for row in labels
        if row.question == question and row.answer is not None
    }
    new = np.array([image_id not in answers for image_id in image_ids], dtype=bool)
    given = [answers[image_id] for image_id in image_ids if image_id in answers]
    return new, Known(features[~new], np.array(given, bool))


def _with_ways(
    image_ids: Sequence[str], new: Answers, asked: Indices, turns: Sequence[Way]
) -> Iterator[tuple[str, Way]]:
    """Chosen among the new images, by their place there, each with the way that chose it."""
    places = np.flatnonzero(new)[asked]
    return zip((image_ids[i] for i in places), cycle(turns), strict=False)


def _largest_scope(workspace: Workspace) -> str:
    scopes = sorted(storage.feature_scopes(workspace))
    counts = {
        scope: len(Table(workspace, FeatureRow, scope).column("image_id")) for scope in scopes
    }
    if not any(counts.values()):
        raise ConfigError(
            f"no image in {workspace.describe()} has features, by which images to label are "
            "chosen: run `ganime run`, which measures them"
        )
    return max(counts, key=lambda scope: counts[scope])


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
