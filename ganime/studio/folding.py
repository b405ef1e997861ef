"""A generator rewritten so that a CPU draws it faster: the same images to 1 of 255."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganime.gans.modulated import spread_kernel

LANES = 16  # channels that a kernel computes at a time, be they wanted or not
ROWS = 8  # of a product: the least for which libraries take the kernels of large ones


class SteadyLinear(nn.Linear):
    """A linear layer whose every row is the same bit for bit whatever the others are.

    Args:
        layer: Whose weights it shares.
    """

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Linear`."""
        rows = x.reshape(-1, self.in_features)
        filled = functional.pad(rows, (0, 0, 0, -len(rows) % ROWS))
        parts = [filled[start : start + ROWS] for start in range(0, len(filled), ROWS)]
        made = torch.cat([functional.linear(part, self.weight, self.bias) for part in parts])
        return made[: len(rows)].reshape(*x.shape[:-1], self.out_features)


def folded(network: nn.Module) -> nn.Module:
    """A copy for drawing on a CPU; the network stays as it is.

    Where layers follow each other in an `nn.Sequential`, doubling by nearest neighbour and a 3x3
    convolution become one transposed convolution, at 4/9 of its cost, and a batch norm becomes
    part of the convolution before it. All maps lie channels last, as oneDNN computes them. Linear
    layers multiply as many rows at a time whatever the batch: libraries choose another kernel for
    few rows, which would give other bits.

    Args:
        network: A generator in evaluation mode.
    """
    made = copy.deepcopy(network)
    for module in list(made.modules()):
        for name, layer in module.named_children():
            if type(layer) is nn.Linear:
                setattr(module, name, SteadyLinear(layer))
        if isinstance(module, nn.Sequential):
            _fold(module)
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fold(layers: nn.Sequential) -> None:
    found: list[nn.Module] = []
    for layer in layers:
        before = found[-1] if found else None
        if _is_doubling(before) and _is_plain_3x3(layer):
            found[-1] = _doubling_conv(layer)
        elif isinstance(before, nn.Conv2d) and type(layer) is nn.BatchNorm2d:
            found[-1] = fuse_conv_bn_eval(before, layer)
        elif isinstance(before, nn.ConvTranspose2d) and type(layer) is nn.BatchNorm2d:
            found[-1] = fuse_conv_bn_eval(before, layer, transpose=True)
        else:
            found.append(layer)
    del layers[:]
    layers.extend(found)


def _is_doubling(layer: nn.Module | None) -> bool:
    return isinstance(layer, nn.Upsample) and (layer.mode, layer.scale_factor) == ("nearest", 2)


def _is_plain_3x3(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and (
        (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        and (layer.dilation, layer.groups, layer.padding_mode) == ((1, 1), 1, "zeros")
    )


def _doubling_conv(conv: nn.Module) -> nn.Module:
    """What doubles the side and convolves at once; see `spread_kernel`."""
    assert isinstance(conv, nn.Conv2d)  # nothing else is a plain 3x3 convolution
    if 4 * conv.out_channels <= LANES:
        return _shuffled_conv(conv)
    num_in, num_out, has_bias = conv.in_channels, conv.out_channels, conv.bias is not None
    made = nn.ConvTranspose2d(num_in, num_out, 4, 2, 1, bias=has_bias).to(conv.weight)
    with torch.no_grad():
        made.weight.copy_(spread_kernel(conv.weight.flip(2, 3)).transpose(0, 1))
        if conv.bias is not None and made.bias is not None:
            made.bias.copy_(conv.bias)
    return made.train(conv.training).requires_grad_(False)


def _shuffled_conv(conv: nn.Conv2d) -> nn.Sequential:
    """The four pixels that come of each, as channels, then side by side (Shi et al. 1609.05158).

    Three colours would leave most lanes of the transposed convolution idle; twelve channels do not,
    and though half of the weights are zeros, this takes two thirds of its time.
    """
    num_in, num_out, has_bias = conv.in_channels, conv.out_channels, conv.bias is not None
    made = nn.Conv2d(num_in, 4 * num_out, 3, padding=1, bias=has_bias).to(conv.weight)
    # Above and left of a doubled pixel, the kernel's first line meets the pixel before; the other
    # two meet this one. Below and right it is the other way round.
    meets = torch.tensor([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]])
    meets = meets.to(conv.weight)
    with torch.no_grad():
        spread = torch.einsum("oikl,apk,bql->oabipq", conv.weight, meets, meets)
        made.weight.copy_(spread.reshape(4 * num_out, num_in, 3, 3))
        if conv.bias is not None and made.bias is not None:
            made.bias.copy_(conv.bias.repeat_interleave(4))
    return nn.Sequential(made, nn.PixelShuffle(2)).train(conv.training).requires_grad_(False)
