import math

import pytest
import torch
from torch import nn

from ganime.errors import ConfigError
from ganime.gans import Step
from ganime.gans.convolutional import Discriminator
from ganime.gans.dcgan import Dcgan
from ganime.gans.layers import num_parameters

STEP = Step(nimg=0, total=100, batch=4)


@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512])
def test_it_makes_images_of_every_resolution(resolution: int) -> None:
    recipe = Dcgan(latent=8, width_generator=4, width_discriminator=4, widest=16)
    images = recipe.generator(resolution)(torch.randn(2, 8))
    assert images.shape == (2, 3, resolution, resolution)
    assert images.abs().max() <= 1
    assert recipe.discriminator(resolution)(images).shape == (2,)


def test_the_parameters_are_those_of_the_paper() -> None:
    recipe = Dcgan(
        latent=100,
        width_generator=64,
        width_discriminator=64,
        widest=512,
        upsampling="transposed",
        batch_norm_discriminator=True,
        minibatch_deviation=False,
    )
    # 4x4 kernels 100-512-256-128-64-3; batch norm scales and shifts; the last layer's biases.
    kernels = 16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    assert num_parameters(recipe.generator(64)) == kernels + 2 * (512 + 256 + 128 + 64) + 3
    kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512)
    biases_and_norms = 64 + 2 * (128 + 256 + 512) + 1
    assert num_parameters(recipe.discriminator(64)) == kernels + biases_and_norms


def test_transposed_convolutions_make_the_same_shapes() -> None:
    recipe = Dcgan(latent=8, width_generator=4, widest=16, upsampling="transposed")
    assert recipe.generator(32)(torch.randn(2, 8)).shape == (2, 3, 32, 32)


def test_weights_start_as_in_the_paper() -> None:
    network = Dcgan(width_generator=64, widest=512).generator(64)
    weights = torch.cat(
        [
            layer.weight.flatten()
            for layer in network.modules()
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
        ]
    )
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)


def test_the_losses_are_the_cross_entropies() -> None:
    real, fake = torch.tensor([0.0, 1.0]), torch.tensor([-1.0, 2.0])
    log = math.log
    sigma = [1 / (1 + math.exp(-value)) for value in (0.0, 1.0, -1.0, 2.0)]
    expected = -(log(sigma[0]) + log(sigma[1])) / 2 - (log(1 - sigma[2]) + log(1 - sigma[3])) / 2
    recipe = Dcgan(label_smoothing=0.0)
    assert recipe.discriminator_loss(real, fake).item() == pytest.approx(expected, rel=1e-5)
    expected = -(log(sigma[2]) + log(sigma[3])) / 2
    assert recipe.generator_loss(fake, None).item() == pytest.approx(expected, rel=1e-5)


def test_smoothed_labels_punish_certainty_about_reals() -> None:
    sure, fake = torch.tensor([8.0]), torch.tensor([0.0])
    plain = Dcgan(label_smoothing=0.0).discriminator_loss(sure, fake).item()
    smoothed = Dcgan(label_smoothing=0.1).discriminator_loss(sure, fake).item()
    assert smoothed - plain == pytest.approx(0.1 * 8.0, rel=1e-4)


