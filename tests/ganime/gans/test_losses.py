import math

import pytest
import torch

from ganime.gans.losses import logistic_loss, non_saturating_loss, wasserstein_loss

REAL, FAKE = torch.tensor([0.5, 1.5]), torch.tensor([-1.0, 2.0])


def test_a_critic_measures_the_distance_of_the_means() -> None:
    assert wasserstein_loss(REAL, FAKE).item() == pytest.approx(0.5 - 1.0)


def test_drift_draws_the_reals_to_zero() -> None:
    expected = 0.5 - 1.0 + 0.1 * (0.25 + 2.25) / 2
    assert wasserstein_loss(REAL, FAKE, drift=0.1).item() == pytest.approx(expected)


def test_the_logistic_loss_is_the_cross_entropy() -> None:
    sigma = [1 / (1 + math.exp(-value)) for value in (0.5, 1.5, -1.0, 2.0)]
    expected = -(math.log(sigma[0]) + math.log(sigma[1])) / 2
    expected -= (math.log(1 - sigma[2]) + math.log(1 - sigma[3])) / 2
    assert logistic_loss(REAL, FAKE).item() == pytest.approx(expected, rel=1e-5)
    expected = -(math.log(sigma[2]) + math.log(sigma[3])) / 2
    assert non_saturating_loss(FAKE).item() == pytest.approx(expected, rel=1e-5)
