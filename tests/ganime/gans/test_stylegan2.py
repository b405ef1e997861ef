import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.errors import ConfigError
from ganime.gans import Step, StyleNetwork
from ganime.gans.layers import EqualisedConv2d, EqualisedLinear, num_parameters
from ganime.gans.modulated import StyledLayer, ToRgb, demodulation, spread_kernel
from ganime.gans.path_length import path_length_penalty, path_lengths
from ganime.gans.style_generator import StyleGenerator
from ganime.gans.stylegan2 import ResidualDiscriminator, Size, StyleGan2, channels_at

TINY = StyleGan2(latent=16, channel_base=512, channel_max=16)


def tiny_generator(num_tags: int = 0) -> StyleGenerator:
    torch.manual_seed(0)
    network = TINY.generator(32, num_tags)
    assert isinstance(network, StyleGenerator)
    return network


def step(number: int, tags: Tensor | None = None) -> Step:
    return Step(nimg=8 * number, total=10_000, batch=8, tags=tags)


def modulated_weights(layer: StyledLayer, x: Tensor, style: Tensor) -> Tensor:
    """The paper's way: each image its own demodulated weights, one group an image."""
    batch, inputs, side, _ = x.shape
    weight = layer.weight / math.sqrt(inputs * 9)
    weights = weight * layer.affine(style)[:, None, :, None, None]
    weights = weights * (weights.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    if layer.upsampling is not None:
        x, side = F.interpolate(x, scale_factor=2, mode=layer.upsampling), 2 * side
    flat = x.reshape(1, batch * inputs, side, side)
    maps = F.conv2d(flat, weights.flatten(0, 1), padding=1, groups=batch)
    maps = maps.reshape(batch, -1, side, side) + layer.noise * layer.strength / math.sqrt(2)
    return F.leaky_relu(maps + layer.bias[:, None, None] / math.sqrt(2), 0.2) * math.sqrt(2)


@pytest.mark.parametrize("upsampling", [None, "nearest", "bilinear"])
def test_scaling_activations_equals_scaling_weights(upsampling: str | None) -> None:
    torch.manual_seed(0)
    side = 6 if upsampling is None else 12
    layer = StyledLayer(5, 7, 4, side, upsampling).double().eval()  # type: ignore[arg-type]
    with torch.no_grad():
        layer.strength.fill_(0.3)
        layer.bias.normal_()
        x, style = torch.randn(3, 5, 6, 6).double(), torch.randn(3, 4).double()
        assert torch.allclose(layer(x, style), modulated_weights(layer, x, style), atol=1e-12)


def test_colours_equal_those_of_scaled_weights() -> None:
    torch.manual_seed(0)
    layer = ToRgb(5, 4).double()
    x, style = torch.randn(2, 5, 6, 6).double(), torch.randn(2, 4).double()
    weights = layer.weight.T * layer.affine(style)[:, None] / math.sqrt(5)
    expected = torch.einsum("bihw,boi->bohw", x, weights)
    assert torch.allclose(layer(x, style), expected)


def test_demodulated_outputs_have_unit_deviation() -> None:
    torch.manual_seed(0)
    weight, scales = torch.randn(64, 32, 3, 3), 5 * torch.randn(16, 32)
    x = torch.randn(16, 32, 32, 32) * scales[:, :, None, None]
    maps = F.conv2d(x, weight) * demodulation(weight, scales)[:, :, None, None]
    assert maps.std(dim=(1, 2, 3)).sub(1).abs().max() < 0.02


def test_a_spread_kernel_halves_like_an_average_pool() -> None:
    x, weight = torch.randn(2, 3, 8, 8).double(), torch.randn(5, 3, 3, 3).double()
    pooled = F.avg_pool2d(F.conv2d(x, weight, padding=1), 2)
    assert torch.allclose(F.conv2d(x, spread_kernel(weight) / 4, stride=2, padding=1), pooled)


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    # The papers' own tables: 1024 px (StyleGAN2, configuration F) and 256 px (ADA, base 16384).
    [(1024, 30_370_060, 29_012_513), (256, 24_767_458, 24_001_089)],
)
def test_the_parameters_are_those_of_the_papers(
    resolution: int, generator: int, discriminator: int
) -> None:
    base = 32768 if resolution == 1024 else 16384
    channels = channels_at(Size(base, 512, 8), resolution)
    with torch.device("meta"):
        judge = ResidualDiscriminator(channels[::-1], 0, 8)
        network = StyleGenerator(512, channels, 8)
    assert num_parameters(judge) == discriminator
    assert num_parameters(network) == generator


