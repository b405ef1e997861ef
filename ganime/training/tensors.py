"""Pixels as files hold them, tensors as networks want them."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def to_tensor(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 [B, R, R, 3] -> float32 [B, 3, R, R] in [-1, 1], channels last."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_pixels(images: Tensor) -> npt.NDArray[np.uint8]:
    """Images [B, 3, R, R] in [-1, 1] -> uint8 [B, R, R, 3], rounded to nearest."""
    scaled = images.float().add(1.0).mul(127.5).round().clamp(0, 255)
    pixels: npt.NDArray[np.uint8] = scaled.byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels
