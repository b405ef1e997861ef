"""DCGAN (Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks, 2015, 1511.06434), with what has since made it train in minutes.

Networks, batch norm, initialisation and loss are the paper's. By default the generator doubles its
side by nearest neighbour and a 3x3 convolution: transposed convolutions leave a chequered ground
(Odena et al., Deconvolution and Checkerboard Artifacts, Distill 2016) that takes longer to unlearn
than the characters take to learn. Without batch norm in the discriminator it sees reals and fakes
in one pass and takes an R1 penalty.
"""

import itertools
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from ganime.gans import GANS, Recipe
from ganime.gans.layers import MinibatchDeviation, normal_init, scaled_init, widths_between
from ganime.gans.penalties import gradient_penalty_by_differences

Upsampling = Literal["transposed", "nearest"]
SLOPE = 0.2  # of the discriminator's leaky ReLUs (1511.06434, 4)


@GANS.register("dcgan")
class Dcgan(Recipe):
    """Deep convolutional GAN with the non-saturating loss."""

    latent: int = Field(128, ge=1, description="Length of the latent vector.")
    width_generator: int = Field(32, ge=4, description="Generator's channels at half resolution.")
    width_discriminator: int = Field(
        32, ge=4, description="Discriminator's channels at half resolution."
    )
    widest: int = Field(256, ge=4, description="No layer has more channels.")
    upsampling: Upsampling = Field(
        "nearest", description="Transposed 4x4 convolution, or nearest neighbour and 3x3."
    )
    batch_norm_discriminator: bool = Field(
        True, description="Batch norm as in the paper; it cannot go with the R1 penalty."
    )
    minibatch_deviation: bool = Field(
        False, description="Show the discriminator how much images of a batch differ."
    )
    lr_generator: float = Field(5e-4, gt=0, description="Adam's learning rate, generator.")
    lr_discriminator: float = Field(3e-4, gt=0, description="The same, discriminator.")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay.")
    beta2: float = Field(0.99, ge=0, lt=1, description="Adam's second decay.")
    label_smoothing: float = Field(
        0.1, ge=0, lt=0.5, description="Reals count as 1 minus this (one-sided, 1606.03498)."
    )
    r1: float = Field(0.0, ge=0, description="Weight gamma of the R1 penalty; 0 switches it off.")
    r1_share: float = Field(
        0.25, gt=0, le=1, description="Share of the batch on which the penalty is estimated."
    )

    @model_validator(mode="after")
    def _penalty_without_batch_norm(self) -> "Dcgan":
        if self.r1 and self.batch_norm_discriminator:
            raise ValueError(
                f"r1 is {self.r1:g} with batch_norm_discriminator: a penalty on single images says "
                "nothing of a network that looks at whole batches; switch one of them off"
            )
        return self

    @property
    def num_latents(self) -> int:
        """See `Recipe`."""
        return self.latent

    @property
    def separate_passes(self) -> bool:
        """See `Recipe`."""
        return self.batch_norm_discriminator

    def generator(self, resolution: int) -> nn.Module:
        """See `Recipe`."""
        widths = widths_between(self.width_generator, self.widest, resolution)
        return Generator(self.latent, widths, self.upsampling)

    def discriminator(self, resolution: int) -> nn.Module:
        """See `Recipe`."""
        widths = widths_between(self.width_discriminator, self.widest, resolution)
        return Discriminator(
            widths[::-1],
            batch_norm=self.batch_norm_discriminator,
            minibatch_deviation=self.minibatch_deviation,
        )

    def optimisers(
        self, generator: nn.Module, discriminator: nn.Module
    ) -> tuple[Optimizer, Optimizer]:
        """See `Recipe`."""
        betas = (self.beta1, self.beta2)
        return (
            Adam(generator.parameters(), self.lr_generator, betas, fused=True),
            Adam(discriminator.parameters(), self.lr_discriminator, betas, fused=True),
        )

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Cross entropy of real against fake (Goodfellow et al. 1406.2661, equation 1)."""
        target = torch.full_like(real_logits, 1.0 - self.label_smoothing)
        real = F.binary_cross_entropy_with_logits(real_logits, target)
        return real + F.softplus(fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """Non-saturating: −log D(G(z)) (Goodfellow et al. 1406.2661, section 3)."""
        return F.softplus(-fake_logits).mean()

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, nimg: int
    ) -> Tensor | None:
        """R1 on a share of the batch, by finite differences."""
        if self.r1 == 0:
            return None
        num = max(1, round(len(real) * self.r1_share))
        return 0.5 * self.r1 * gradient_penalty_by_differences(discriminator, real[:num])


class Generator(nn.Module):
    """The paper's generator.

    Args:
        latent: Length of z.
        widths: Channels at 4 px, 8 px, … up to half the resolution.
        upsampling: How the side doubles.
    """

    def __init__(self, latent: int, widths: list[int], upsampling: Upsampling) -> None:
        super().__init__()
        first = nn.ConvTranspose2d(latent, widths[0], 4, bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for width_in, width_out in itertools.pairwise(widths):
            layers += [*_doubling(width_in, width_out, upsampling, bias=False)]
            layers += [nn.BatchNorm2d(width_out), nn.ReLU(inplace=True)]
        layers += [*_doubling(widths[-1], 3, upsampling, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        normal_init(self)

    def forward(self, z: Tensor) -> Tensor:
        """z [B, Z] -> images [B, 3, R, R] in [-1, 1]."""
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """The paper's discriminator.

    Args:
        widths: Channels at half the resolution, … down to 4 px.
        batch_norm: As in the paper, on all but the first and the last layer.
        minibatch_deviation: Whether to show it how much images of a batch differ.
    """

    def __init__(self, widths: list[int], *, batch_norm: bool, minibatch_deviation: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, widths[0], 4, 2, 1),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
        for width_in, width_out in itertools.pairwise(widths):
            layers.append(nn.Conv2d(width_in, width_out, 4, 2, 1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width_out))
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
        if minibatch_deviation:
            layers.append(MinibatchDeviation())
        layers.append(nn.Conv2d(widths[-1] + minibatch_deviation, 1, 4))
        self.layers = nn.Sequential(*layers)
        if batch_norm:
            normal_init(self)
        else:
            scaled_init(self, SLOPE)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, R, R] in [-1, 1] -> logits [B]."""
        logits: Tensor = self.layers(images)
        return logits.flatten()


def _doubling(
    width_in: int, width_out: int, upsampling: Upsampling, *, bias: bool
) -> list[nn.Module]:
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(width_in, width_out, 4, 2, 1, bias=bias)]
    return [nn.Upsample(scale_factor=2), nn.Conv2d(width_in, width_out, 3, padding=1, bias=bias)]
