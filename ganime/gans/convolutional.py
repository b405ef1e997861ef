"""The networks of DCGAN (Radford et al. 1511.06434) and what recipes with them have in common.

Registers nothing: `dcgan`, `lsgan` and `wgan_gp` do, each with its own loss, and `fastgan`, with
networks of its own.
"""

import itertools
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganime.gans import Recipe, Step
from ganime.gans.layers import (
    LatentToMap,
    MinibatchDeviation,
    TagEmbedding,
    TagProjection,
    normal_init,
    scaled_init,
    widths_between,
    with_fit,
    with_tags,
)
from ganime.gans.penalties import r1_penalty
from ganime.gans.products import Conv2d, ConvTranspose2d

Upsampling = Literal["transposed", "nearest"]
Latents = Literal["normal", "binary"]
Norm = Literal["batch", "layer", "none"]
SLOPE = 0.2  # of the discriminator's leaky ReLUs (1511.06434, 4)


class ConvolutionalRecipe(Recipe):
    """Base: two convolutional networks whose channels halve as the side doubles; two Adams."""

    latent: int = Field(128, ge=1, description="Length of the latent vector.")
    tag_width: int = Field(
        64, ge=1, description="Length of the vector that tags become, beside the latent."
    )
    width_generator: int = Field(32, ge=4, description="Generator's channels at half resolution.")
    width_discriminator: int = Field(
        32, ge=4, description="Discriminator's channels at half resolution."
    )
    widest: int = Field(256, ge=4, description="No layer has more channels.")
    lr_generator: float = Field(5e-4, gt=0, description="Adam's learning rate, generator.")
    lr_discriminator: float = Field(3e-4, gt=0, description="The same, discriminator.")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first decay.")
    beta2: float = Field(0.99, ge=0, lt=1, description="Adam's second decay.")

    @property
    def num_latents(self) -> int:
        """See `Recipe`."""
        return self.latent

    def optimisers(
        self, generator: nn.Module, discriminator: nn.Module
    ) -> tuple[Optimizer, Optimizer]:
        """See `Recipe`."""
        betas = (self.beta1, self.beta2)
        return (
            Adam(generator.parameters(), self.lr_generator, betas, fused=True),
            Adam(discriminator.parameters(), self.lr_discriminator, betas, fused=True),
        )


class PaperRecipe(ConvolutionalRecipe):
    """Base: the paper's two networks."""

    latents_are: Latents = Field(
        "normal", description="Latent numbers: normal, or binary for -1 and 1 with equal chances."
    )
    upsampling: Upsampling = Field(
        "nearest", description="Transposed 4x4 convolution, or nearest neighbour and 3x3."
    )
    extra_layers: int = Field(
        0, ge=0, le=4, description="Further 3x3 convolutions at each of the generator's sides."
    )
    minibatch_deviation: bool = Field(
        False, description="Show the discriminator how much images of a batch differ."
    )

    @property
    def discriminator_norm(self) -> Norm:
        """What the discriminator normalises."""
        raise NotImplementedError

    @property
    def discriminator_noise(self) -> bool:
        """Whether the discriminator's input gets noise."""
        return False

    def latents(self, normal: Tensor) -> Tensor:
        """See `Recipe`."""
        if self.latents_are == "normal":
            return normal
        return torch.where(normal > 0, 1.0, -1.0).to(normal.dtype)

    def generator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return Generator(
            self.latent,
            widths_between(self.width_generator, self.widest, resolution),
            self.upsampling,
            extra_layers=self.extra_layers,
            num_tags=num_tags,
            tag_width=self.tag_width,
        )

    def discriminator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return Discriminator(
            widths_between(self.width_discriminator, self.widest, resolution)[::-1],
            norm=self.discriminator_norm,
            minibatch_deviation=self.minibatch_deviation,
            noise=self.discriminator_noise,
            num_tags=num_tags,
        )


class BatchNormOrR1Recipe(PaperRecipe):
    """Base: what keeps the discriminator in check is batch norm or R1, and noise if wanted."""

    batch_norm_discriminator: bool = Field(
        True, description="Batch norm as in the paper; it cannot go with the R1 penalty."
    )
    r1: float = Field(0.0, ge=0, description="Weight gamma of the R1 penalty; 0 switches it off.")
    r1_share: float = Field(
        0.25, gt=0, le=1, description="Share of the batch on which the penalty is estimated."
    )
    input_noise: float = Field(
        0.0, ge=0, description="Deviation of noise on what the discriminator sees, at the start."
    )
    input_noise_until: float = Field(
        0.5, gt=0, le=1, description="Share of the run over which that noise fades to nothing."
    )

    @model_validator(mode="after")
    def _penalty_stands_alone(self) -> "BatchNormOrR1Recipe":
        if self.r1 and self.batch_norm_discriminator:
            raise ValueError(
                f"r1 is {self.r1:g} with batch_norm_discriminator: a penalty on single images says "
                "nothing of a network that looks at whole batches; switch one of them off"
            )
        if self.r1 and self.input_noise:
            raise ValueError(
                f"r1 is {self.r1:g} with input_noise: the penalty compares two passes and would "
                "measure the noise; switch one of them off (both smooth the discriminator)"
            )
        return self

    @property
    def separate_passes(self) -> bool:
        """See `Recipe`."""
        return self.batch_norm_discriminator

    @property
    def discriminator_norm(self) -> Norm:
        """See `PaperRecipe`."""
        return "batch" if self.batch_norm_discriminator else "none"

    @property
    def discriminator_noise(self) -> bool:
        """See `PaperRecipe`."""
        return self.input_noise > 0

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: Step
    ) -> Tensor | None:
        """R1 on a share of the batch, by finite differences."""
        if self.r1 == 0:
            return None
        return r1_penalty(discriminator, real, step.tags, self.r1, self.r1_share)

    def advance(self, generator: nn.Module, discriminator: nn.Module, step: Step) -> None:
        """Fade the noise, linearly."""
        if self.discriminator_noise:
            assert isinstance(discriminator, Discriminator)  # nothing else is made here
            assert discriminator.noise is not None
            left = max(0.0, 1.0 - step.progress / self.input_noise_until)
            discriminator.noise.deviation.fill_(self.input_noise * left)


