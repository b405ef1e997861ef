import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ganime.classifiers.active import (
    class_thresholds,
    find_classifier,
    find_suspects,
    newest_classifier,
    propose_first_labels,
    propose_labels,
    suspects,
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
    assert worst.score is not None
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
    said = [candidate.reason.partition(":")[0] for candidate in found[:4]]
    assert said == ["unsure", "unsure", "unsure", "unlike the known ones"]

    def doubt(candidates: list) -> float:
        return float(np.mean([min(c.score, 1 - c.score) for c in candidates]))

    assert doubt(found) > doubt(every)


def test_an_answer_taken_back_is_asked_for_again_and_one_yes_among_many_no_asks_for_likely_ones(
    fitted: Fitted,
) -> None:
    back, *others = fitted.labels
    rows = [replace(back, answer=None), *(replace(row, answer=row is others[0]) for row in others)]

    found = propose_labels(fitted.workspace, fitted.classifier_id, rows, num=10**6)

    assert back.image_id in {candidate.image_id for candidate in found}
    assert found[0].reason.startswith("likely yes: score ")
    assert found[0].score is not None
    assert found[0].score > 0.8


def test_before_a_classifier_typical_images_and_unlike_ones_are_asked_for(fitted: Fitted) -> None:
    assert find_classifier(fitted.workspace, "ball") is None
    known = [replace(row, question="ball") for row in fitted.labels]

    found = propose_first_labels(fitted.workspace, "ball", known, num=8)

    chosen = [candidate.image_id for candidate in found]
    assert len(set(chosen)) == 8
    assert not set(chosen) & {row.image_id for row in known}
    ways = [candidate.reason.partition(":")[0] for candidate in found]
    assert ways == ["typical", "unlike the known ones"] * 4
    assert {candidate.score for candidate in found} == {None}
    kinds = {bool(fitted.truth[IDS.index(image_id)]) for image_id in chosen}
    assert kinds == {True, False}  # both clusters
    again = propose_first_labels(fitted.workspace, "ball", fitted.labels, num=8)
    assert set(chosen) != {candidate.image_id for candidate in again}  # answers to another question
    every = propose_first_labels(fitted.workspace, "ball", known, num=10**6)
    assert [candidate.image_id for candidate in every[:8]] == chosen
    assert len(every) == COUNT - len(known)


def test_of_two_tables_of_features_the_one_with_most_images_is_asked_from(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    provenance = Provenance(stage="classify", revision=1, config=Config(), run_id="run")
    for scope, count in (("old", 3), ("whole", 9), ("young", 3)):
        features = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
        rows = pa.table(
            [IDS[:count], features.tolist(), ["run"] * count], schema=schema_of(FeatureRow)
        )
        Table(workspace, FeatureRow, scope).write("all", rows, provenance)

    found = propose_first_labels(workspace, "ball", [], num=20)

    assert {candidate.image_id for candidate in found} == set(IDS[:9])


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
    with pytest.raises(ConfigError, match=r"has features, .* run `ganime run`"):
        propose_first_labels(workspace, "disc", [], 3)
    with pytest.raises(StoreError, match="cannot read"):
        propose_labels(workspace, "nothing", [], 3)
