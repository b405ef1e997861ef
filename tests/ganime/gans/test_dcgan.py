import math

import pytest
import torch
from torch import nn

from ganime.errors import ConfigError
from ganime.gans.dcgan import Dcgan
from ganime.gans.layers import num_parameters


@pytest.mark.parametrize("resolution", [32, 64, 128, 256])
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
        Slope(), images, images, 0
    )
    assert penalty is not None
    assert penalty.item() == pytest.approx(0.5 * 0.5 * 9.0, rel=1e-4)
    assert Dcgan(r1=0.0).discriminator_penalty(Slope(), images, images, 0) is None


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
