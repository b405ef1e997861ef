"""Layers and initialisations that recipes share."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans.products import conv2d


class MinibatchDeviation(nn.Module):
    """Append one channel: how much a group of images differ (ProGAN, Karras et al. 1710.10196, 3).

    Groups are neighbours in the batch and never span the reals and the fakes of one pass, as long
    as each half of the batch is a multiple of the group.

    Args:
        group: Images per group; a batch that it does not divide is one group.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C + 1, H, W]."""
        batch, channels, height, width = features.shape
        group = self.group if batch % self.group == 0 else batch
        grouped = features.float().reshape(batch // group, group, channels, height, width)
        # The small constant keeps the square root differentiable where a channel is dead.
        deviation = (grouped.var(dim=1, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        channel = deviation.repeat_interleave(group).view(batch, 1, 1, 1)
        channel = channel.expand(batch, 1, height, width).to(features.dtype)
        return torch.cat([features, channel], dim=1)


class LatentToMap(nn.Module):
    """Latents as maps of 4 by 4 px: the transposed convolution that DCGAN begins with.

    Over a single pixel it is a linear layer, and computed as one: in bfloat16 on a CPU the
    convolution took five times as long.

    Args:
        latent: Z.
        width: Channels C.
    """

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.linear, self.width = nn.Linear(latent, 16 * width, bias=False), width

    def forward(self, z: Tensor) -> Tensor:
        """[B, Z] -> [B, C, 4, 4], channels last."""
        places: Tensor = self.linear(z)
        return places.view(-1, 4, 4, self.width).permute(0, 3, 1, 2)  # exported for any B


class GatedLinearUnit(nn.Module):
    """One half of the channels opens and shuts the other (Dauphin et al. 1612.08083, 3).

    `nn.GLU` gives gradients that are no longer channels last, and all layers before it pay: with
    it FastGAN's generator took 1.6 times as long on a CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, 2 C, H, W] -> [B, C, H, W]."""
        gated: Tensor = _Gate.apply(x)  # type: ignore[no-untyped-call]
        return gated


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        values, gates = x.chunk(2, dim=1)
        opened = gates.sigmoid()
        ctx.save_for_backward(values, opened)
        return values * opened

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        values, opened = ctx.saved_tensors
        of_values = gradient * opened
        return torch.cat([of_values, of_values * values * (1 - opened)], dim=1)


