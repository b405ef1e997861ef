"""Projected GAN (Sauer, Chitta, Müller, Geiger: Projected GANs Converge Faster, 2021, 2111.01007):
discriminators that see an image through the features of a pretrained network.

What a million photographs taught about edges, textures and parts need not be learned again from two
thousand drawings. As in the paper the network is frozen, its maps at several scales are mixed by
random convolutions that stay random (cross-channel and cross-scale mixing, 3.2), so that no
prominent few features do all the telling apart, and each scale has a discriminator of its own.

What differs: three scales instead of four, at the images' own size instead of 224 px; each judges
the whole as well as its places, as one eye must fit the other; and a fourth discriminator sees
pixels, as in Vision-aided GAN (Kumari et al. 2112.09130, 3), at half the side: features are all but
blind to colours, and without it all hair turns grey. The generator is FastGAN's, the loss the
non-saturating one. Of 4,000 faces at 64 px and 20,000 images shown, the Fréchet distance by a third
network was 81 with features alone, 88 with pixels at full side, and 67 as it is; FastGAN's was 182.

Distances that are measured in the same features flatter this recipe (Kynkäänniemi et al.
2203.06026): evaluate with another network than that of `features`.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.backbones.config import Architecture, BackboneConfig
from ganime.backbones.frozen import FrozenConv2d
from ganime.backbones.networks import Trunk, digest_of_weights, pretrained_trunk
from ganime.backbones.pretraining import learned_weights
from ganime.backbones.pyramid import Pyramid
from ganime.config import Config
from ganime.errors import WeightsError
from ganime.gans import GANS
from ganime.gans.convolutional import ConvolutionalRecipe
from ganime.gans.fastgan import Discriminator as PixelDiscriminator
from ganime.gans.fastgan import FastGan, Generator
from ganime.gans.layers import TagProjection, normal_init, with_fit
from ganime.gans.losses import non_saturating_loss, smoothed_loss
from ganime.gans.products import Conv2d
from ganime.store.workspace import Workspace

SLOPE = 0.2  # of the discriminators' leaky ReLUs
JUDGED = 4  # side [px] at which each scale is judged, place by place
WHOLE = 8  # places that the judgement of the whole counts as
LEAST_SIDE = 64  # [px]; smaller images are doubled until the coarsest map has that side


class FeaturesConfig(Config):
    """The pretrained network that the discriminators look through."""

    architecture: Architecture = Field("mobilenet_v2", description="Which network.")
    weights: str = Field(
        "download",
        min_length=1,
        description="Path of a torchvision state dict (.pth or .safetensors), download, tags "
        "(those learned from the posts' tags in this workspace) or none (random, far worse).",
    )

    def trunk(self) -> Trunk:
        """The network.

        Raises:
            WeightsError: its weights cannot be had; says how to give them.
        """
        config = BackboneConfig(architecture=self.architecture, weights=self.weights)
        try:
            return pretrained_trunk(config, option="--set recipe.features.weights=")
        except WeightsError as error:
            raise WeightsError(f"{error}; or take a recipe that wants none: fastgan") from error


@GANS.register("projected")
class Projected(ConvolutionalRecipe):
    """Discriminators on a frozen pretrained network's features; gated generator of FastGAN."""

    features: FeaturesConfig = Field(
        FeaturesConfig(), description="The pretrained network that the discriminators look through."
    )
    mixed: int = Field(64, ge=4, description="Channels of each scale's mixed features.")
    pixels: bool = Field(True, description="One more discriminator, which sees the pixels.")
    label_smoothing: float = Field(
        0.1, ge=0, lt=0.5, description="Reals count as 1 minus this (one-sided, 1606.03498)."
    )

    @property
    def separate_passes(self) -> bool:
        """The discriminators have batch norm."""
        return True

    def prepare(self) -> None:
        """The features' weights; those learned from tags come with the run."""
        if self.features.weights != "tags":
            self.features.trunk()

    def located(self, workspace: Workspace) -> Self:
        """The features' weights, if they were learned in the workspace, by their path."""
        if self.features.weights != "tags":
            return self
        path = learned_weights(workspace, self.features.architecture)
        features = self.features.model_copy(update={"weights": str(path)})
        return self.model_copy(update={"features": features})

    def digest_of_inputs(self) -> str:
        """Of the features' weights."""
        if self.features.weights == "none":
            return ""
        return digest_of_weights(self.features.trunk().network.state_dict())

    def generator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return Generator(self._networks(), resolution, num_tags)

    def discriminator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`.

        Raises:
            WeightsError: the features' weights cannot be had.
        """
        return Discriminator(self, self._networks(), resolution, num_tags)

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Cross entropy of real against fake (1406.2661, equation 1), over all places."""
        return smoothed_loss(real_logits, fake_logits, self.label_smoothing)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """−log D(G(z)) (1406.2661, section 3)."""
        return non_saturating_loss(fake_logits)

    def _networks(self) -> FastGan:
        shared = ConvolutionalRecipe.model_fields
        return FastGan(**{name: getattr(self, name) for name in shared})


class Discriminator(nn.Module):
    """One discriminator for each scale of the features, and one for pixels.

    Args:
        settings: The recipe.
        networks: Sizes of the networks.
        resolution: R [px].
        num_tags: T; 0 without conditions.
    """

    def __init__(
        self, settings: Projected, networks: FastGan, resolution: int, num_tags: int
    ) -> None:
        super().__init__()
        self.enlarge = max(1, LEAST_SIDE // resolution)
        self.features = Pyramid(settings.features.trunk())
        self.mixing = Mixing(self.features.channels, settings.mixed)
        sides = [resolution * self.enlarge // stride for stride in (4, 8, 16)]
        scales = [Scale(settings.mixed, side, networks.widest) for side in sides]
        self.scales = nn.ModuleList(scales)
        self.pixels = PixelDiscriminator(networks, resolution // 2, 0) if settings.pixels else None
        normal_init(self.scales)
        seen = sum(scale.width for scale in scales) * JUDGED**2
        self.fit = TagProjection(num_tags, seen) if num_tags else None

    def forward(self, images: Tensor, tags: Tensor | None = None) -> Tensor:
        """Images [B, 3, R, R] in [-1, 1], tags [B, T] -> logits [B, 72], or 98 with pixels."""
        large = images
        if self.enlarge > 1:
            large = F.interpolate(images, scale_factor=float(self.enlarge), mode="bilinear")
        mixed = self.mixing(self.features(large))
        judged = [scale(maps) for scale, maps in zip(self.scales, mixed, strict=True)]
        logits = [logits.float() for logits, _ in judged]
        if self.pixels is not None:
            logits.append(self.pixels(F.avg_pool2d(images, 2)).float())
        seen = torch.cat([maps.flatten(1) for _, maps in judged], dim=1)
        return with_fit(torch.cat(logits, dim=1), seen, self.fit, tags)


class Mixing(nn.Module):
    """Random convolutions across channels, then from coarse scales to fine (2111.01007, 3.2).

    Drawn when the network is made and never trained, nor saved: equal seeds draw them again.

    Args:
        channels: C of each scale's maps, the finest first.
        width: Channels W of what comes out.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.across = nn.ModuleList(_random(inputs, width, 1) for inputs in channels)
        self.downwards = nn.ModuleList(_random(width, width, 3) for _ in channels[1:])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps [B, C, h, w], [B, C, h/2, w/2], … -> [B, W, h, w], [B, W, h/2, w/2], …"""
        across = [mix(found) for mix, found in zip(self.across, maps, strict=True)]
        mixed = [across[-1]]
        for mix, finer in zip(reversed(self.downwards), reversed(across[:-1]), strict=True):
            coarse = F.interpolate(mix(mixed[0]), scale_factor=2.0)
            mixed.insert(0, (coarse + finer) * math.sqrt(0.5))  # keeps the variance
        return mixed


class Scale(nn.Module):
    """Discriminator of one scale: halves the side to 4 px, judges each place and the whole.

    Args:
        inputs: Channels of the mixed maps, W.
        side: Of the maps [px].
        widest: No layer has more channels.

    Attributes:
        width: Channels of the last maps.
    """

    def __init__(self, inputs: int, side: int, widest: int) -> None:
        super().__init__()
        widths = [inputs]
        while side > JUDGED:
            widths.append(min(inputs * 2 ** (len(widths) - 1), widest))
            side //= 2
        if len(widths) == 1:
            layers = _convolution(inputs, inputs, 3, 1)
        else:
            layers = [
                layer for pair in itertools.pairwise(widths) for layer in _convolution(*pair, 4, 2)
            ]
        self.layers, self.width = nn.Sequential(*layers), widths[-1]
        self.realness_of_places = Conv2d(self.width, 1, 3, padding=1)
        self.realness = Conv2d(self.width, 1, JUDGED)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps [B, W, side, side] -> logits [B, 24], and what they are read from [B, C, 4, 4]."""
        seen = self.layers(maps)
        whole = self.realness(seen).flatten(1).expand(-1, WHOLE)
        return torch.cat([self.realness_of_places(seen).flatten(1), whole], dim=1), seen


def _convolution(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    return [
        Conv2d(inputs, outputs, kernel, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    ]


def _random(inputs: int, outputs: int, kernel: int) -> FrozenConv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    return FrozenConv2d(conv)
