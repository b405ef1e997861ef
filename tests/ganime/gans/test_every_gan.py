import inspect
import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganime.augmentations.diffaugment import DiffAugment
from ganime.gans import GANS, Recipe, Step, conditions
from ganime.training.batches import Batches, Examples
from ganime.training.loop import Options, Trainer

BATCH, TAGS = 4, 3
CONVOLUTIONAL = {
    "latent": 8,
    "tag_width": 4,
    "width_generator": 4,
    "width_discriminator": 4,
    "widest": 16,
}
# What makes each recipe small; one that is not listed is tested at its own size, up to 64 px.
TINY: dict[str, dict[str, Any]] = {
    "dcgan": CONVOLUTIONAL,
    "lsgan": CONVOLUTIONAL,
    "wgan_gp": CONVOLUTIONAL,
    "fastgan": CONVOLUTIONAL,
    "projected": {**CONVOLUTIONAL, "mixed": 4, "features": {"weights": "none"}},
    "progan": {"latent": 8, "tag_width": 4, "width": 4, "widest": 16, "shares": [1.0]},
    "r3gan": {"latent": 8, "width": 4, "widest": 16},
    "stylegan2": {"latent": 16, "channel_base": 512, "channel_max": 16, "mapping_layers": 2},
}


@pytest.fixture(params=GANS.names())
def recipe(request: pytest.FixtureRequest) -> Recipe:
    built: Recipe = GANS.build({"name": request.param, **TINY.get(request.param, {})})
    return built


def tags_for(num: int, num_tags: int) -> Tensor | None:
    return torch.eye(num_tags).repeat(num, 1)[:num] if num_tags else None


def saved_and_loaded(state: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def assert_equal_bit_for_bit(one: Any, other: Any, path: str = "state") -> None:
    if isinstance(one, Tensor):
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for name, value in one.items():
            assert_equal_bit_for_bit(value, other[name], f"{path}/{name}")
    elif isinstance(one, list | tuple):
        for number, (value, wanted) in enumerate(zip(one, other, strict=True)):
            assert_equal_bit_for_bit(value, wanted, f"{path}/{number}")
    else:
        assert one == other, path


def trainer(recipe: Recipe, *, num_tags: int = 0, updates: int = 3, **options: Any) -> Trainer:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    tags = random.integers(0, 2, (10, num_tags), dtype=np.uint8) if num_tags else None
    names = tuple("abcdefgh"[:num_tags])
    return Trainer(
        recipe,
        32,
        Batches(Examples(images, tags, names), BATCH, 7, mirror=True),
        total=updates * recipe.discriminator_steps * BATCH,
        options=Options(
            augmentation=DiffAugment(), ema_nimg=16, seed=7, **{"variety": 0.5, **options}
        ),
        device=torch.device("cpu"),
        num_tags=num_tags,
    )


def run(trained: Trainer) -> Trainer:
    while not trained.done:
        trained.step()
    return trained


def test_images_are_judged_for_several_tags_as_for_each(recipe: Recipe) -> None:
    judge = recipe.discriminator(32, TAGS).eval()
    images, own, others = torch.randn(BATCH, 3, 32, 32), *torch.eye(2 * BATCH, TAGS).chunk(2)
    with torch.no_grad():
        for weight in judge.parameters():
            weight.add_(0.01 * torch.randn_like(weight))  # what goes with tags starts at zero
        both = judge(images, torch.cat([own, others]))
        apart = torch.cat([judge(images, tags) for tags in (own, others)])
    assert not torch.equal(*apart.chunk(2))
    torch.testing.assert_close(both, apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_tags", [0, TAGS])
@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512])
def test_the_networks_agree_on_shapes_and_ranges(
    recipe: Recipe, resolution: int, num_tags: int
) -> None:
    if resolution > 64 and recipe.component not in TINY:
        pytest.skip("too large at its own size")
    z, tags = recipe.latents(torch.randn(2, recipe.num_latents)), tags_for(2, num_tags)
    with torch.no_grad():
        images = recipe.generator(resolution, num_tags)(z, *conditions(tags))
        logits = recipe.discriminator(resolution, num_tags)(images, *conditions(tags))
    assert images.shape == (2, 3, resolution, resolution)
    assert images.isfinite().all()
    assert logits.shape in ((2,), (2, 26), (2, 98))  # of the image, or of its parts as well
    assert logits.isfinite().all()


def test_latents_are_of_unit_size(recipe: Recipe) -> None:
    z = recipe.latents(torch.randn(512, recipe.num_latents))
    assert z.shape == (512, recipe.num_latents)
    assert z.square().mean().item() == pytest.approx(1.0, rel=0.15)


def test_a_network_with_conditions_refuses_to_go_without(recipe: Recipe) -> None:
    z, images = torch.randn(2, recipe.num_latents), torch.randn(2, 3, 32, 32)
    with pytest.raises(ValueError, match="with conditions wants tags"):
        recipe.generator(32, TAGS)(z)
    with pytest.raises(ValueError, match="with conditions wants tags"):
        recipe.discriminator(32, TAGS)(images)
    with pytest.raises(ValueError, match="takes no tags"):
        recipe.generator(32)(z, tags_for(2, TAGS))
    with pytest.raises(ValueError, match="takes no tags"):
        recipe.discriminator(32)(images, tags_for(2, TAGS))


