import numpy as np
import pytest

from ganime.classifiers.logistic import balanced_weights, log_loss
from ganime.classifiers.mlp import _gradient, fit_mlp


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    inputs, answers = rng.normal(size=(30, 4)), rng.random(30) < 0.3
    weights = balanced_weights(answers)
    values = [rng.normal(size=shape) for shape in ((4, 32), (32,), (32,), (1,))]

    def loss() -> float:
        first, first_bias, second, bias = values
        scores = np.tanh(inputs @ first + first_bias) @ second + bias
        return log_loss(scores, answers, weights) + 0.05 * float(
            np.sum(first**2) + np.sum(second**2)
        )

    slopes = _gradient(values, inputs, answers, weights, l2=0.1)

    for value, slope in zip(values, slopes, strict=True):
        place = (0,) * value.ndim
        value[place] += 1e-5
        above = loss()
        value[place] -= 2e-5
        below = loss()
        value[place] += 1e-5
        assert slope[place] == pytest.approx((above - below) / 2e-5, abs=1e-7)


def test_large_and_tiny_features_are_learned_alike() -> None:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(200, 3))
    answers = np.abs(inputs[:, 0]) > 0.7

    for scale in (1e-3, 1.0, 1e3):
        found = fit_mlp(inputs * scale, answers, 1e-3, seed=0)
        assert ((found(inputs * scale) > 0) == answers).mean() > 0.95


def test_more_examples_than_a_step_shows_are_learned() -> None:
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(3000, 3))
    answers = inputs[:, 0] * inputs[:, 1] > 0

    found = fit_mlp(inputs, answers, 1e-3, seed=0)

    assert ((found(inputs) > 0) == answers).mean() > 0.95


def test_a_rare_answer_is_not_passed_over() -> None:
    rng = np.random.default_rng(3)
    answers = np.arange(400) < 12
    inputs = rng.normal(size=(400, 2)) + answers[:, None] * 2.5

    found = fit_mlp(inputs, answers, 1e-3, seed=0)

    assert (found(inputs) > 0)[answers].mean() > 0.9


def test_a_basis_can_be_folded_in() -> None:
    rng = np.random.default_rng(4)
    raw, basis = rng.normal(size=(50, 6)), rng.normal(size=(6, 3))
    found = fit_mlp(raw @ basis, rng.random(50) < 0.5, 0.01, seed=0)

    np.testing.assert_allclose(found.before(basis)(raw), found(raw @ basis))
