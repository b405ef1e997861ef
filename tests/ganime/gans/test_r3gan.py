import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ganime.errors import ConfigError
from ganime.gans import Step
from ganime.gans.layers import num_parameters
from ganime.gans.r3gan import Block, R3gan

SMALL = R3gan(latent=8, width=8, widest=16)


@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("stem", [1, 2])
def test_it_makes_images_of_every_resolution(resolution: int, stem: int) -> None:
    recipe = R3gan(latent=8, width=4, widest=8, stem=stem)
    images = recipe.generator(resolution)(torch.randn(2, 8))
    assert images.shape == (2, 3, resolution, resolution)
    assert recipe.discriminator(resolution)(images).shape == (2,)


def test_the_loss_compares_each_real_with_a_fake() -> None:
    real, fake = torch.tensor([1.0, 0.5]), torch.tensor([-1.0, 2.0])
    expected = sum(math.log1p(math.exp(-gap)) for gap in (2.0, -1.5)) / 2
    assert SMALL.discriminator_loss(real, fake).item() == pytest.approx(expected, rel=1e-5)
    expected = sum(math.log1p(math.exp(gap)) for gap in (2.0, -1.5)) / 2
    assert SMALL.generator_loss(fake, real).item() == pytest.approx(expected, rel=1e-5)


class Ridge(nn.Module):
    """Steep by 3 where the first pixel is positive, by 1 elsewhere."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = images[:, 0, 0, 0]
        return torch.where(first > 0, 3 * first, first)


@pytest.mark.parametrize("penalty", ["exact", "differences"])
def test_the_penalty_is_half_gamma_of_both_slopes(penalty: str) -> None:
    recipe = R3gan.parse({"gamma": 0.5, "penalty_method": penalty, "penalty_share": 1.0})
    real, fake = torch.full((4, 3, 32, 32), 0.5), torch.full((4, 3, 32, 32), -0.5)
    found = recipe.discriminator_penalty(Ridge(), real, fake, Step(90, 100, 10))
    assert found is not None
    assert found.item() == pytest.approx(0.25 * (9 + 1), rel=1e-4)


def test_the_penalty_falls_over_the_burn_in_and_then_stays() -> None:
    recipe = R3gan(gamma=0.1, gamma_start=1.1, burn_in=0.5)
    weights = [recipe.weight_of_penalties(share) for share in (0.0, 0.25, 0.5, 1.0)]
    assert weights == pytest.approx([1.1, 0.6, 0.1, 0.1])


def test_without_weight_there_is_no_penalty() -> None:
    recipe = R3gan(gamma=0.0, burn_in=0.0)
    images = torch.zeros(2, 3, 32, 32)
    assert recipe.discriminator_penalty(Ridge(), images, images, Step(0, 1, 1)) is None


def test_blocks_begin_as_the_identity() -> None:
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(Block(16, SMALL, 4)(features), features)


def test_the_published_block_has_grouped_convolutions() -> None:
    block = Block(32, R3gan(width=32, groups=16, expansion=2.0), 4)
    assert [layer.kernel_size for layer in block.layers] == [(1, 1), (3, 3), (1, 1)]
    assert [layer.groups for layer in block.layers] == [1, 4, 1]
    inner = 64
    expected = 2 * (32 * inner) + inner * 9 * 16 + 2 * inner + 32
    assert num_parameters(block) == expected


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="groups is 5, which does not divide the width 32"):
        R3gan.parse({"groups": 5})


def test_signals_keep_their_size_through_both_networks() -> None:
    torch.manual_seed(0)
    recipe = R3gan()
    with torch.no_grad():
        images = recipe.generator(64)(torch.randn(64, recipe.latent))
        smooth = F.interpolate(torch.randn(64, 3, 4, 4), (64, 64), mode="bilinear")
        logits = recipe.discriminator(64)(smooth)
    assert 0.2 < images.std().item() < 5
    assert 0.2 < logits.std().item() < 5


def test_tags_change_the_image_and_the_judgement() -> None:
    torch.manual_seed(0)
    generator, discriminator = SMALL.generator(32, 3), SMALL.discriminator(32, 3)
    nn.init.normal_(discriminator.projection.gather.weight)
    z, tags = torch.randn(2, 8), torch.eye(3)[:2]
    images = generator(z, tags)
    assert not torch.allclose(images, generator(z, tags.flip(0)))
    logits = discriminator(images, tags)
    assert logits.shape == (2,)
    assert not torch.allclose(logits, discriminator(images, tags.flip(0)))


def test_gradients_reach_every_weight_that_is_trained() -> None:
    torch.manual_seed(0)
    generator, discriminator = SMALL.generator(32, 3), SMALL.discriminator(32, 3)
    for network in (generator, discriminator):
        for layer in network.modules():
            if isinstance(layer, Block):  # last layers start at zero and stop the gradient
                nn.init.normal_(layer.layers[-1].weight, std=0.1)
    nn.init.normal_(discriminator.projection.gather.weight)
    tags = torch.ones(4, 3)
    F.softplus(discriminator(generator(torch.randn(4, 8), tags), tags)).mean().backward()
    for network in (generator, discriminator):
        assert all(item.grad is not None for item in network.parameters())
