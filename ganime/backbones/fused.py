"""A ResNet on a processor, its activations and sums worked into the convolutions before them.

A third of a frozen ResNet's time goes into ReLUs and sums that only read and write memory. oneDNN
does both on its way out of a convolution, before anything is rounded: ResNet34 in bfloat16 takes
10 ms of a core for an image of 224 px and not 15, and its features move by 0.2 %. The operators are
those that `torch.compile` itself uses; called directly they need no compiler and no warming up.
"""

from typing import Any

import torch
from torch import nn

_OPERATORS = ("_convolution_pointwise", "_convolution_pointwise_")


def can_fuse(network: nn.Module, device: torch.device) -> bool:
    """Whether `fused_maps` can run a network here: a ResNet on a processor that oneDNN serves."""
    return (
        device.type == "cpu"
        and hasattr(network, "layer4")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)
    )


def fused_maps(network: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both maps of a torchvision ResNet whose batch norms are folded away; see `Trunk.maps`.

    Args:
        network: After `ganime.backbones.networks.fuse_norms`, in evaluation.
        images: Normalised [B, 3, H, W], channels last; inference mode is on.

    Returns:
        Of the images' type, [B, C, 2h, 2w] and [B, D, h, w].
    """
    maps: torch.Tensor = network.maxpool(_conv(network.conv1, images, "relu"))
    for name in ("layer1", "layer2", "layer3", "layer4"):
        for block in getattr(network, name):
            maps = _block(block, maps)
        if name == "layer3":
            middle = maps.clone()  # the next block may write over its input
    return middle, maps


def _block(block: Any, maps: torch.Tensor) -> torch.Tensor:
    shortcut = block.downsample
    rest = maps if shortcut is None else _conv(shortcut[0], maps, "none")
    # A bottleneck has three convolutions, a basic block two.
    convs = [conv for name in ("conv1", "conv2", "conv3") if (conv := getattr(block, name, None))]
    for conv in convs[:-1]:
        maps = _conv(conv, maps, "relu")
    return _conv_onto(convs[-1], maps, rest)


def _conv(conv: nn.Conv2d, maps: torch.Tensor, after: str) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(
        maps, conv.weight, conv.bias, *_shape_of(conv), after, [], ""
    )
    return found


def _conv_onto(conv: nn.Conv2d, maps: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """ReLU of the sum, which takes the place of `rest`."""
    found: torch.Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
        rest, maps, conv.weight, conv.bias, *_shape_of(conv), "add", 1.0, "relu", [], ""
    )
    return found


def _shape_of(conv: nn.Conv2d) -> tuple[object, ...]:
    return conv.padding, conv.stride, conv.dilation, conv.groups
