import numpy as np
import pytest

from ganime.classifiers.figures import (
    at_threshold,
    average_precision,
    calibration_error,
    confusion,
    curve,
    histogram,
    roc_auc,
    wilson,
)

SCORES = np.array([0.9, 0.8, 0.7, 0.4, 0.2])
ANSWERS = np.array([True, True, False, True, False])


def test_counts_are_those_of_hand() -> None:
    assert confusion(SCORES, ANSWERS, 0.5) == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}


def test_yes_is_above_the_threshold_not_at_it() -> None:
    assert confusion(SCORES, ANSWERS, 0.8) == {"tp": 1, "fp": 0, "fn": 2, "tn": 2}


def test_figures_are_those_of_hand() -> None:
    figures = at_threshold(SCORES, ANSWERS, 0.5)

    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["f1"] == pytest.approx(2 / 3)
    assert figures["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert figures["roc_auc"] == pytest.approx(5 / 6)


def test_what_was_not_counted_is_null() -> None:
    figures = at_threshold(np.array([0.1, 0.2]), np.array([False, False]), 0.5)

    for name in ("precision", "recall", "f1", "average_precision", "roc_auc"):
        assert figures[name] is None


def test_ties_are_cut_together_and_count_half() -> None:
    scores, answers = np.array([0.5, 0.5, 0.5, 0.5]), np.array([True, False, True, False])

    assert roc_auc(scores, answers) == 0.5
    assert average_precision(scores, answers) == 0.5
    assert len(curve(scores, answers)) == 1


def test_the_interval_is_wilsons() -> None:
    # Wilson 1927 for 8 of 10: (0.4902, 0.9433)
    assert wilson(8, 10) == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert wilson(0, 10) == pytest.approx([0.0, 0.2775], abs=1e-4)
    assert wilson(0, 0) is None


def test_each_example_may_have_its_own_threshold() -> None:
    cuts = np.array([0.95, 0.5, 0.95, 0.3, 0.3])

    assert confusion(SCORES, ANSWERS, cuts) == {"tp": 2, "fp": 0, "fn": 1, "tn": 2}


def test_the_curve_rises_in_threshold_and_falls_in_recall() -> None:
    rng = np.random.default_rng(0)
    answers = rng.random(5000) < 0.2
    points = curve(np.clip(answers * 0.3 + rng.random(5000) * 0.7, 0, 1), answers)

    assert len(points) <= 200
    assert points[0]["recall"] == 1
    thresholds = [point["threshold"] for point in points]
    recalls = [point["recall"] for point in points]
    assert thresholds == sorted(thresholds)
    assert recalls == sorted(recalls, reverse=True)


def test_the_histogram_counts_everything_once() -> None:
    counted = histogram(SCORES, ANSWERS)

    assert sum(counted["positive"]) == 3
    assert sum(counted["negative"]) == 2


def test_calibration_error_is_zero_for_honest_scores() -> None:
    scores = np.repeat([0.25, 0.75], 400)
    answers = np.tile([True, False, False, False], 100).tolist()
    answers += np.tile([True, True, True, False], 100).tolist()

    assert calibration_error(scores, np.array(answers)) == pytest.approx(0, abs=0.02)