def test_a_generator_is_a_style_network() -> None:
    network = tiny_generator()
    assert isinstance(network, StyleNetwork)
    assert network.num_styles == 2 * math.log2(32) - 2
    assert network.average_style.shape == (16,)


def test_outside_training_an_image_is_a_function_of_its_latent() -> None:
    network, z = tiny_generator().eval(), torch.randn(4, 16)
    with torch.no_grad():
        for block in network.blocks:
            for layer in block.layers:
                layer.strength.fill_(1.0)
        images = network(z)
        assert torch.equal(network(z), images)
        assert torch.allclose(network(z[2:]), images[2:], atol=1e-4)
        network.train()
        assert not torch.allclose(network(z), network(z), atol=1e-2)


def test_a_saved_generator_makes_the_same_images() -> None:
    network, z = tiny_generator().eval(), torch.randn(2, 16)
    torch.manual_seed(5)
    other = TINY.generator(32).eval()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(other(z), network(z))


def test_style_mixing_takes_fine_layers_from_another_latent() -> None:
    network = tiny_generator()
    w = network.mapping(torch.randn(200, 16))
    styles = w[:, None].expand(-1, network.num_styles, -1)
    kept = (network._mixed(styles, None) == styles).all(dim=2)
    assert kept[:, 0].all()  # the coarsest layer always keeps its own
    assert kept.int().diff(dim=1).max() <= 0  # and from the crossover on none does
    assert 0.8 < (~kept[:, -1]).double().mean() < 0.97


def test_without_mixing_styles_stay() -> None:
    network = tiny_generator()
    network.mixing = 0.0
    styles = torch.randn(20, network.num_styles, 16)
    assert torch.equal(network._mixed(styles, None), styles)


def test_the_average_style_follows_training_only() -> None:
    network, z = tiny_generator(), torch.randn(64, 16)
    with torch.no_grad():
        network.eval()(z)
        assert not network.average_style.any()
        mean = network.mapping(z).mean(dim=0)
        network.train()(z)
        assert torch.allclose(network.average_style, 0.005 * mean, rtol=1e-4)
        for _ in range(1500):
            network.average_style.lerp_(mean, 0.005)
        styles = torch.lerp(network.average_style, network.mapping(z), 0.0)
        assert torch.allclose(styles, mean.expand_as(styles), rtol=0.01, atol=1e-3)


def test_tags_change_the_image_and_the_judgement() -> None:
    network, z = tiny_generator(num_tags=3).eval(), torch.randn(4, 16)
    judge = TINY.discriminator(32, 3)
    blonde, smiling = torch.eye(3)[[0, 0, 0, 0]], torch.eye(3)[[1, 1, 1, 1]]
    with torch.no_grad():
        images = network(z, blonde)
        assert not torch.allclose(network(z, smiling), images, atol=1e-2)
        assert not torch.allclose(judge(images, smiling), judge(images, blonde), atol=1e-3)
        nothing = judge(images, torch.zeros(4, 3))  # realness alone
        assert nothing.isfinite().all()
        assert nothing.abs().max() > 0


def test_tags_must_go_with_the_networks() -> None:
    images = torch.zeros(2, 3, 32, 32)
    with pytest.raises(ValueError, match="without conditions"):
        TINY.discriminator(32)(images, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="wants tags"):
        TINY.discriminator(32, 3)(images)
    with pytest.raises(ValueError, match="wants tags"):
        TINY.generator(32, 3)(torch.randn(2, 16))