class EqualisedLinear(nn.Module):
    """A linear layer whose weights are scaled when used (ProGAN, Karras et al. 1710.10196, 4.1).

    All weights start from N(0, 1), so Adam, which moves every weight by about the learning rate,
    moves all layers at one relative pace.

    Args:
        inputs: I.
        outputs: O.
        gain: Deviation of the outputs for inputs of unit variance; √2 makes up for a leaky ReLU.
        lr_multiplier: How fast weights and biases learn next to the other layers'.
        bias: What biases start at.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        gain: float = 1.0,
        lr_multiplier: float = 1.0,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr_multiplier))
        self.scale, self.lr_multiplier = gain * lr_multiplier / math.sqrt(inputs), lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """[B, I] -> [B, O]."""
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_multiplier)


class EqualisedConv2d(nn.Module):
    """A convolution that keeps the side, its weights scaled when used; see `EqualisedLinear`.

    Args:
        inputs: Channels that come in, I.
        outputs: Channels that go out, O.
        kernel: Side of the kernel, odd.
        gain: Deviation of the outputs for inputs of unit variance.
        bias: Whether there are biases; they start at zero.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, gain: float = 1.0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.padding = gain / (kernel * math.sqrt(inputs)), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, W] -> [B, O, H, W]."""
        weight = self.weight * self.scale
        return conv2d(x, weight, self.bias, padding=self.padding, training=self.training)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale to unit mean square over dimension 1 (ProGAN, 1710.10196, 4.2)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class TagEmbedding(nn.Module):
    """Tag vectors as one vector of unit variance, to set beside a latent.

    Args:
        num_tags: T.
        width: Length E of what comes out.
    """

    def __init__(self, num_tags: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_tags, width, bias=False)
        nn.init.normal_(self.linear.weight)

    def forward(self, tags: Tensor) -> Tensor:
        """[B, T] -> [B, E]; a vector without any tag stays zero."""
        embedded = self.linear(tags).float()
        scale = (embedded.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        normalised: Tensor = embedded * scale
        return normalised


class TagProjection(nn.Module):
    """How well features go with tags: the projection discriminator's second term.

    Miyato, Koyama: cGANs with Projection Discriminator, 2018, 1802.05637, equation 3: the product
    of features with the tags' vector; as in StyleGAN2-ADA's code, of features gathered to that
    vector's length. Gathering starts at zero, so that the discriminator begins with what is real;
    the vectors are of unit variance from the start. Were it the vectors that start at zero, neither
    side would give the other a direction, and the generator would be asked for nothing for tens of
    thousands of images, by which time it has learned to let tags do the latent's work.

    Args:
        num_tags: T.
        num_features: F. Give all places of a map, not their mean: hair is above, shoes are below.
        width: Length of the tags' vector.
    """

    def __init__(self, num_tags: int, num_features: int, width: int = 64) -> None:
        super().__init__()
        self.embedding = TagEmbedding(num_tags, width)
        self.gather = nn.Linear(num_features, width, bias=False)
        nn.init.zeros_(self.gather.weight)

    def forward(self, features: Tensor, tags: Tensor) -> Tensor:
        """Features [B, F], tags [B, T] -> [B], to add to the logits."""
        gathered = self.gather(features)
        products: Tensor = gathered * self.embedding(tags).to(gathered.dtype)
        return products.sum(dim=1) / math.sqrt(products.shape[1])


def with_tags(z: Tensor, embedding: TagEmbedding | None, tags: Tensor | None) -> Tensor:
    """Latents [B, Z], with the embedded tags behind them where there are any: [B, Z + E].

    Raises:
        ValueError: a network with conditions was called without tags, or the other way round.
    """
    if (embedding is None) != (tags is None):
        raise ValueError(
            "a generator with conditions wants tags"
            if tags is None
            else "this generator was built without conditions and takes no tags"
        )
    return z if embedding is None or tags is None else torch.cat([z, embedding(tags)], dim=1)


def with_fit(
    logits: Tensor, features: Tensor, projection: nn.Module | None, tags: Tensor | None
) -> Tensor:
    """Logits [B] or [B, K], plus how well features [B, F] go with the tags where there are any.

    Tags may be N B vectors: all images are judged N times over, each time for other tags. The
    logits are then [N B] or [N B, K], at the cost of one pass through the layers before.

    Raises:
        ValueError: a network with conditions was called without tags, or the other way round.
    """
    if (projection is None) != (tags is None):
        raise ValueError(
            "a discriminator with conditions wants tags"
            if tags is None
            else "this discriminator was built without conditions and takes no tags"
        )
    if projection is None or tags is None:
        return logits
    times = len(tags) // len(logits)
    fit: Tensor = projection(features.repeat(times, 1), tags)
    if logits.dim() == 1:
        return logits.repeat(times) + fit
    return logits.repeat(times, 1) + fit[:, None]


def widths_between(width: int, widest: int, resolution: int) -> list[int]:
    """Channels at 4, 8, …, resolution/2 px: halved with every doubling of the side.

    Args:
        width: Channels at half the resolution.
        widest: No layer has more.
        resolution: Side of the images [px], a power of two, at least 8.
    """
    num_levels = int(math.log2(resolution)) - 2
    return [min(width * 2**level, widest) for level in reversed(range(num_levels))]


def normal_init(module: nn.Module) -> None:
    """Weights from N(0, 0.02²), batch norm scales from N(1, 0.02²) (DCGAN, 1511.06434, 4)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)


def scaled_init(module: nn.Module, slope: float) -> None:
    """Weights that keep the signal's variance from layer to layer (He et al. 1502.01852).

    For networks without normalisation: with N(0, 0.02²) the signal would fade layer by layer.

    Args:
        module: What to initialise.
        slope: Of its leaky ReLUs.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, slope)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def num_parameters(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters())
