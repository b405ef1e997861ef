import pytest
import torch

from ganime.gans import GANS, Recipe


@pytest.fixture(params=GANS.names())
def recipe(request: pytest.FixtureRequest) -> Recipe:
    built: Recipe = GANS.build(request.param)
    return built


@pytest.mark.parametrize("resolution", [32, 64])
def test_the_networks_agree_on_shapes_and_ranges(recipe: Recipe, resolution: int) -> None:
    z = torch.randn(2, recipe.num_latents)
    with torch.no_grad():
        images = recipe.generator(resolution)(z)
        logits = recipe.discriminator(resolution)(images)
    assert images.shape == (2, 3, resolution, resolution)
    assert images.isfinite().all()
    assert logits.shape == (2,)


def test_the_losses_pull_apart(recipe: Recipe) -> None:
    high, low = torch.full((4,), 2.0), torch.full((4,), -2.0)
    told_apart = recipe.discriminator_loss(high, low)
    assert told_apart < recipe.discriminator_loss(low, high)
    real = torch.zeros(4) if recipe.generator_sees_reals else None
    assert recipe.generator_loss(high, real) < recipe.generator_loss(low, real)


def test_the_optimisers_hold_every_parameter(recipe: Recipe) -> None:
    networks = (recipe.generator(32), recipe.discriminator(32))
    for network, optimiser in zip(networks, recipe.optimisers(*networks), strict=True):
        held = {id(item) for group in optimiser.param_groups for item in group["params"]}
        assert held == {id(item) for item in network.parameters()}


def test_a_recipe_survives_its_own_settings(recipe: Recipe) -> None:
    assert GANS.build(recipe.model_dump(mode="json")) == recipe