@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512])
@pytest.mark.parametrize("num_tags", [0, 2])
def test_networks_agree_at_every_resolution(resolution: int, num_tags: int) -> None:
    tags = (torch.ones(1, 2),) if num_tags else ()
    with torch.no_grad():
        images = TINY.generator(resolution, num_tags)(torch.randn(1, 16), *tags)
        assert images.shape == (1, 3, resolution, resolution)
        assert TINY.discriminator(resolution, num_tags)(images, *tags).shape == (1,)


class Linear(nn.Module):
    """Images that are linear in the styles, so that their Jacobian is known."""

    num_styles = 2

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(2 * 5, 3 * 4 * 4, dtype=torch.float64))
        self.register_buffer("average_style", torch.zeros(5))

    def mapping(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        return z

    def synthesis(self, styles: Tensor) -> Tensor:
        return (styles.flatten(1) @ self.matrix).reshape(-1, 3, 4, 4)


def test_path_lengths_of_a_linear_network_are_its_jacobians() -> None:
    torch.manual_seed(0)
    network = Linear()
    styles = torch.randn(20_000, 2, 5, dtype=torch.float64, requires_grad=True)
    lengths = path_lengths(network, styles)  # type: ignore[arg-type]
    # E‖Jᵀy‖² = ‖J‖², here over R² = 16 pixels and 2 layers.
    expected = network.matrix.square().sum() / 16 / 2
    assert lengths.square().mean().item() == pytest.approx(expected.item(), rel=0.02)


def test_path_lengths_have_the_gradient_of_finite_differences() -> None:
    network = tiny_generator().double().eval()
    styles = torch.randn(2, network.num_styles, 16, dtype=torch.float64, requires_grad=True)
    weight = network.blocks[1].layers[0].weight

    def total() -> Tensor:
        torch.manual_seed(1)
        return path_lengths(network, styles).sum()

    (gradient,) = torch.autograd.grad(total(), weight)
    direction = torch.randn_like(weight)
    with torch.no_grad():
        weight.add_(direction, alpha=1e-6)
    above = total().item()
    with torch.no_grad():
        weight.sub_(direction, alpha=2e-6)
    slope = (above - total().item()) / 2e-6
    assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-4)


def test_the_path_length_penalty_is_the_distance_to_a_moving_mean() -> None:
    mean = torch.tensor(2.0)
    penalty = path_length_penalty(torch.tensor([3.0, 5.0]), mean)
    assert mean.item() == pytest.approx(2.0 + 0.01 * (4.0 - 2.0))
    assert penalty.item() == pytest.approx(((3 - 2.02) ** 2 + (5 - 2.02) ** 2) / 2)