class Generator(nn.Module):
    """The paper's generator.

    Args:
        latent: Length of z.
        widths: Channels at 4 px, 8 px, … up to half the resolution.
        upsampling: How the side doubles.
        extra_layers: Further convolutions at each of these sides.
        num_tags: T; 0 without conditions.
        tag_width: Length of the vector that tags become.
    """

    def __init__(
        self,
        latent: int,
        widths: list[int],
        upsampling: Upsampling,
        *,
        extra_layers: int = 0,
        num_tags: int = 0,
        tag_width: int = 64,
    ) -> None:
        super().__init__()
        inputs = latent + (tag_width if num_tags else 0)
        layers: list[nn.Module] = [LatentToMap(inputs, widths[0])]
        layers += _followed(widths[0], extra_layers)
        for width_in, width_out in itertools.pairwise(widths):
            layers += _doubling(width_in, width_out, upsampling, bias=False)
            layers += _followed(width_out, extra_layers)
        layers += [*_doubling(widths[-1], 3, upsampling, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        normal_init(self.layers)
        self.embedding = TagEmbedding(num_tags, tag_width) if num_tags else None

    def forward(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """z [B, Z], tags [B, T] -> images [B, 3, R, R] in [-1, 1]."""
        images: Tensor = self.layers(with_tags(z, self.embedding, tags))
        return images


class Discriminator(nn.Module):
    """The paper's discriminator.

    Args:
        widths: Channels at half the resolution, … down to 4 px.
        norm: On all but the first and the last layer; batch norm in the paper.
        minibatch_deviation: Whether to show it how much images of a batch differ.
        noise: Whether its input gets noise.
        num_tags: T; 0 without conditions.
    """

    def __init__(
        self,
        widths: list[int],
        *,
        norm: Norm,
        minibatch_deviation: bool = False,
        noise: bool = False,
        num_tags: int = 0,
    ) -> None:
        super().__init__()
        layers = [Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True)]
        for width_in, width_out in itertools.pairwise(widths):
            layers.append(Conv2d(width_in, width_out, 4, 2, 1, bias=norm == "none"))
            layers += [*_normalised(norm, width_out), nn.LeakyReLU(SLOPE, inplace=True)]
        self.noise = InputNoise() if noise else None
        self.layers = nn.Sequential(*layers)
        self.deviation = MinibatchDeviation() if minibatch_deviation else None
        self.realness = Conv2d(widths[-1] + minibatch_deviation, 1, 4)
        for part in (self.layers, self.realness):
            if norm == "batch":
                normal_init(part)
            else:
                scaled_init(part, SLOPE)
        self.fit = TagProjection(num_tags, widths[-1] * 16) if num_tags else None  # 4 x 4 px

    def forward(self, images: Tensor, tags: Tensor | None = None) -> Tensor:
        """Images [B, 3, R, R] in [-1, 1], tags [B, T] -> logits [B]."""
        if self.noise is not None:
            images = self.noise(images)
        features = self.layers(images)
        seen = features if self.deviation is None else self.deviation(features)
        logits = self.realness(seen).flatten()
        return with_fit(logits, features.flatten(1), self.fit, tags)


class InputNoise(nn.Module):
    """Normal noise on what a discriminator sees, in training only (Sønderby et al. 1610.04490).

    Where reals and fakes hardly overlap, a discriminator tells them apart by anything at all and
    teaches the generator nothing; noise makes them overlap.
    """

    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("deviation", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, R, R] -> the same shape."""
        return images + self.deviation * torch.randn_like(images) if self.training else images


def _followed(width: int, extra_layers: int) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for _ in range(extra_layers):
        layers.append(Conv2d(width, width, 3, padding=1, bias=False))
        layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return layers


def _doubling(
    width_in: int, width_out: int, upsampling: Upsampling, *, bias: bool
) -> list[nn.Module]:
    if upsampling == "transposed":
        return [ConvTranspose2d(width_in, width_out, 4, 2, 1, bias=bias)]
    return [nn.Upsample(scale_factor=2), Conv2d(width_in, width_out, 3, padding=1, bias=bias)]


def _normalised(norm: Norm, width: int) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm2d(width)]
    # One group is layer norm over channels and places, with a scale and a shift per channel.
    return [nn.GroupNorm(1, width)] if norm == "layer" else []
