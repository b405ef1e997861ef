"""The Inception-v3 of FID, which differs from torchvision's in its pools.

Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015 (1512.00567). FID's
weights come from TensorFlow's release of 2015: 1008 classes, average pools that do not count the
padding, and a maximum where the last block of torchvision's averages.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ganime import vision

_blocks = vision.torchvision.models.inception


class _BlockA(_blocks.InceptionA):  # type: ignore[misc, name-defined]
    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(_average(x))
        return [self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pooled]


class _BlockC(_blocks.InceptionC):  # type: ignore[misc, name-defined]
    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_2(self.branch7x7dbl_1(x))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(self.branch7x7dbl_3(double)))
        return [self.branch1x1(x), single, double, self.branch_pool(_average(x))]


class _BlockE(_blocks.InceptionE):  # type: ignore[misc, name-defined]
    def _forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return [
            self.branch1x1(x),
            torch.cat([self.branch3x3_2a(single), self.branch3x3_2b(single)], 1),
            torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1),
            self.branch_pool(self._pool(x)),
        ]

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        return _average(x)


class _LastBlock(_BlockE):
    """TensorFlow's graph takes the maximum here."""

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 3, stride=1, padding=1)


def build_network() -> nn.Module:
    """FID's Inception with random weights; its state dict has the published file's layout."""
    network: nn.Module = vision.torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, transform_input=False, init_weights=False
    )
    for name, pool in {"Mixed_5b": 32, "Mixed_5c": 64, "Mixed_5d": 64}.items():
        setattr(network, name, _BlockA(int(_inputs(network, name)), pool_features=pool))
    for name, width in {"Mixed_6b": 128, "Mixed_6c": 160, "Mixed_6d": 160, "Mixed_6e": 192}.items():
        setattr(network, name, _BlockC(768, channels_7x7=width))
    network.Mixed_7b = _BlockE(1280)
    network.Mixed_7c = _LastBlock(2048)
    return network


def _average(maps: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


def _inputs(network: nn.Module, name: str) -> int:
    return int(getattr(network, name).branch1x1.conv.in_channels)
