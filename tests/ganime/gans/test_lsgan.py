import pytest
import torch

from ganime.errors import ConfigError
from ganime.gans.lsgan import Lsgan


def test_the_losses_are_the_halved_squares() -> None:
    real, fake = torch.tensor([1.0, 2.0]), torch.tensor([0.0, -1.0])
    recipe = Lsgan()
    assert recipe.discriminator_loss(real, fake).item() == pytest.approx(0.5 * 0.5 + 0.5 * 0.5)
    assert recipe.generator_loss(fake, None).item() == pytest.approx(0.5 * (1.0 + 4.0) / 2)


def test_a_fake_that_passes_for_real_but_lies_far_off_is_still_pulled_back() -> None:
    fake = torch.tensor([5.0], requires_grad=True)
    Lsgan().generator_loss(fake, None).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(4.0)


def test_the_targets_can_be_the_papers_other_scheme() -> None:
    # Equation 8, a = -1, b = 1, c = 0: b - c = 1 and b - a = 2 minimise the chi-squared divergence.
    recipe = Lsgan(fake_target=-1.0, real_target=1.0, generator_target=0.0)
    ideal = torch.tensor([1.0]), torch.tensor([-1.0])
    assert recipe.discriminator_loss(*ideal).item() == 0.0
    assert recipe.generator_loss(torch.tensor([0.0]), None).item() == 0.0


def test_it_takes_r1_in_place_of_batch_norm_only() -> None:
    with pytest.raises(ConfigError, match=r"r1 is 1 with batch_norm_discriminator"):
        Lsgan.parse({"r1": 1.0})
