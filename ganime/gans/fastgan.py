"""FastGAN (Liu, Zhu, Song, Elgammal: Towards Faster and Stabilized GAN Training for High-fidelity
Few-shot Image Synthesis, 2021, 2101.04775), sized for minutes on a CPU.

What makes it quick, of the paper: the discriminator says of every part of an image whether it is
real, not of the image alone, so that one image teaches as much as many; gated linear units; coarse
features that excite fine ones (skip-layer excitation, 3.1), so that what is decided at 4 px has a
short way to where it is drawn; and a discriminator that must also be able to draw reals again from
its features (3.2), which keeps it from learning a small dataset by heart.

What differs: one convolution a side instead of two, without the noise between them; one
discriminator that judges parts and the whole, where the paper has a second one on smaller images;
the non-saturating loss by default; reals are drawn again in plain differences of colours, where the
paper measures them by a network that saw a million photographs.
"""

import itertools
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans import GANS, Step
from ganime.gans.convolutional import ConvolutionalRecipe
from ganime.gans.layers import (
    GatedLinearUnit,
    LatentToMap,
    TagEmbedding,
    TagProjection,
    normal_init,
    widths_between,
    with_fit,
    with_tags,
)
from ganime.gans.losses import non_saturating_loss, smoothed_loss
from ganime.gans.penalties import first_share
from ganime.gans.products import Conv2d

SLOPE = 0.2  # of the discriminator's leaky ReLUs
LEAP = 3  # doublings of the side that an excitation skips: 4 px to 32 px, 8 px to 64 px, …
COARSE = 4  # side [px] at which features are gathered to excite others
NARROW = 64  # channels in which reals are drawn again


