"""Layers that a style steers.

StyleGAN2: Karras, Laine, Aittala, Hellsten, Lehtinen, Aila: Analyzing and Improving the Image
Quality of StyleGAN, 2019, 1912.04958, section 2.2 and appendix B.

The paper scales every image's own copy of the weights, which needs a convolution of as many groups
as there are images. The same numbers come out if one convolution is shared and its inputs are
scaled by the style and its outputs by the demodulation: convolutions are linear in each channel. On
a CPU grouped convolutions leave the fast path, so that is how it is done here.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans.layers import EqualisedLinear
from ganime.gans.products import conv2d, conv_transpose2d

Upsampling = Literal["nearest", "bilinear"]
SLOPE = 0.2  # of leaky ReLUs (1912.04958, appendix B)
GAIN = math.sqrt(2)  # makes up for the variance that a leaky ReLU takes (1502.01852)
NOISE_SEED = 0  # of the noise outside training, together with the side of the image


class StyledLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU.

    Args:
        inputs: Channels that come in, I.
        outputs: Channels that go out, O.
        style: Length W of a style.
        side: H, of what goes out [px].
        upsampling: How the side doubles first; None where it stays.
    """

    noise: Tensor

    def __init__(
        self, inputs: int, outputs: int, style: int, side: int, upsampling: Upsampling | None
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(()))
        self.affine = EqualisedLinear(style, inputs, bias=1.0)
        self.upsampling = upsampling
        random = torch.Generator().manual_seed(NOISE_SEED + side)
        self.register_buffer(
            "noise", torch.randn((1, 1, side, side), generator=random, device="cpu")
        )

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[B, I, h, h], style [B, W] -> [B, O, H, H]; noise is new in training, else fixed."""
        # Scales in float32: they are cheap, and an error in one touches a whole channel.
        with torch.autocast(x.device.type, enabled=False):
            scales = self.affine(style)
            weight = self.weight / math.sqrt(self.weight[0].numel())
            norms = demodulation(weight, scales) * GAIN
        x = self._upsampled_conv(x * _as_maps(scales, x), weight)
        x = x * _as_maps(norms, x) + self.bias.to(x.dtype)[:, None, None]
        noise = self.noise
        if self.training:
            noise = torch.randn((len(x), 1, *x.shape[2:]), device=x.device)
        return F.leaky_relu(x + noise.to(x.dtype) * self.strength.to(x.dtype), SLOPE)

    def _upsampled_conv(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.upsampling == "nearest":
            kernel = spread_kernel(weight.flip(2, 3)).transpose(0, 1)
            return conv_transpose2d(x, kernel, stride=2, padding=1, training=self.training)
        if self.upsampling == "bilinear":
            x = F.interpolate(x, scale_factor=2, mode="bilinear")
        return conv2d(x, weight, padding=1, training=self.training)


class ToRgb(nn.Module):
    """Modulated 1x1 convolution to three channels, without demodulation.

    Three channels are so few that scaling each image's weights is cheaper than scaling its maps.

    Args:
        inputs: Channels that come in, I.
        style: Length W of a style.
    """

    def __init__(self, inputs: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, 3))
        self.bias = nn.Parameter(torch.zeros(3))
        self.affine = EqualisedLinear(style, inputs, bias=1.0)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """[B, I, H, H], style [B, W] -> float [B, 3, H, H]."""
        batch, inputs, side, _ = x.shape
        scales = self.affine(style) / math.sqrt(inputs)
        weights = scales[:, :, None] * self.weight
        pixels = x.permute(0, 2, 3, 1).reshape(batch, side * side, inputs)
        colours = torch.bmm(pixels, weights.to(x.dtype)).to(self.bias.dtype) + self.bias
        return colours.reshape(batch, side, side, 3).permute(0, 3, 1, 2)


def demodulation(weight: Tensor, scales: Tensor) -> Tensor:
    """What brings modulated outputs back to unit deviation (1912.04958, equation 3).

    Args:
        weight: [O, I, k, k].
        scales: Of the inputs [B, I].

    Returns:
        [B, O].
    """
    energies = scales.square() @ weight.square().sum(dim=(2, 3)).T
    return (energies + 1e-8).rsqrt()


def spread_kernel(weight: Tensor) -> Tensor:
    """3x3 kernels under a 2x2 box filter: [O, I, 3, 3] -> [O, I, 4, 4], not divided by four.

    With stride 2, divided by four, they do in one convolution, at 4/9 of the cost, what the 3x3
    convolution and an average pool do; transposed and flipped, what doubling by nearest neighbour
    and the convolution do.
    """
    shifts = [(0, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0), (1, 0, 1, 0)]
    spread: Tensor = sum((F.pad(weight, shift) for shift in shifts[1:]), F.pad(weight, shifts[0]))
    return spread


def _as_maps(scales: Tensor, like: Tensor) -> Tensor:
    return scales.to(like.dtype)[:, :, None, None]
