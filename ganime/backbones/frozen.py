"""Frozen convolutions that pass gradients to their inputs quickly.

What flows back through a convolution is a convolution of the gradient with the kernel turned by
180°, and oneDNN runs that as fast as any other, whereas its own backward pass takes a slow road
through depthwise kernels and strides in bfloat16: 16 images of 64 px took MobileNetV2's first 14
blocks 63 ms of a core there and back, and 24 ms this way.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrozenConv2d(nn.Module):
    """A convolution that is never trained; images behind it can be.

    Its weights are buffers that no state dict holds: they come from where they came from.

    Args:
        conv: Takes the weights of this; odd square kernel, padded by half of it, stride 1 or 2.

    Raises:
        ValueError: a convolution of another shape.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        (kernel, across), (stride, _), padding = conv.kernel_size, conv.stride, conv.padding
        regular = kernel == across and kernel % 2 == 1 and padding == (kernel // 2,) * 2
        depthwise = conv.groups == conv.in_channels == conv.out_channels
        if not regular or stride not in (1, 2) or not (conv.groups == 1 or depthwise):
            raise ValueError(f"no road back through {conv}")
        self.stride, self.padding, self.groups = stride, kernel // 2, conv.groups
        weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight, persistent=False)
        bias = None if conv.bias is None else conv.bias.detach()
        self.register_buffer("bias", bias, persistent=False)
        self._in: dict[tuple[torch.device, torch.dtype], tuple[Tensor | None, ...]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, H, W] -> [B, O, H / stride, W / stride], of autocast's type where it is on."""
        device = x.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
        with torch.autocast(device, enabled=False):
            out: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
                x.to(dtype), *self._weights(x.device, dtype), self.stride, self.padding, self.groups
            )
        return out

    def _weights(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor | None, ...]:
        """Weight, bias and the weight that gradients meet; kept, since they never change."""
        if (device, dtype) not in self._in:
            turned = self.weight.flip(2, 3)
            back = turned.transpose(0, 1) if self.groups == 1 else turned
            self._in[device, dtype] = tuple(
                None if tensor is None else tensor.to(device, dtype)
                for tensor in (
                    self.weight,
                    self.bias,
                    back.contiguous(memory_format=torch.channels_last),
                )
            )
        return self._in[device, dtype]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        back: Tensor,
        stride: int,
        padding: int,
        groups: int,
    ) -> Tensor:
        ctx.back, ctx.sides, ctx.shape = back, x.shape[2:], (stride, padding, groups)
        return F.conv2d(x, weight, bias, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        stride, padding, groups = ctx.shape
        if stride > 1:
            gradient = _spread(gradient, ctx.sides)
        gradient = F.conv2d(gradient, ctx.back, None, 1, padding, 1, groups)
        return (gradient, *[None] * 6)


def _spread(gradient: Tensor, sides: tuple[int, int]) -> Tensor:
    """[B, C, ⌈H/2⌉, ⌈W/2⌉] with zeros between: [B, C, H, W], channels last."""
    batch, channels = gradient.shape[:2]
    apart = gradient.new_zeros(batch, *sides, channels)
    apart[:, ::2, ::2] = gradient.permute(0, 2, 3, 1)
    return apart.permute(0, 3, 1, 2)


def freeze(module: nn.Module) -> nn.Module:
    """Put a `FrozenConv2d` in the place of each convolution of a network, in place.

    Raises:
        ValueError: it has other layers with parameters, or a convolution that cannot be frozen.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d):
            setattr(module, name, FrozenConv2d(child))
        else:
            freeze(child)
    if left := [name for name, _ in module.named_parameters(recurse=False)]:
        raise ValueError(f"{type(module).__name__} has parameters of its own: {', '.join(left)}")
    return module
