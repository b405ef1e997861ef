"""Growing networks (ProGAN, Karras et al. 1710.10196, 3 and 4): small sides first, then larger."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans.layers import (
    EqualisedConv2d,
    EqualisedLinear,
    MinibatchDeviation,
    TagEmbedding,
    TagProjection,
    pixel_norm,
    with_fit,
    with_tags,
)

SLOPE = 0.2  # of the leaky ReLUs (1710.10196, table 2)
GAIN = math.sqrt(2)  # makes up for what they take away (1710.10196, 4.1)
FIRST_SIDE = 4  # of level 0 [px]; every level doubles it


class Stage(NamedTuple):
    """How far networks have grown.

    Attributes:
        level: The last one in use; its side is 4·2^level px.
        alpha: How far it is faded in, 0-1.
    """

    level: int
    alpha: float


def stage_at(progress: float, num_levels: int, shares: Sequence[float], fade: float) -> Stage:
    """How far networks have grown.

    Args:
        progress: Share of the run that lies behind, 0-1.
        num_levels: How many levels there are.
        shares: Relative lengths of the levels; the last one is that of all further levels too.
        fade: Share of its time in which a level is faded in.
    """
    lengths = [shares[min(level, len(shares) - 1)] for level in range(num_levels)]
    starts = [start / sum(lengths) for start in itertools.accumulate(lengths[:-1], initial=0.0)]
    level = max(number for number, start in enumerate(starts) if start <= progress)
    fading = fade * lengths[level] / sum(lengths)
    if level == 0 or progress >= starts[level] + fading:
        return Stage(level, 1.0)
    return Stage(level, (progress - starts[level]) / fading)


class Growing(nn.Module):
    """Base of the two networks: where they stand, in buffers, for a saved one must know it.

    Args:
        num_levels: How many levels there are; a new network has all of them in use.
    """

    level: Tensor
    alpha: Tensor

    def __init__(self, num_levels: int) -> None:
        super().__init__()
        self.num_levels = num_levels
        self.register_buffer("level", torch.tensor(num_levels - 1))
        self.register_buffer("alpha", torch.tensor(1.0))
        self._exported = Stage(num_levels - 1, 1.0)

    @property
    def stage(self) -> Stage:
        """How far it has grown."""
        if torch.compiler.is_exporting():  # buffers have no values then
            return self._exported
        return Stage(int(self.level), float(self.alpha))

    def train(self, mode: bool = True) -> Self:
        """See torch. A graph that is exported after `eval()` stays at the stage of now."""
        self._exported = self.stage
        return super().train(mode)

    def grow(self, stage: Stage) -> None:
        """Use the levels up to that of the stage."""
        self.level.fill_(stage.level)
        self.alpha.fill_(stage.alpha)


class GrowingGenerator(Growing):
    """The paper's generator; levels above the one in use cost nothing.

    Args:
        latent: Length of z.
        widths: Channels at 4 px, 8 px, … up to the resolution.
        num_tags: T; 0 without conditions.
        tag_width: Length of the vector that tags become.
    """

    def __init__(self, latent: int, widths: Sequence[int], num_tags: int, tag_width: int) -> None:
        super().__init__(len(widths))
        self.embedding = TagEmbedding(num_tags, tag_width) if num_tags else None
        inputs = latent + (tag_width if num_tags else 0)
        self.first = EqualisedLinear(inputs, widths[0] * FIRST_SIDE**2, gain=GAIN)
        self.second = EqualisedConv2d(widths[0], widths[0], 3, gain=GAIN)
        self.blocks = nn.ModuleList(itertools.starmap(Doubling, itertools.pairwise(widths)))
        self.to_rgb = nn.ModuleList(EqualisedConv2d(width, 3, 1) for width in widths)

    def forward(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """z [B, Z], tags [B, T] -> images [B, 3, R, R], about [-1, 1]."""
        level, alpha = self.stage
        x = self.first(with_tags(pixel_norm(z), self.embedding, tags))
        x = _normalised(x.unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE)))
        below = x = _normalised(self.second(x))
        for block in self.blocks[:level]:
            below, x = x, block(x)
        images: Tensor = self.to_rgb[level](x)
        if alpha < 1.0:
            before = F.interpolate(self.to_rgb[level - 1](below), scale_factor=2.0)
            images = torch.lerp(before, images, alpha)
        missing = 2 ** (self.num_levels - 1 - level)
        return F.interpolate(images, scale_factor=float(missing)) if missing > 1 else images


class GrowingDiscriminator(Growing):
    """The paper's discriminator, the generator's mirror image.

    Reals are not faded as in the paper: what is new of them counts only as far as the new level
    is faded in.

    Args:
        widths: Channels at 4 px, 8 px, … up to the resolution.
        num_tags: T; 0 without conditions.
    """

    def __init__(self, widths: Sequence[int], num_tags: int) -> None:
        super().__init__(len(widths))
        self.from_rgb = nn.ModuleList(EqualisedConv2d(3, width, 1, gain=GAIN) for width in widths)
        self.blocks = nn.ModuleList(
            Halving(width, below) for below, width in itertools.pairwise(widths)
        )
        self.deviation = MinibatchDeviation()
        self.last = EqualisedConv2d(widths[0] + 1, widths[0], 3, gain=GAIN)
        self.features = EqualisedLinear(widths[0] * FIRST_SIDE**2, widths[0], gain=GAIN)
        self.realness = EqualisedLinear(widths[0], 1)
        self.fit = TagProjection(num_tags, widths[0]) if num_tags else None

    def shrunk(self, images: Tensor) -> Tensor:
        """Images at the side in use, by averaging; those that have it already stay as they are."""
        factor = images.shape[-1] // (FIRST_SIDE * 2 ** int(self.level))
        return F.avg_pool2d(images, factor) if factor > 1 else images

    def forward(self, images: Tensor, tags: Tensor | None = None) -> Tensor:
        """Images [B, 3, R, R] or smaller, tags [B, T] -> logits [B]."""
        level, alpha = self.stage
        images = self.shrunk(images)
        x = self._from_rgb(images, level)
        for number in reversed(range(level)):
            x = self.blocks[number](x)
            if number == level - 1 and alpha < 1.0:
                before = self._from_rgb(F.avg_pool2d(images, 2), number)
                x = torch.lerp(before.to(x.dtype), x, alpha)
        x = F.leaky_relu(self.last(self.deviation(x)), SLOPE)
        features = F.leaky_relu(self.features(x.flatten(1)), SLOPE)
        # A critic's scores are large and their differences small: not to be rounded to bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            features = features.to(self.realness.weight.dtype)
            return with_fit(self.realness(features).flatten(), features, self.fit, tags)

    def _from_rgb(self, images: Tensor, level: int) -> Tensor:
        return F.leaky_relu(self.from_rgb[level](images), SLOPE)


class Doubling(nn.Module):
    """Twice the side by nearest neighbour, then two 3x3 convolutions with pixel norm.

    Args:
        inputs: Channels that come in, I.
        outputs: Channels that go out, O.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inputs, outputs, 3, gain=GAIN)
        self.second = EqualisedConv2d(outputs, outputs, 3, gain=GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, H] -> [B, O, 2H, 2H]."""
        x = _normalised(self.first(F.interpolate(x, scale_factor=2.0)))
        return _normalised(self.second(x))


class Halving(nn.Module):
    """Two 3x3 convolutions, then half the side by averaging.

    Args:
        inputs: Channels that come in, I.
        outputs: Channels that go out, O.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualisedConv2d(inputs, inputs, 3, gain=GAIN)
        self.second = EqualisedConv2d(inputs, outputs, 3, gain=GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, H] -> [B, O, H/2, H/2]."""
        x = F.leaky_relu(self.first(x), SLOPE)
        return F.avg_pool2d(F.leaky_relu(self.second(x), SLOPE), 2)


def _normalised(x: Tensor) -> Tensor:
    return pixel_norm(F.leaky_relu(x, SLOPE))
