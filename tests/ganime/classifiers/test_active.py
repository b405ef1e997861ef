import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ganime.classifiers.active import (
    class_thresholds,
    find_suspects,
    newest_classifier,
    next_to_label,
    propose_labels,
    suspects,
    uncertainty,
)
from ganime.config import Config
from ganime.errors import ConfigError, StoreError
from ganime.rows import FeatureRow, LabelRow
from ganime.stages import classify
from ganime.stages.classify import ClassifyConfig
from ganime.store.manifest import Provenance, Table, schema_of
from ganime.store.workspace import Workspace


def scored(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Scores of a good classifier: yes mostly high, no mostly low, some in between."""
    return np.where(truth, rng.beta(8, 2, len(truth)), rng.beta(2, 8, len(truth)))


def test_thresholds_and_suspects_by_hand() -> None:
    scores = np.array([0.9, 0.7, 0.1, 0.2, 0.1, 0.95])
    answers = np.array([True, True, True, False, False, False])
    # yes: (0.9 + 0.7 + 0.1) / 3; no: (0.8 + 0.9 + 0.05) / 3
    assert class_thresholds(scores, answers) == pytest.approx((1.75 / 3, 1.7 / 3))
    assert suspects(scores, answers).tolist() == [5, 2]


def test_planted_wrong_answers_are_found_and_come_first() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.4
    scores = scored(rng, truth)
    wrong = rng.choice(2000, 100, replace=False)
    answers = truth.copy()
    answers[wrong] ^= True

    found = suspects(scores, answers)

    assert np.isin(wrong, found).mean() > 0.65  # the surer half of each class, and some
    assert np.isin(found[:50], wrong).mean() > 0.95
    assert len(found) < 150


def test_a_classifier_shy_of_a_rare_answer_still_finds_its_wrong_ones() -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(3000) < 150
    scores = np.where(truth, rng.uniform(0.2, 0.45, 3000), rng.uniform(0.0, 0.05, 3000))
    answers = truth.copy()
    answers[:30] = False

    found = suspects(scores, answers)

    assert not (scores > 0.5).any()  # a cut in the middle would find none
    assert np.isin(np.flatnonzero(answers != truth), found).mean() > 0.4
    assert np.isin(found, np.arange(30)).all()


def test_own_thresholds_choose_how_sure_is_sure() -> None:
    scores, answers = np.array([0.05, 0.3, 0.8, 0.95]), np.array([True, True, False, False])
    assert set(suspects(scores, answers, (0.9, 0.9)).tolist()) == {0, 3}
    assert set(suspects(scores, answers, (0.6, 0.6)).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("answer", [True, False])
def test_with_one_kind_of_answer_or_none_nothing_is_suspect(answer: bool) -> None:
    assert not len(suspects(np.array([0.1, 0.9]), np.array([answer, answer])))
    assert not len(suspects(np.empty(0), np.empty(0, bool)))


def test_uncertainty_peaks_at_the_threshold() -> None:
    found = uncertainty(np.array([0.0, 0.1, 0.2, 0.6, 1.0]), threshold=0.2)
    assert found == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert uncertainty(np.array([0.0, 1.0]), threshold=1.0) == pytest.approx([0, 1])


def clusters(
    rng: np.random.Generator, sizes: list[int], dim: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """Features around one direction per cluster, and the cluster of each."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    features = np.eye(dim)[cluster] + rng.normal(0, 0.03, (len(cluster), dim))
    return features.astype(np.float32), cluster


def test_every_cluster_is_asked_about_before_any_is_asked_twice() -> None:
    rng = np.random.default_rng(2)
    features, cluster = clusters(rng, [500, 200, 50, 20, 10, 5, 3, 2])
    scores = rng.uniform(0.45, 0.55, len(cluster))

    chosen = next_to_label(scores, features, 8, seed=0)

    assert sorted(cluster[chosen]) == list(range(8))
    # The most uncertain alone would ask about the largest clusters again and again.
    unsure = np.argsort(-uncertainty(scores))[:8]
    assert len(set(cluster[unsure])) < 6


def test_unsure_images_are_asked_about_before_certain_ones() -> None:
    rng = np.random.default_rng(3)
    features, cluster = clusters(rng, [100] * 10)
    scores = np.where(cluster < 5, 0.5, 0.999)

    chosen = next_to_label(scores, features, 10, seed=0)

    assert sorted(cluster[chosen[:5]]) == [0, 1, 2, 3, 4]
    assert (cluster[chosen] < 5).all()


def test_copies_are_asked_about_last() -> None:
    features = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 2, 3]]
    chosen = next_to_label(np.full(6, 0.5), features, 6, seed=0).tolist()
    assert {min(i - 2, 1) if i > 2 else 0 for i in chosen[:4]} == {0, 1}
    assert {3, 4, 5} < set(chosen[:4])
    assert sorted(chosen) == list(range(6))


def test_a_choice_depends_on_the_seed_alone() -> None:
    rng = np.random.default_rng(4)
    features, cluster = clusters(rng, [50] * 6)
    scores = rng.random(len(cluster))
    first = next_to_label(scores, features, 20, seed=1)
    assert next_to_label(scores, features, 20, seed=1).tolist() == first.tolist()
    assert next_to_label(scores, features, 5, seed=1).tolist() == first[:5].tolist()
    assert next_to_label(scores, features, 20, seed=2).tolist() != first.tolist()


