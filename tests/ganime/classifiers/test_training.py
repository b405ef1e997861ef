import logging

import numpy as np
import pytest

from ganime.classifiers.head import HeadConfig
from ganime.classifiers.questions import QuestionConfig
from ganime.classifiers.training import Answered, judged_by, train_classifier

CONFIG = HeadConfig(kind="linear", l2=(0.1, 0.01))


def answered(
    num: int = 400, people: int = 0, missing: float = 0.3
) -> tuple[Answered, np.ndarray, np.ndarray]:
    """Two clouds; of the tags some are missing, of people's answers none."""
    rng = np.random.default_rng(0)
    truth = rng.random(num) < 0.3
    features = (rng.normal(size=(num, 8)) + truth[:, None] * 1.3).astype(np.float32)
    by_person = np.arange(num) < people
    answers = truth & (by_person | (rng.random(num) >= missing))
    ids = [f"{i:04d}" for i in range(num)]
    return Answered(ids, answers.tolist(), by_person.tolist()), features, truth


def train(data: Answered, features: np.ndarray, **question: object) -> dict:
    asked = QuestionConfig.parse({"question": "q", **question})
    return train_classifier(asked, data, features, data.image_ids, CONFIG, 0)[1]


def test_missing_tags_count_against_the_classifier() -> None:
    data, features, _ = answered()

    figures = train(data, features)

    said = figures["confusion"]
    assert said["tp"] + said["fn"] == sum(data.answers)  # what was set aside is counted too
    assert sum(said.values()) == len(data.answers)
    assert figures["num_set_aside"] > 0
    assert figures["precision"] < 0.85
    assert figures["people"] is None
    assert figures["judged_by"] == "all"


def test_peoples_answers_tell_the_truth_where_tags_do_not() -> None:
    data, features, _ = answered(people=100)

    figures = train(data, features)

    assert figures["judged_by"] == "people"
    assert sum(figures["people"]["confusion"].values()) == 100
    assert figures["people"]["precision"] > figures["precision"] + 0.05
    low, high = figures["people"]["precision_interval"]
    assert low < figures["people"]["precision"] < high


def test_a_few_peoples_answers_do_not_judge_alone() -> None:
    answers = np.array([True] * 20 + [False] * 20)

    assert judged_by(answers, np.arange(40) < 29) == "all"  # 20 yes, 9 no
    assert judged_by(answers, np.arange(40) < 30) == "people"


def test_a_wish_is_met_on_held_out_answers_and_told() -> None:
    data, features, _ = answered(people=400)

    high = train(data, features, threshold={"precision": 0.97})
    wide = train(data, features, threshold={"recall": 0.98})

    assert high["wish"]["reached"]
    assert wide["wish"]["reached"]
    assert high["wish"]["value"] >= 0.97
    assert wide["wish"]["value"] >= 0.98
    assert high["threshold"] > wide["threshold"]
    # The figures judge by thresholds chosen without the fold that they count.
    assert high["precision"] == pytest.approx(0.97, abs=0.03)


def test_a_wish_that_tags_contradict_is_not_met_by_leaving_them_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, features, _ = answered(missing=0.5)

    with caplog.at_level(logging.WARNING):
        figures = train(data, features, threshold={"precision": 0.99})

    assert figures["wish"]["reached"] is False
    assert figures["wish"]["precision"] == 0.99
    assert "no threshold of q reaches the wanted precision 0.99" in caplog.text
    assert "ganime label" in caplog.text


def test_a_fixed_threshold_is_taken_and_has_no_wish() -> None:
    data, features, _ = answered()

    figures = train(data, features, threshold=0.75)

    assert figures["threshold"] == 0.75
    assert figures["wish"] is None
