"""A frozen network run over images in batches: what all extractors but the backbone share."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import nn

from ganime.device import Precision, choose_device, uses_bfloat16
from ganime.metrics.extractors import Features, Images, checked
from ganime.metrics.extractors.resizing import RESIZINGS, Resizing

_BATCH = 32  # a processor is no faster with more, and 299 px take 300 MB of maps
Prepare = Callable[[torch.Tensor], torch.Tensor]


class FrozenNetwork:
    """Images in, features out.

    Args:
        network: Normalised [B, 3, size, size] to features [B, D]; it belongs to this from now on.
        dim: D.
        size: Side of its input [px].
        prepare: Pixels 0-255 [B, 3, size, size], uint8 or float32, to normalised float32.
        precision: fp32, bf16 or whichever is faster here.
        resizing: How images are brought to the input size.

    Attributes:
        dim: D.
        resize: How images are brought to the input size; bf16 is said here, as it moves features.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        dim: int,
        size: int,
        prepare: Prepare,
        precision: Precision,
        resizing: Resizing = RESIZINGS["rounded"],
    ) -> None:
        self.dim = dim
        self._size = size
        self._resizing = resizing
        self._prepare = prepare
        self._device = choose_device("auto")
        half = uses_bfloat16(precision, self._device)
        self._dtype = torch.bfloat16 if half else torch.float32
        self.precision: Literal["fp32", "bf16"] = "bf16" if half else "fp32"
        network = network.eval().requires_grad_(False)
        self._network = network.to(self._device, self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def resize(self) -> str:
        """How images are brought to the input size, in one word."""
        half = "-bf16" if self.precision == "bf16" else ""
        return f"{self._resizing.name}-{self._size}{half}"

    def features(self, images: Images) -> Features:
        """uint8 sRGB [N, H, W, 3] to float32 [N, D].

        Every pass has the same batch size, the last one being filled up, so that an image has the
        same features in any company.

        Raises:
            ConfigError: the images are something else.
        """
        found = np.empty((len(checked(images)), self.dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = self._resizing.resize(images[start : start + _BATCH], self._size)
                count = len(batch)
                if count < _BATCH:
                    filling = batch.new_zeros(_BATCH - count, *batch.shape[1:])
                    batch = torch.cat([batch, filling])
                pixels = self._prepare(batch.to(self._device)).to(
                    self._dtype, memory_format=torch.channels_last
                )
                measured = self._network(pixels)[:count]
                found[start : start + count] = measured.float().cpu().numpy()
        return found
