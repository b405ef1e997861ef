import numpy as np
import pytest

from ganime.classifiers.logistic import (
    Linear,
    balanced_weights,
    fit_logistic,
    fit_platt,
    log_loss,
    sigmoid,
)


def test_without_features_the_bias_is_the_log_odds() -> None:
    answers = np.array([True, True, True, False])

    line = fit_logistic(np.zeros((4, 1)), answers, np.ones(4), l2=1.0)

    assert line.bias == pytest.approx(np.log(3))
    assert line.weight == pytest.approx([0])


def test_the_gradient_vanishes_at_the_optimum() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5))
    answers = features[:, 0] + rng.normal(size=60) > 0.5
    weights = rng.uniform(0.5, 2, 60)

    line = fit_logistic(features, answers, weights, l2=0.1)

    error = weights / weights.sum() * (sigmoid(line(features)) - answers)
    np.testing.assert_allclose(features.T @ error + 0.1 * line.weight, 0, atol=1e-8)
    assert error.sum() == pytest.approx(0, abs=1e-8)


def test_any_start_ends_at_the_same_optimum() -> None:
    rng = np.random.default_rng(1)
    features, answers = rng.normal(size=(40, 3)), rng.random(40) < 0.5

    cold = fit_logistic(features, answers, np.ones(40), l2=0.01)
    warm = fit_logistic(features, answers, np.ones(40), 0.01, Linear(np.full(3, 5.0), -4.0))

    np.testing.assert_allclose(cold.weight, warm.weight, atol=1e-7)


def test_separable_data_stays_finite() -> None:
    features = np.concatenate([np.full((5, 1), -1e3), np.full((5, 1), 1e3)])

    line = fit_logistic(features, np.arange(10) >= 5, np.ones(10), l2=1e-6)

    assert np.isfinite(line.weight).all()
    assert (sigmoid(line(features)) > 0.5).tolist() == [False] * 5 + [True] * 5


def test_balanced_weights_give_both_answers_the_same_say() -> None:
    answers = np.array([True] + [False] * 9)

    weights = balanced_weights(answers)

    assert weights[answers].sum() == pytest.approx(weights[~answers].sum())
    assert weights.mean() == pytest.approx(1)


def test_the_loss_of_large_scores_does_not_overflow() -> None:
    scores = np.array([1e4, -1e4])

    assert log_loss(scores, np.array([True, False]), np.ones(2)) == pytest.approx(0)
    assert log_loss(scores, np.array([False, True]), np.ones(2)) == pytest.approx(1e4)
    assert sigmoid(scores).tolist() == [1, 0]


def test_platt_recovers_a_known_calibration() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=20_000) * 3
    answers = rng.random(20_000) < sigmoid(0.5 * scores - 1)

    slope, offset = fit_platt(scores, answers)

    assert slope == pytest.approx(0.5, abs=0.03)
    assert offset == pytest.approx(-1, abs=0.06)


def test_platt_never_turns_the_answer_round() -> None:
    slope, _ = fit_platt(np.array([3.0, 2, 1, 0]), np.array([False, False, True, True]))

    assert slope == 0


def test_platt_survives_equal_scores() -> None:
    slope, offset = fit_platt(np.ones(10), np.arange(10) < 5)

    assert sigmoid(np.array([slope + offset])) == pytest.approx([0.5], abs=1e-3)
