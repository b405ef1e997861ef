import pytest
import torch
from torch import Tensor, nn

from ganime.gans import Step
from ganime.gans.penalties import Method
from ganime.gans.wgan_gp import WganGp

STEP = Step(nimg=0, total=100, batch=4)


class Sum(nn.Module):
    """Slope √(3·R²) everywhere: √48 at 4 px."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum(dim=(1, 2, 3))


def test_numbers_are_those_of_the_papers_algorithm() -> None:
    recipe = WganGp()
    assert (recipe.discriminator_steps, recipe.penalty_weight) == (5, 10.0)
    for optimiser in recipe.optimisers(recipe.generator(32), recipe.discriminator(32)):
        (group,) = optimiser.param_groups
        assert (group["lr"], group["betas"]) == (1e-4, (0.0, 0.9))


@pytest.mark.parametrize("method", ["exact", "differences"])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_penalty_is_lambda_times_the_squared_distance_from_one(
    method: Method, share: float
) -> None:
    real, fake = torch.randn(4, 3, 4, 4), torch.randn(4, 3, 4, 4)
    recipe = WganGp(penalty_weight=10.0, penalty_method=method, penalty_share=share)
    penalty = recipe.discriminator_penalty(Sum(), real, fake, STEP)
    assert penalty is not None
    assert penalty.item() == pytest.approx(10.0 * (48**0.5 - 1) ** 2, rel=1e-4)


def test_the_losses_are_the_distance_seen_from_both_sides() -> None:
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([-1.0, 0.0])
    assert WganGp().discriminator_loss(real, fake).item() == pytest.approx(-2.5)
    assert WganGp(drift=0.001).discriminator_loss(real, fake).item() == pytest.approx(-2.495)
    assert WganGp().generator_loss(fake, None).item() == pytest.approx(0.5)


def test_the_critic_judges_each_image_by_itself() -> None:
    critic = WganGp(width_discriminator=8, widest=32).discriminator(32)
    images = torch.randn(4, 3, 32, 32)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in critic.modules())
    with torch.no_grad():
        assert torch.allclose(critic(images)[:1], critic(images[:1]), atol=1e-5)


def test_layer_norm_makes_the_critic_blind_to_a_layers_scale() -> None:
    critic = WganGp(width_discriminator=8, widest=32).discriminator(32)
    plain = WganGp(width_discriminator=8, widest=32, norm_critic="none").discriminator(32)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        for network in (critic, plain):
            before = network(images)
            second = [item for item in network.parameters() if item.shape == (16, 8, 4, 4)]
            second[0].mul_(10.0)
            alike = torch.allclose(network(images), before, atol=1e-2)
            assert alike == (network is critic)
