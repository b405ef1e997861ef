"""Layers and initialisations that recipes share."""

import math

import torch
from torch import Tensor, nn


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