def test_the_penalty_is_half_gamma_times_the_squared_slope() -> None:
    class Slope(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 3.0 * images[:, 0, 0, 0]

    images = torch.zeros(4, 3, 32, 32)
    penalty = Dcgan(r1=0.5, batch_norm_discriminator=False).discriminator_penalty(
        Slope(), images, images, STEP
    )
    assert penalty is not None
    assert penalty.item() == pytest.approx(0.5 * 0.5 * 9.0, rel=1e-4)
    assert Dcgan(r1=0.0).discriminator_penalty(Slope(), images, images, STEP) is None


def test_batch_norm_makes_reals_and_fakes_pass_apart() -> None:
    assert Dcgan(batch_norm_discriminator=True).separate_passes
    assert not Dcgan(batch_norm_discriminator=False).separate_passes


def test_a_penalty_on_single_images_is_refused_beside_batch_norm() -> None:
    with pytest.raises(ConfigError, match=r"r1 is 0\.5 with batch_norm_discriminator"):
        Dcgan.parse({"r1": 0.5, "batch_norm_discriminator": True})


def test_without_batch_norm_the_signal_keeps_its_size() -> None:
    torch.manual_seed(0)
    network = Dcgan(batch_norm_discriminator=False).discriminator(64)
    logits = network(torch.randn(64, 3, 64, 64))
    assert 0.3 < logits.square().mean().sqrt().item() < 4


def test_two_sided_labels_punish_certainty_about_fakes_too() -> None:
    real, sure = torch.tensor([0.0]), torch.tensor([-8.0])
    one_sided = Dcgan(label_smoothing=0.1).discriminator_loss(real, sure).item()
    two_sided = Dcgan(label_smoothing=0.1, label_smoothing_fake=0.1).discriminator_loss(real, sure)
    assert two_sided.item() - one_sided == pytest.approx(0.1 * 8.0, rel=1e-4)


def test_flipped_labels_swap_that_share_of_reals_and_fakes() -> None:
    torch.manual_seed(0)
    real, fake = torch.full((20_000,), 3.0), torch.full((20_000,), -3.0)
    right, wrong = math.log1p(math.exp(-3.0)), math.log1p(math.exp(3.0))
    loss = Dcgan(label_smoothing=0.0, label_flips=0.1).discriminator_loss(real, fake).item()
    assert loss == pytest.approx(2 * (0.9 * right + 0.1 * wrong), rel=0.03)


def test_noise_on_the_input_fades_as_the_run_goes_on() -> None:
    recipe = Dcgan(input_noise=0.2, input_noise_until=0.5)
    generator, discriminator = recipe.generator(32), recipe.discriminator(32)
    assert isinstance(discriminator, Discriminator)
    assert discriminator.noise is not None
    found = []
    for nimg in (0, 25, 50, 100):
        recipe.advance(generator, discriminator, Step(nimg, total=100, batch=4))
        found.append(discriminator.noise.deviation.item())
    assert found == pytest.approx([0.2, 0.1, 0.0, 0.0])


def test_noise_has_its_deviation_in_training_and_is_absent_otherwise() -> None:
    torch.manual_seed(0)
    recipe = Dcgan(input_noise=0.2)
    discriminator = recipe.discriminator(32)
    assert isinstance(discriminator, Discriminator)
    recipe.advance(recipe.generator(32), discriminator, STEP)
    noise, images = discriminator.noise, torch.zeros(8, 3, 32, 32)
    assert noise is not None
    assert noise(images).std().item() == pytest.approx(0.2, rel=0.02)
    assert torch.equal(noise.eval()(images), images)


def test_noise_beside_r1_is_refused_for_the_penalty_would_measure_it() -> None:
    with pytest.raises(ConfigError, match=r"r1 is 0\.5 with input_noise"):
        Dcgan.parse({"r1": 0.5, "input_noise": 0.1, "batch_norm_discriminator": False})


def test_binary_latents_are_minus_one_or_one() -> None:
    normal = torch.randn(64, 8)
    assert torch.equal(Dcgan(latents_are="binary").latents(normal), normal.sign())
    assert torch.equal(Dcgan().latents(normal), normal)


def test_extra_layers_are_3x3_convolutions_at_each_side() -> None:
    small = {"latent": 8, "width_generator": 4, "widest": 16}
    plain, deeper = (Dcgan(**small, extra_layers=num).generator(32) for num in (0, 2))
    # At 4, 8 and 16 px: kernels, and scale and shift of the batch norm.
    added = sum(2 * (9 * width * width + 2 * width) for width in (16, 8, 4))
    assert num_parameters(deeper) - num_parameters(plain) == added
    assert deeper(torch.randn(2, 8)).shape == (2, 3, 32, 32)


def test_two_learning_rates_are_kept_apart() -> None:
    recipe = Dcgan(lr_generator=5e-4, lr_discriminator=1e-4)
    rates = [
        optimiser.param_groups[0]["lr"]
        for optimiser in recipe.optimisers(recipe.generator(32), recipe.discriminator(32))
    ]
    assert rates == [5e-4, 1e-4]
