"""Feature maps of a frozen pretrained network at three scales, with gradients to the images."""

import torch
from torch import Tensor, nn

from ganime.backbones.backbone import MEAN, STD
from ganime.backbones.config import Architecture
from ganime.backbones.frozen import freeze
from ganime.backbones.networks import Trunk, fuse_norms

# Where the stages begin and end of networks that are one sequence: their last maps before the side
# falls below a quarter, an eighth and a sixteenth of the image's.
_ENDS: dict[Architecture, tuple[int, int, int]] = {
    "vgg16": (16, 23, 30),
    "mobilenet_v2": (4, 7, 14),
}


class Pyramid(nn.Module):
    """The stages of a network that halve the side, one map from each.

    Args:
        trunk: The network with its weights; it belongs to the pyramid from now on.

    Attributes:
        channels: C of the three maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        trunk.eval()
        fuse_norms(trunk)
        self.stages = nn.ModuleList(_stages(trunk))
        freeze(self.stages)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        # Of images in [-1, 1] instead of [0, 1].
        self.register_buffer("mean", 2 * mean - 1, persistent=False)
        self.register_buffer("std", 2 * std, persistent=False)
        with torch.no_grad():
            self.channels = [maps.shape[1] for maps in self(torch.zeros(1, 3, 64, 64))]

    def train(self, mode: bool = True) -> "Pyramid":
        """Stays in evaluation: dropout and statistics are not of use to what is frozen."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images [B, 3, R, R] in [-1, 1] -> maps [B, C, R/4, R/4], [B, C, R/8, R/8], [… R/16]."""
        maps, found = (images - self.mean) / self.std, []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found


def _stages(trunk: Trunk) -> list[nn.Module]:
    net, name = trunk.network, trunk.architecture
    if name.startswith("resnet"):
        stem = nn.Sequential(net.conv1, net.relu, net.maxpool)
        return [nn.Sequential(stem, net.layer1), net.layer2, net.layer3]
    first, second, third = _ENDS[name]
    return [net.features[:first], net.features[first:second], net.features[second:third]]
