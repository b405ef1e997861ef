import numpy as np
import pytest
import torch

from ganime.gans.dcgan import Dcgan
from ganime.lite.latents import torch_normal
from ganime.training.generator import Blueprint


@pytest.mark.parametrize("length", [16, 17, 31, 64, 100, 512])
def test_normal_numbers_are_those_that_torch_draws(length: int) -> None:
    worst = 0.0
    for seed in [*range(150), 2**31, 2**32 - 1, 2**32 + 5, 2**63]:
        random = torch.Generator().manual_seed(seed)
        expected = torch.stack([torch.randn(length, generator=random) for _ in range(3)])
        found = torch_normal(3, length, seed)
        assert found.dtype == np.float32
        worst = max(worst, float(np.abs(found - expected.numpy()).max()))
    assert worst < 1e-6


def test_short_latents_are_cut_from_longer_ones_as_blueprints_do() -> None:
    blueprint = Blueprint(Dcgan(latent=9), 32)
    for seed in range(50):
        found = torch_normal(4, 16, seed)[:, :9]
        np.testing.assert_allclose(found, blueprint.latents(4, seed).numpy(), atol=1e-6)


def test_latent_i_does_not_depend_on_how_many_are_drawn() -> None:
    np.testing.assert_array_equal(torch_normal(5, 20, 3)[:2], torch_normal(2, 20, 3))
