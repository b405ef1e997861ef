"""How images come to Inception's input size: our way, and those of the packages people quote.

The way of resizing moves FID more than most changes of a model (Parmar et al., On Aliased Resizing
and Surprising Subtleties in GAN Evaluation, 2022, 2104.11222), so each is named in every row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from ganime.backbones.backbone import resize_uint8
from ganime.metrics.extractors import Images

ResizingName = Literal["rounded", "clean-fid", "pytorch-fid", "torch-fidelity"]
Pixels = torch.Tensor


@dataclass(frozen=True, slots=True)
class Resizing:
    """One way.

    Attributes:
        name: What rows call it, without the size.
        resize: uint8 sRGB [B, H, W, 3] and a side to [B, 3, side, side], 0 to 255, on the CPU;
            uint8 where it rounds, else float32.
    """

    name: str
    resize: Callable[[Images, int], Pixels]


def _floats(images: Images) -> Pixels:
    return torch.as_tensor(np.array(images)).permute(0, 3, 1, 2).float()


def clean(images: Images, side: int) -> Pixels:
    """Anti-aliased bicubic in floats, as clean-fid takes it from Pillow channel by channel."""
    pixels = F.interpolate(_floats(images), (side, side), mode="bicubic", antialias=True)
    return pixels.clamp(0, 255)


def bilinear(images: Images, side: int) -> Pixels:
    """Bilinear between pixel centres without anti-aliasing, as pytorch-fid does."""
    return F.interpolate(_floats(images), (side, side), mode="bilinear", align_corners=False)


def first_tensorflow(images: Images, side: int) -> Pixels:
    """Bilinear between pixel corners, as in TensorFlow 1 and torch-fidelity."""
    pixels = _floats(images)
    pixels = _lerp(pixels, side, 3)
    return _lerp(pixels, side, 2)


def _lerp(pixels: Pixels, side: int, axis: int) -> Pixels:
    """Place i of the result lies at i · length / side, whatever the pixels' centres."""
    length = pixels.shape[axis]
    places = torch.arange(side, dtype=torch.float32) * torch.tensor(length / side)
    low = places.long()
    high = (low + 1).clamp_max(length - 1)
    share = (places - low).view((side, 1) if axis == 2 else (side,))
    first, second = pixels.index_select(axis, low), pixels.index_select(axis, high)
    return torch.lerp(first, second, share.expand_as(first))


RESIZINGS: dict[ResizingName, Resizing] = {
    "rounded": Resizing("bicubic-antialias-uint8", resize_uint8),
    "clean-fid": Resizing("bicubic-antialias", clean),
    "pytorch-fid": Resizing("bilinear", bilinear),
    "torch-fidelity": Resizing("bilinear-tensorflow1", first_tensorflow),
}
