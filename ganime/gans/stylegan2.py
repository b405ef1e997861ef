"""StyleGAN2 (Karras et al. 1812.04948, 1912.04958), with ADA's settings for small data.

ADA: Karras, Aittala, Hellsten, Laine, Lehtinen, Aila: Training Generative Adversarial Networks with
Limited Data, 2020, 2006.06676.

Written from the papers, for CPUs too: styles scale activations instead of weights; sides double by
bilinear interpolation, which is the papers' filter [1, 3, 3, 1] but for the borders, and halve by
average pool, fused with the convolution; R1 is estimated by differences.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from ganime.gans import GANS, Recipe, Step
from ganime.gans.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchDeviation,
    TagEmbedding,
    with_fit,
)
from ganime.gans.losses import logistic_loss, non_saturating_loss
from ganime.gans.modulated import GAIN, SLOPE, Upsampling, spread_kernel
from ganime.gans.path_length import path_length_penalty, path_lengths
from ganime.gans.penalties import Method, gradient_penalty
from ganime.gans.products import conv2d
from ganime.gans.style_generator import Mapping, StyleGenerator

R1_PER_PIXEL = 2e-4  # ADA's rule: gamma is this times R² over the batch (2006.06676's code, "auto")


class Size(NamedTuple):
    """How large networks are by default."""

    channel_base: int
    channel_max: int
    mapping_layers: int


# The paper's networks have base 32768, at most 512 channels and 8 mapping layers; ADA halves the
# base below 512 px and maps with 2 layers, which small data asks for. Up to 128 px these are
# narrower still, for CPUs.
SIZES = {
    32: Size(4096, 256, 2),
    64: Size(4096, 256, 2),
    128: Size(8192, 256, 2),
    256: Size(16384, 512, 8),
    512: Size(32768, 512, 8),
}


@GANS.register("stylegan2")
class StyleGan2(Recipe):
    """Style-based generator, residual discriminator, lazy penalties."""

    latent: int = Field(512, ge=1, description="Length of the latent vector and of a style.")
    channel_base: int | None = Field(
        None, ge=512, description="Channels times side [px]; by default chosen by resolution."
    )
    channel_max: int | None = Field(
        None, ge=4, description="No layer has more channels; by default chosen by resolution."
    )
    mapping_layers: int | None = Field(
        None, ge=1, le=16, description="Depth of the mapping; by default chosen by resolution."
    )
    upsampling: Upsampling = Field(
        "bilinear", description="How sides double: as in the papers, or by nearest neighbour."
    )
    mixing: float = Field(
        0.9, ge=0, le=1, description="Share of training images with styles of two latents."
    )
    lr_generator: float = Field(2.5e-3, gt=0, description="Adam's learning rate, generator.")
    lr_discriminator: float = Field(2.5e-3, gt=0, description="The same, discriminator.")
    beta2: float = Field(0.99, ge=0, lt=1, description="Adam's second decay; the first is zero.")
    r1: float | None = Field(
        None, ge=0, description="Weight gamma of R1; 0 for none; by default 0.0002·R²/batch."
    )
    r1_every: int = Field(16, ge=1, description="Updates between R1 penalties.")
    penalty_method: Method = Field(
        "differences", description="Estimate from two passes, or differentiate twice."
    )
    path_length: float = Field(2.0, ge=0, description="Weight of path lengths; 0 for none.")
    path_length_every: int = Field(4, ge=1, description="Updates between path length penalties.")

    @property
    def num_latents(self) -> int:
        """See `Recipe`."""
        return self.latent

    def size(self, resolution: int) -> Size:
        """How large the networks are at a resolution [px]."""
        usual = SIZES[resolution]
        return Size(
            self.channel_base or usual.channel_base,
            self.channel_max or usual.channel_max,
            self.mapping_layers or usual.mapping_layers,
        )

    def generator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        size = self.size(resolution)
        channels = channels_at(size, resolution)
        return StyleGenerator(
            self.latent, channels, size.mapping_layers, num_tags, self.mixing, self.upsampling
        )

    def discriminator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        size = self.size(resolution)
        channels = channels_at(size, resolution)
        return ResidualDiscriminator(channels[::-1], num_tags, size.mapping_layers)

    def optimisers(
        self, generator: nn.Module, discriminator: nn.Module
    ) -> tuple[Optimizer, Optimizer]:
        """Adam, corrected for lazy penalties (1912.04958, appendix B)."""
        return (
            _lazy_adam(
                generator, self.lr_generator, self.beta2, self.path_length_every, self.path_length
            ),
            _lazy_adam(discriminator, self.lr_discriminator, self.beta2, self.r1_every, self.r1),
        )

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """See `logistic_loss`."""
        return logistic_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """See `non_saturating_loss`."""
        return non_saturating_loss(fake_logits)

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: Step
    ) -> Tensor | None:
        """R1 (Mescheder et al. 1801.04406, equation 9), seldom and then so much stronger."""
        if self.r1 == 0 or not step.every(self.r1_every):
            return None
        gamma = R1_PER_PIXEL * real.shape[-1] ** 2 / step.batch if self.r1 is None else self.r1
        squares = gradient_penalty(discriminator, real, step.tags, self.penalty_method)
        return self.r1_every * gamma / 2 * squares

    def generator_penalty(self, generator: nn.Module, z: Tensor, step: Step) -> Tensor | None:
        """Path lengths on half a batch, seldom and then so much stronger."""
        if self.path_length == 0 or not step.every(self.path_length_every):
            return None
        assert isinstance(generator, StyleGenerator)  # nothing else is made by `generator`
        num = max(1, len(z) // 2)
        w = generator.mapping(z[:num], None if step.tags is None else step.tags[:num])
        lengths = path_lengths(generator, w[:, None].expand(-1, generator.num_styles, -1))
        penalty = path_length_penalty(lengths, generator.path_length)
        return self.path_length_every * self.path_length * penalty


class ResidualDiscriminator(nn.Module):
    """The paper's residual discriminator.

    Args:
        channels: At the resolution, … down to 4 px.
        num_tags: T; 0 without conditions.
        mapping_layers: Depth of the tags' mapping.
    """

    def __init__(self, channels: Sequence[int], num_tags: int, mapping_layers: int) -> None:
        super().__init__()
        self.from_rgb = EqualisedConv2d(3, channels[0], 1, gain=GAIN)
        self.blocks = nn.Sequential(*itertools.starmap(Halving, itertools.pairwise(channels)))
        width = channels[-1]
        self.deviation = MinibatchDeviation()
        self.last_conv = EqualisedConv2d(width + 1, width, 3, gain=GAIN)
        self.features = EqualisedLinear(width * 16, width, gain=GAIN)
        self.realness = EqualisedLinear(width, 1)
        self.projection = MappedTags(num_tags, width, mapping_layers) if num_tags else None

    def forward(self, images: Tensor, tags: Tensor | None = None) -> Tensor:
        """Images [B, 3, R, R] in [-1, 1], tags [B, T] -> logits [B]."""
        x = self.blocks(F.leaky_relu(self.from_rgb(images), SLOPE))
        # The last layers cost little, and rounding there goes straight into the logits, whose
        # differences over a small step R1 is estimated from.
        with torch.autocast(x.device.type, enabled=False):
            return self._judged(x.to(self.realness.weight.dtype), tags)

    def _judged(self, x: Tensor, tags: Tensor | None) -> Tensor:
        x = F.leaky_relu(self.last_conv(self.deviation(x)), SLOPE)
        features = F.leaky_relu(self.features(x.flatten(1)), SLOPE)
        logits: Tensor = self.realness(features).flatten()
        return with_fit(logits, features, self.projection, tags)


class MappedTags(nn.Module):
    """How well features go with tags, by the vector that a network maps the tags to, as in ADA.

    Unlike there it is added to the logits, which judge images without any tag too.

    Args:
        num_tags: T.
        num_features: F.
        mapping_layers: Depth of the mapping.
    """

    def __init__(self, num_tags: int, num_features: int, mapping_layers: int) -> None:
        super().__init__()
        self.embedding = TagEmbedding(num_tags, num_features)
        self.mapper = Mapping(num_features, num_features, mapping_layers)

    def forward(self, features: Tensor, tags: Tensor) -> Tensor:
        """Features [B, F], tags [B, T] -> [B], to add to the logits."""
        wanted = self.mapper(self.embedding(tags))
        fit: Tensor = (features * wanted).sum(dim=1) / math.sqrt(features.shape[1])
        return fit


class Halving(nn.Module):
    """Two 3x3 convolutions, the second one halving the side, beside a 1x1 shortcut.

    Args:
        inputs: Channels that come in, I.
        outputs: Channels that go out, O.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inputs, inputs, 3, gain=GAIN)
        self.second = EqualisedConv2d(inputs, outputs, 3)
        # The sum of the two paths is divided by √2, here in the gains: of the second convolution,
        # where it cancels the leaky ReLU's, and of the shortcut.
        self.shortcut = EqualisedConv2d(inputs, outputs, 1, gain=math.sqrt(0.5), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, H] -> [B, O, H/2, H/2]."""
        kernel = spread_kernel(self.second.weight * (self.second.scale / 4))
        maps = F.leaky_relu(self.first(x), SLOPE)
        maps = conv2d(maps, kernel, self.second.bias, 2, 1, training=self.training)
        shortcut: Tensor = self.shortcut(F.avg_pool2d(x, 2))
        return F.leaky_relu(maps, SLOPE) + shortcut


def channels_at(size: Size, resolution: int) -> list[int]:
    """Channels at 4 px, 8 px, … up to the resolution [px]."""
    levels = range(2, resolution.bit_length())
    return [min(size.channel_base // 2**level, size.channel_max) for level in levels]


def _lazy_adam(
    network: nn.Module, rate: float, beta2: float, every: int, weight: float | None
) -> Optimizer:
    """Adam whose clock runs slower by c = k/(k + 1) where a penalty comes every k updates."""
    slower = 1.0 if weight == 0 else every / (every + 1)
    return Adam(network.parameters(), rate * slower, (0.0, beta2**slower), fused=True)
