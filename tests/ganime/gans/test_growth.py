import pytest
import torch
from torch import Tensor, nn

from ganime.gans.growth import (
    Growing,
    GrowingDiscriminator,
    GrowingGenerator,
    Stage,
    stage_at,
)

WIDTHS = [16, 16, 8, 4]  # 4, 8, 16 and 32 px


@pytest.fixture
def generator() -> GrowingGenerator:
    torch.manual_seed(0)
    return GrowingGenerator(8, WIDTHS, num_tags=0, tag_width=4)


@pytest.fixture
def discriminator() -> GrowingDiscriminator:
    torch.manual_seed(0)
    return GrowingDiscriminator(WIDTHS, num_tags=0)


def test_levels_share_the_run_and_fade_in_at_their_start() -> None:
    # Lengths 1, 1, 2 of 4: they start at 0, a quarter and a half.
    def at(progress: float) -> Stage:
        return stage_at(progress, 3, (1.0, 1.0, 2.0), 0.5)

    assert at(0.0) == Stage(0, 1.0)
    assert at(0.2499) == Stage(0, 1.0)
    assert at(0.25) == Stage(1, 0.0)
    assert at(0.3125) == Stage(1, 0.5)
    assert at(0.375) == Stage(1, 1.0)
    assert at(0.625) == Stage(2, 0.5)
    assert at(1.0) == Stage(2, 1.0)


def test_the_last_share_is_that_of_all_further_levels() -> None:
    assert stage_at(0.61, 5, (1.0,), 0.0) == Stage(3, 1.0)
    assert stage_at(0.5, 4, (2.0, 1.0), 0.0) == stage_at(0.5, 4, (2.0, 1.0, 1.0, 1.0), 0.0)


def test_without_fading_a_level_is_there_at_once() -> None:
    assert stage_at(0.5, 2, (1.0,), 0.0) == Stage(1, 1.0)


@pytest.mark.parametrize("fade", [0.0, 0.5, 1.0])
def test_networks_only_ever_grow(fade: float) -> None:
    stages = [stage_at(nimg / 997, 6, (1.0, 2.0, 3.0), fade) for nimg in range(998)]
    assert stages == sorted(stages)
    assert stages[-1] == Stage(5, 1.0)
    assert {stage.level for stage in stages} == set(range(6))


def test_a_new_network_is_fully_grown(generator: GrowingGenerator) -> None:
    assert generator.stage == Stage(3, 1.0)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_level_makes_images_of_its_side_and_enlarges_them(
    generator: GrowingGenerator, level: int
) -> None:
    generator.grow(Stage(level, 1.0))
    images = generator(torch.randn(2, 8))
    assert images.shape == (2, 3, 32, 32)
    side = 4 * 2**level
    small = images[:, :, :: 32 // side, :: 32 // side]
    assert torch.equal(images, nn.functional.interpolate(small, size=32))


@pytest.mark.parametrize("network", [GrowingGenerator, GrowingDiscriminator])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_only_the_layers_in_use_compute(network: type[Growing], level: int) -> None:
    if network is GrowingGenerator:
        built, inputs = GrowingGenerator(8, WIDTHS, 0, 4), torch.randn(2, 8)
    else:
        built, inputs = GrowingDiscriminator(WIDTHS, 0), torch.randn(2, 3, 32, 32)
    built.grow(Stage(level, 1.0))
    called: set[nn.Module] = set()
    for module in built.modules():
        module.register_forward_hook(lambda module, *_: called.add(module))
    built(inputs)
    assert {block in called for block in built.blocks[:level]} <= {True}
    assert not any(block in called for block in built.blocks[level:])
    rgb = built.to_rgb if isinstance(built, GrowingGenerator) else built.from_rgb
    assert [layer in called for layer in rgb] == [number == level for number in range(4)]


def test_fading_leads_from_one_levels_images_to_the_nexts(generator: GrowingGenerator) -> None:
    z = torch.randn(2, 8)

    def images(level: int, alpha: float) -> Tensor:
        generator.grow(Stage(level, alpha))
        made: Tensor = generator(z)
        return made

    assert torch.allclose(images(2, 0.0), images(1, 1.0), atol=1e-6)
    halfway = (images(1, 1.0) + images(2, 1.0)) / 2
    assert torch.allclose(images(2, 0.5), halfway, atol=1e-5)


def test_fading_leads_from_one_levels_logits_to_the_nexts(
    discriminator: GrowingDiscriminator,
) -> None:
    images = torch.randn(4, 3, 32, 32)
    discriminator.grow(Stage(1, 1.0))
    before = discriminator(images)
    discriminator.grow(Stage(2, 0.0))
    assert torch.allclose(discriminator(images), before, atol=1e-5)
    discriminator.grow(Stage(2, 0.5))
    assert not torch.allclose(discriminator(images), before, atol=1e-3)


def test_the_discriminator_sees_the_average_of_what_it_is_too_small_for(
    discriminator: GrowingDiscriminator,
) -> None:
    discriminator.grow(Stage(1, 1.0))
    images = torch.randn(4, 3, 32, 32)
    small = discriminator.shrunk(images)
    assert torch.allclose(small[:, :, 0, 0], images[:, :, :4, :4].mean(dim=(2, 3)), atol=1e-6)
    assert torch.equal(discriminator(small), discriminator(images))


def test_weights_start_at_unit_variance_and_signals_keep_theirs(
    generator: GrowingGenerator, discriminator: GrowingDiscriminator
) -> None:
    wide = GrowingDiscriminator([64] * 4, num_tags=0)
    assert wide.last.weight.std().item() == pytest.approx(1.0, rel=0.02)
    logits = wide(torch.randn(64, 3, 32, 32))
    assert 0.05 < logits.square().mean().sqrt().item() < 4
    features = generator.blocks[0](torch.randn(2, 16, 4, 4))
    assert torch.allclose(features.square().mean(dim=1), torch.ones(2, 8, 8), atol=1e-4)


def test_a_saved_generator_knows_how_far_it_had_grown(generator: GrowingGenerator) -> None:
    generator.grow(Stage(2, 0.25))
    restored = GrowingGenerator(8, WIDTHS, num_tags=0, tag_width=4)
    restored.load_state_dict(generator.state_dict())
    assert restored.stage == Stage(2, 0.25)
    z = torch.randn(2, 8)
    assert torch.equal(restored(z), generator(z))