@pytest.mark.parametrize("num_tags", [0, 3])
def test_path_lengths_count_every_fourth_update(num_tags: int) -> None:
    network, z = tiny_generator(num_tags), torch.randn(8, 16)
    tags = torch.ones(8, 3) if num_tags else None
    assert TINY.generator_penalty(network, z, step(1, tags)) is None
    penalty = TINY.generator_penalty(network, z, step(4, tags))
    assert penalty is not None
    assert network.path_length > 0
    penalty.backward()
    gradients = [parameter.grad for parameter in network.mapper.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    recipe = TINY.model_copy(update={"path_length": 0.0})
    assert recipe.generator_penalty(network, z, step(4, tags)) is None


class Plane(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return 3.0 * images[:, 0, 0, 0]


@pytest.mark.parametrize("method", ["differences", "exact"])
def test_r1_is_half_gamma_times_the_squared_slope_every_sixteenth_update(method: str) -> None:
    recipe = StyleGan2(r1=0.5, penalty_method=method)
    images = torch.zeros(8, 3, 32, 32)
    penalty = recipe.discriminator_penalty(Plane(), images, images, step(16))
    assert penalty is not None
    assert penalty.item() == pytest.approx(16 * 0.5 / 2 * 9.0, rel=1e-4)
    assert recipe.discriminator_penalty(Plane(), images, images, step(15)) is None
    recipe = StyleGan2(r1=0.0)
    assert recipe.discriminator_penalty(Plane(), images, images, step(16)) is None


def test_gamma_follows_resolution_and_batch() -> None:
    images = torch.zeros(8, 3, 32, 32)
    penalty = StyleGan2().discriminator_penalty(Plane(), images, images, step(0))
    assert penalty is not None
    assert penalty.item() == pytest.approx(16 * (2e-4 * 32 * 32 / 8) / 2 * 9.0, rel=1e-4)


def test_r1_survives_bfloat16() -> None:
    torch.manual_seed(0)
    judge = StyleGan2(channel_base=1024, channel_max=64).discriminator(32)
    images = torch.rand(64, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        torch.manual_seed(1)
        exact = StyleGan2().discriminator_penalty(judge, images, images, step(0))
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = StyleGan2().discriminator_penalty(judge, images, images, step(0))
    assert exact is not None
    assert rounded is not None
    assert rounded.item() == pytest.approx(exact.item(), rel=0.1)


def test_adam_is_corrected_for_lazy_penalties() -> None:
    networks = tiny_generator(), TINY.discriminator(32)
    first, second = TINY.optimisers(*networks)
    assert first.param_groups[0]["lr"] == pytest.approx(2.5e-3 * 4 / 5)
    assert first.param_groups[0]["betas"] == pytest.approx((0.0, 0.99 ** (4 / 5)))
    assert second.param_groups[0]["lr"] == pytest.approx(2.5e-3 * 16 / 17)
    plain, _ = TINY.model_copy(update={"path_length": 0.0}).optimisers(*networks)
    assert plain.param_groups[0]["lr"] == 2.5e-3


def test_equalised_layers_keep_unit_deviation() -> None:
    torch.manual_seed(0)
    assert EqualisedLinear(256, 512)(torch.randn(64, 256)).std().item() == pytest.approx(1, rel=0.1)
    slow = EqualisedLinear(256, 512, lr_multiplier=0.01, bias=1.0)
    assert slow(torch.randn(64, 256)).mean().item() == pytest.approx(1, abs=0.1)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.1)
    maps = EqualisedConv2d(64, 64, 3)(torch.randn(4, 64, 16, 16))
    assert maps[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1, rel=0.1)


def test_updates_teach_the_generator_and_repeat_exactly() -> None:
    def train() -> tuple[nn.Module, list[float]]:
        torch.manual_seed(3)
        generator, judge = TINY.generator(32), TINY.discriminator(32)
        optimisers = TINY.optimisers(generator, judge)
        real, losses = torch.full((8, 3, 32, 32), 0.5), []
        for number in range(24):
            z = torch.randn(8, 16)
            fake = generator(z)
            loss = TINY.discriminator_loss(judge(real), judge(fake.detach()))
            penalty = TINY.discriminator_penalty(judge, real, fake.detach(), step(number))
            _descend(optimisers[1], loss if penalty is None else loss + penalty)
            loss = TINY.generator_loss(judge(fake), None)
            penalty = TINY.generator_penalty(generator, z, step(number))
            _descend(optimisers[0], loss if penalty is None else loss + penalty)
            losses.append((fake - real).square().mean().item())
        return generator, losses

    generator, losses = train()
    again, repeated = train()
    assert losses == repeated
    for one, other in zip(generator.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert sum(losses[-4:]) < sum(losses[:4]) / 2


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def test_copies_hold_the_same_numbers() -> None:
    network, z = tiny_generator().eval(), torch.randn(2, 16)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(network)(z), network(z))


def test_too_few_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="channel_base"):
        StyleGan2.parse({"channel_base": 64})
