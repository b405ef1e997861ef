"""Convolutions over few places, as matrix products.

Where maps are down to 4x4 places, a convolution is one product of moderate size. In bfloat16 on a
CPU with AMX, oneDNN's convolutions reach a tenth to a third of what its matrix products do there,
worst in the gradient of the weights: 4x4 kernels from 256 to 512 channels, stride 2, a batch of 64,
forward and back took 71 ms one way and 21 ms the other; DCGAN of the paper's size is trained 1.4
times as fast. Patches laid out as rows (im2col: Chellapilla et al., High Performance Convolutional
Neural Networks for Document Processing, 2006) make the product; laying them back makes the
transposed convolution. Networks that are not being trained convolve as ever.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MOST_PLACES = 16  # 4x4; at 8x8 laying out patches costs about what the product gains
FEWEST_WEIGHTS = 2**19  # 128 to 256 channels, 4x4; with fewer, the patches cost what is gained


class Window(NamedTuple):
    """Where a kernel looks: the same along both sides."""

    kernel: int
    stride: int
    padding: int


class Conv2d(nn.Conv2d):
    """`nn.Conv2d` of square kernels; see the module."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, W] -> [B, O, H', W']."""
        if not _is_plain(self):
            return super().forward(x)
        stride, padding = self.stride[0], int(self.padding[0])
        return conv2d(x, self.weight, self.bias, stride, padding, training=self.training)


class ConvTranspose2d(nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` of square kernels; see the module."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B, I, H, W] -> [B, O, H', W']."""
        if output_size is not None or any(self.output_padding) or not _is_plain(self):
            return super().forward(x, output_size)
        stride, padding = self.stride[0], int(self.padding[0])
        return conv_transpose2d(x, self.weight, self.bias, stride, padding, training=self.training)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    *,
    training: bool,
) -> Tensor:
    """`F.conv2d`, as a product where that pays.

    Args:
        x: [B, I, H, W].
        weight: [O, I, k, k].
        bias: [O].
        stride: Of both sides.
        padding: Zeros around, on each side.
        training: Whether the network is being trained.

    Returns:
        [B, O, H', W'].
    """
    window = Window(weight.shape[2], stride, padding)
    if not (training and _pays(x, weight, window, math.prod(_sides(x.shape[2:], window)))):
        return F.conv2d(x, weight, bias, stride, padding)
    return as_product(x.to(torch.bfloat16), weight.to(torch.bfloat16), bias, window)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    *,
    training: bool,
) -> Tensor:
    """`F.conv_transpose2d`, as a product where that pays; see `conv2d`, but weight [I, O, k, k]."""
    window = Window(weight.shape[2], stride, padding)
    if not (training and _pays(x, weight, window, math.prod(x.shape[2:]))):
        return F.conv_transpose2d(x, weight, bias, stride, padding)
    return as_transposed_product(x.to(torch.bfloat16), weight.to(torch.bfloat16), bias, window)


def as_product(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    """See `conv2d`."""
    batch, _, height, width = x.shape
    rows: Tensor = _Patches.apply(x, window)  # type: ignore[no-untyped-call]
    places = rows @ weight.permute(0, 2, 3, 1).reshape(len(weight), -1).t()
    high, wide = _sides((height, width), window)
    maps = places.view(batch, high, wide, -1).permute(0, 3, 1, 2)
    return maps if bias is None else maps + bias.to(maps.dtype)[:, None, None]


def as_transposed_product(x: Tensor, weight: Tensor, bias: Tensor | None, window: Window) -> Tensor:
    """See `conv_transpose2d`."""
    batch, channels, height, width = x.shape
    places = x.permute(0, 2, 3, 1).reshape(-1, channels)
    rows = places @ weight.permute(0, 2, 3, 1).reshape(channels, -1)
    kernel, stride, padding = window
    high, wide = (stride * (side - 1) + kernel - 2 * padding for side in (height, width))
    shape = torch.Size((batch, weight.shape[1], high, wide))
    maps: Tensor = _LaidBack.apply(rows, shape, window)  # type: ignore[no-untyped-call]
    return maps if bias is None else maps + bias.to(maps.dtype)[:, None, None]


class _Patches(torch.autograd.Function):
    """[B, C, H, W] -> rows of patches [B H' W', k k C]; its gradient is the one below."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window) -> Tensor:
        ctx.shape, ctx.window = x.shape, window
        kernel, stride, padding = window
        maps = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
        patches = maps.unfold(1, kernel, stride).unfold(2, kernel, stride)
        return patches.permute(0, 1, 2, 4, 5, 3).reshape(-1, kernel * kernel * x.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _LaidBack.apply(gradient, ctx.shape, ctx.window), None  # type: ignore[no-untyped-call]


class _LaidBack(torch.autograd.Function):
    """Rows of patches, each added where it came from: [B, C, H, W], channels last."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, shape: torch.Size, window: Window) -> Tensor:
        ctx.window = window
        batch, channels, height, width = shape
        kernel, stride, padding = window
        high, wide = _sides((height, width), window)
        # A patch is `times` strides long: steps of one stride lie side by side and are added whole.
        times = kernel // stride
        steps = rows.view(batch, high, wide, times, stride, times, stride, channels)
        sums = rows.new_zeros((batch, high + times - 1, stride, wide + times - 1, stride, channels))
        for i in range(times):
            for j in range(times):
                sums[:, i : i + high, :, j : j + wide] += steps[:, :, :, i, :, j].transpose(2, 3)
        maps = sums.view(batch, stride * sums.shape[1], stride * sums.shape[3], channels)
        inner = maps[:, padding : padding + height, padding : padding + width]
        return inner.contiguous().permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Patches.apply(gradient, ctx.window), None, None  # type: ignore[no-untyped-call]


def _pays(x: Tensor, weight: Tensor, window: Window, num_places: int) -> bool:
    if window.kernel % window.stride:  # patches could not be laid back in whole steps
        return False
    if x.device.type != "cpu" or num_places > MOST_PLACES or weight.numel() < FEWEST_WEIGHTS:
        return False
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") is torch.bfloat16
    return x.dtype is torch.bfloat16


def _sides(sides: tuple[int, ...], window: Window) -> tuple[int, int]:
    """Places that a kernel takes along the height and the width."""
    kernel, stride, padding = window
    high, wide = ((side + 2 * padding - kernel) // stride + 1 for side in sides)
    return high, wide


def _is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a layer is one of what is said here: square, whole, not spread out."""
    return (
        layer.groups == 1
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and layer.dilation == (1, 1)
        and all(len({*pair}) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    )