@pytest.mark.parametrize(("num", "count"), [(-1, 0), (0, 0), (2, 2), (9, 3)])
def test_no_more_is_chosen_than_there_is(num: int, count: int) -> None:
    features = np.zeros((3, 4), np.float32)
    chosen = next_to_label(np.array([0.0, 1.0, 1.0]), features, num, seed=0)
    assert len(set(chosen.tolist())) == count
    assert not len(next_to_label(np.empty(0), np.empty((0, 0), np.float32), num, seed=0))


CONFIG = ClassifyConfig.parse(
    {
        "questions": [{"question": "disc", "positive_tags": ["disc"], "negative_tags": ["solo"]}],
        "head": {"components": 16, "l2": [0.1]},
    }
)
COUNT = 200
IDS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(COUNT)]


def label(image_id: str, answer: bool) -> LabelRow:
    return LabelRow(
        label_id=1,
        image_id=image_id,
        question="disc",
        answer=answer,
        by="ada",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        how="by hand",
        note="",
        supersedes=None,
    )


class Fitted:
    """A workspace with features, planted wrong tags and labels, and a classifier."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(str(root))
        rng = np.random.default_rng(5)
        self.truth = np.arange(COUNT) % 2 == 0
        features = rng.normal(0, 1, (COUNT, 16)).astype(np.float32)
        features[:, 0] += np.where(self.truth, 3, -3)
        rows = pa.table(
            [IDS, features.tolist(), ["run"] * COUNT],
            schema=schema_of(FeatureRow),
        )
        provenance = Provenance(stage="classify", revision=1, config=Config(), run_id="run")
        Table(self.workspace, FeatureRow, "scope").write("all", rows, provenance)
        self.wrong_tags = set(IDS[:6])  # discs and others, swapped
        self.wrong_labels = set(IDS[6:9])
        self.tags = {
            image_id: frozenset({"solo", "disc"} if is_disc != (i < 6) else {"solo"})
            for i, (image_id, is_disc) in enumerate(zip(IDS[:150], self.truth, strict=False))
        }
        self.tags |= {image_id: frozenset() for image_id in IDS[150:]}
        self.labels = [label(IDS[i], bool(self.truth[i]) != (i < 9)) for i in range(6, 20)]
        self.classifier_id = self.fit()

    def fit(self, seed: int = 0) -> str:
        config = CONFIG.model_copy(update={"seed": seed})
        (classifier_id,) = classify.fit(
            self.workspace, config, "scope", self.tags, self.labels, "run", groups={}
        ).values()
        classify.score(self.workspace, classifier_id, IDS, "run")
        return classifier_id


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    return Fitted(tmp_path_factory.mktemp("workspace"))


def test_wrong_tags_and_labels_of_a_workspace_are_found(fitted: Fitted) -> None:
    found = find_suspects(
        fitted.workspace, fitted.classifier_id, fitted.labels, num=12, tags=fitted.tags
    )

    by = {candidate.image_id: candidate.by for candidate in found}
    planted = fitted.wrong_tags | fitted.wrong_labels
    assert {candidate.image_id for candidate in found[:5]} <= planted
    # Of the other three the classifier itself is unsure, so it does not contradict them.
    assert len(planted & by.keys()) >= 6
    assert all(by[image_id] == "person" for image_id in fitted.wrong_labels & by.keys())
    assert all(by[image_id] == "tags" for image_id in fitted.wrong_tags & by.keys())
    worst = found[0]
    assert worst.answer is not None
    assert (worst.score > 0.5) != worst.answer
    assert worst.reason.startswith(("the tags say ", "a person says "))


def test_an_answer_put_right_is_suspect_no_more(fitted: Fitted) -> None:
    right = [*fitted.labels, *(label(IDS[i], bool(fitted.truth[i])) for i in range(9))]

    found = find_suspects(fitted.workspace, fitted.classifier_id, right, 12, fitted.tags)

    assert not {candidate.image_id for candidate in found} & (set(IDS[:9]))


def test_no_tags_leave_the_answers_of_people(fitted: Fitted) -> None:
    found = find_suspects(fitted.workspace, fitted.classifier_id, fitted.labels, 12)

    assert {candidate.by for candidate in found} <= {"person"}


def test_proposals_are_new_unsure_and_say_why(fitted: Fitted) -> None:
    found = propose_labels(fitted.workspace, fitted.classifier_id, fitted.labels, num=10)

    chosen = [candidate.image_id for candidate in found]
    assert len(set(chosen)) == 10
    assert not set(chosen) & {row.image_id for row in fitted.labels}
    every = propose_labels(fitted.workspace, fitted.classifier_id, fitted.labels, num=10**6)
    assert len(every) == COUNT - len(fitted.labels)
    assert [candidate.image_id for candidate in every[:10]] == chosen
    assert all("yes is above" in candidate.reason for candidate in found)

    def doubt(candidates: list) -> float:
        return float(np.mean([min(c.score, 1 - c.score) for c in candidates]))

    assert doubt(found) > doubt(every)


def test_the_newest_classifier_of_a_question_is_found(tmp_path: Path) -> None:
    fitted = Fitted(tmp_path)
    assert newest_classifier(fitted.workspace, "disc") == fitted.classifier_id
    second = fitted.fit(seed=1)
    assert second != fitted.classifier_id
    assert newest_classifier(fitted.workspace, "disc") == second


def test_a_question_or_classifier_that_is_not_there_is_named(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(ConfigError, match="answers 'disc': run `ganime run`"):
        newest_classifier(workspace, "disc")
    with pytest.raises(StoreError, match="cannot read"):
        propose_labels(workspace, "nothing", [], 3)