def test_tags_change_the_image(recipe: Recipe) -> None:
    generator = recipe.generator(32, TAGS).eval()
    z = torch.randn(1, recipe.num_latents).expand(2, -1)
    with torch.no_grad():
        one, other = generator(z, torch.eye(TAGS)[:2])
        same, again = generator(z, torch.eye(TAGS)[:1].expand(2, -1))
    assert not torch.allclose(one, other, atol=1e-6)
    assert torch.allclose(same, again, atol=1e-5)


def test_the_losses_pull_apart(recipe: Recipe) -> None:
    high, low = torch.full((4,), 2.0), torch.full((4,), -2.0)
    told_apart = recipe.discriminator_loss(high, low)
    assert told_apart < recipe.discriminator_loss(low, high)
    real = torch.zeros(4) if recipe.generator_sees_reals else None
    assert recipe.generator_loss(high, real) < recipe.generator_loss(low, real)


@pytest.mark.parametrize("num_tags", [0, TAGS])
def test_the_optimisers_hold_every_parameter(recipe: Recipe, num_tags: int) -> None:
    networks = (recipe.generator(32, num_tags), recipe.discriminator(32, num_tags))
    for network, optimiser in zip(networks, recipe.optimisers(*networks), strict=True):
        held = {id(item) for group in optimiser.param_groups for item in group["params"]}
        assert held == {id(item) for item in network.parameters()}


def test_a_recipe_survives_its_own_settings(recipe: Recipe) -> None:
    assert GANS.build(recipe.model_dump(mode="json")) == recipe
    default = GANS.build(recipe.component)
    assert GANS.build(default.model_dump(mode="json")) == default


def test_every_setting_says_what_it_is(recipe: Recipe) -> None:
    for name, field in type(recipe).model_fields.items():
        assert field.description, name


def test_a_recipe_says_whose_it_is(recipe: Recipe) -> None:
    module = inspect.getmodule(type(recipe))
    assert module is not None
    assert any(word[:4].isdigit() and "." in word for word in (module.__doc__ or "").split())


@pytest.mark.parametrize("num_tags", [0, TAGS])
def test_a_saved_generator_makes_the_same_images(recipe: Recipe, num_tags: int) -> None:
    generator = run(trainer(recipe, num_tags=num_tags, updates=2)).average.module
    restored: nn.Module = recipe.generator(32, num_tags).eval()
    restored.load_state_dict(saved_and_loaded(generator.state_dict()))
    restored.to(memory_format=torch.channels_last)  # in another order, sums are rounded elsewise
    z, tags = torch.randn(2, recipe.num_latents), tags_for(2, num_tags)
    with torch.no_grad():
        images = generator(z, *conditions(tags))
        assert torch.equal(restored(z, *conditions(tags)), images)


@pytest.mark.parametrize("num_tags", [0, TAGS])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_few_updates_move_both_networks_and_stay_finite(
    recipe: Recipe, num_tags: int, bfloat16: bool
) -> None:
    trained = trainer(recipe, num_tags=num_tags, bfloat16=bfloat16)
    networks = {"generator": trained.generator, "discriminator": trained.discriminator}
    before = {name: saved_and_loaded(network.state_dict()) for name, network in networks.items()}
    run(trained)
    for name, network in networks.items():
        after = network.state_dict()
        assert all(value.isfinite().all() for value in after.values()), name
        moved = [item for item, _ in network.named_parameters()]
        assert any(not torch.equal(after[item], before[name][item]) for item in moved), name


@pytest.mark.parametrize("num_tags", [0, TAGS])
def test_the_same_seed_trains_the_same_networks(recipe: Recipe, num_tags: int) -> None:
    one = run(trainer(recipe, num_tags=num_tags))
    torch.manual_seed(99)  # whatever was drawn elsewhere must not matter
    other = run(trainer(recipe, num_tags=num_tags))
    assert_equal_bit_for_bit(one.state(), other.state())


def test_a_resumed_run_equals_an_unbroken_one(recipe: Recipe) -> None:
    unbroken = run(trainer(recipe, updates=4))
    broken = trainer(recipe, updates=4)
    for _ in range(2):
        broken.step()
    resumed = trainer(recipe, updates=4)
    resumed.load_state(saved_and_loaded(broken.state()))
    torch.manual_seed(99)
    assert_equal_bit_for_bit(run(resumed).state(), unbroken.state())


def test_a_batch_in_parts_trains_too(recipe: Recipe) -> None:
    trained = run(trainer(recipe, num_tags=TAGS, accumulate=2))
    assert all(item.isfinite().all() for item in trained.generator.state_dict().values())


def test_a_schedule_depends_on_the_step_alone(recipe: Recipe) -> None:
    networks = [(recipe.generator(32), recipe.discriminator(32)) for _ in range(2)]
    for nimg in (0, 40, 55):
        recipe.advance(*networks[0], Step(nimg, total=100, batch=BATCH))
    recipe.advance(*networks[1], Step(55, total=100, batch=BATCH))
    names = {name for name, _ in networks[0][0].named_buffers()}
    one, other = networks[0][0].state_dict(), networks[1][0].state_dict()
    fixed = {name for name in names if one[name].numel() == 1}  # schedules are scalars
    assert all(torch.equal(one[name], other[name]) for name in fixed)