@GANS.register("fastgan")
class FastGan(ConvolutionalRecipe):
    """Patch-wise discriminator, gated generator with skip-layer excitation."""

    excitation: bool = Field(True, description="Coarse features excite fine ones.")
    loss: Literal["logistic", "hinge"] = Field(
        "logistic", description="Non-saturating cross entropy, or the paper's hinge."
    )
    label_smoothing: float = Field(
        0.1, ge=0, lt=0.5, description="Reals count as 1 minus this (one-sided, 1606.03498)."
    )
    reconstruction: float = Field(
        0.0, ge=0, description="Weight of drawing reals again from features; 1 in the paper."
    )
    reconstruction_share: float = Field(
        0.5, gt=0, le=1, description="Share of the batch that is drawn again."
    )

    @property
    def separate_passes(self) -> bool:
        """The discriminator has batch norm."""
        return True

    def generator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return Generator(self, resolution, num_tags)

    def discriminator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return Discriminator(self, resolution, num_tags)

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Cross entropy of real against fake (1406.2661, equation 1), or hinge (2101.04775, 5)."""
        if self.loss == "hinge":
            return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()
        return smoothed_loss(real_logits, fake_logits, self.label_smoothing)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """−log D(G(z)) (1406.2661, section 3), or −D(G(z)) (2101.04775, 6)."""
        if self.loss == "hinge":
            return -fake_logits.mean()
        return non_saturating_loss(fake_logits)

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: Step
    ) -> Tensor | None:
        """How far off reals are when drawn again at half their side, 0-2 (2101.04775, 4)."""
        if self.reconstruction == 0:
            return None
        assert isinstance(discriminator, Discriminator)  # nothing else is made here
        part = real[first_share(len(real), self.reconstruction_share)]
        again = discriminator.drawn_again(part).float()
        return self.reconstruction * F.l1_loss(again, F.avg_pool2d(part, 2))


class Generator(nn.Module):
    """Doubles the side by nearest neighbour, a 3x3 convolution and a gate.

    Args:
        settings: The recipe.
        resolution: R [px].
        num_tags: T; 0 without conditions.
    """

    def __init__(self, settings: FastGan, resolution: int, num_tags: int) -> None:
        super().__init__()
        widths = widths_between(settings.width_generator, settings.widest, resolution)
        inputs = settings.latent + (settings.tag_width if num_tags else 0)
        self.start = nn.Sequential(LatentToMap(inputs, 2 * widths[0]), *_gated(widths[0]))
        self.doublings = nn.ModuleList(
            _doubling(width_in, width_out) for width_in, width_out in itertools.pairwise(widths)
        )
        pairs = list(zip(widths, widths[LEAP:], strict=False)) if settings.excitation else []
        self.excitations = nn.ModuleList(Excitation(coarse, fine) for coarse, fine in pairs)
        self.to_rgb = nn.Sequential(
            nn.Upsample(scale_factor=2), Conv2d(widths[-1], 3, 3, padding=1), nn.Tanh()
        )
        normal_init(self)
        self.embedding = TagEmbedding(num_tags, settings.tag_width) if num_tags else None

    def forward(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """z [B, Z], tags [B, T] -> images [B, 3, R, R] in [-1, 1]."""
        features = [self.start(with_tags(z, self.embedding, tags))]
        for number, double in enumerate(self.doublings, 1):
            finer = double(features[-1])
            if LEAP <= number < LEAP + len(self.excitations):
                finer = self.excitations[number - LEAP](features[number - LEAP], finer)
            features.append(finer)
        images: Tensor = self.to_rgb(features[-1])
        return images


class Excitation(nn.Module):
    """Scale the channels of fine features by what coarse ones say (2101.04775, equation 1).

    Args:
        coarse: Channels of the coarse features.
        fine: Channels of the fine ones.
    """

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(COARSE),
            Conv2d(coarse, fine, COARSE, bias=False),
            nn.LeakyReLU(0.1),
            Conv2d(fine, fine, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """[B, C, h, w] and [B, F, H, W] -> [B, F, H, W]."""
        scaled: Tensor = fine * self.layers(coarse)
        return scaled


class Discriminator(nn.Module):
    """DCGAN's, which judges 25 overlapping parts of an image and the image as a whole.

    Args:
        settings: The recipe.
        resolution: R [px].
        num_tags: T; 0 without conditions.
    """

    def __init__(self, settings: FastGan, resolution: int, num_tags: int) -> None:
        super().__init__()
        widths = widths_between(settings.width_discriminator, settings.widest, resolution)[::-1]
        halvings: list[nn.Module] = [
            nn.Sequential(Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True))
        ]
        halvings += [_halving(*pair) for pair in itertools.pairwise(widths)]
        self.parts = nn.Sequential(*halvings[:-1])  # down to 8 px
        self.whole = halvings[-1]  # down to 4 px
        middle = widths[-2]
        self.realness_of_parts = nn.Sequential(
            Conv2d(middle, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.LeakyReLU(SLOPE, inplace=True),
            Conv2d(middle, 1, 4),
        )
        self.realness = Conv2d(widths[-1], 1, 4)
        self.decoder = _decoder(middle, len(widths) - 2) if settings.reconstruction else None
        normal_init(self)
        self.fit = TagProjection(num_tags, widths[-1] * 16) if num_tags else None  # 4 x 4 px

    def forward(self, images: Tensor, tags: Tensor | None = None) -> Tensor:
        """Images [B, 3, R, R] in [-1, 1], tags [B, T] -> logits [B, 26], the whole's first."""
        parts = self.parts(images)
        whole = self.whole(parts)
        logits = [self.realness(whole).flatten(1), self.realness_of_parts(parts).flatten(1)]
        # Tags are asked for in all parts: in the whole alone they would be a 26th of the loss.
        return with_fit(torch.cat(logits, dim=1), whole.flatten(1), self.fit, tags)

    def drawn_again(self, images: Tensor) -> Tensor:
        """Images [B, 3, R, R] from their features at 8 px: [B, 3, R/2, R/2]."""
        assert self.decoder is not None
        drawn: Tensor = self.decoder(self.parts(images))
        return drawn


def _gated(width: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(2 * width), GatedLinearUnit()]


def _doubling(width_in: int, width_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        Conv2d(width_in, 2 * width_out, 3, padding=1, bias=False),
        *_gated(width_out),
    )


def _halving(width_in: int, width_out: int) -> nn.Module:
    return nn.Sequential(
        Conv2d(width_in, width_out, 4, 2, 1, bias=False),
        nn.BatchNorm2d(width_out),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


def _decoder(width: int, num_doublings: int) -> nn.Module:
    widths = [width, *[NARROW] * num_doublings]
    doublings = [_doubling(*pair) for pair in itertools.pairwise(widths)]
    return nn.Sequential(*doublings, Conv2d(NARROW, 3, 3, padding=1), nn.Tanh())
