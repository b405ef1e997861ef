"""A backbone ready to measure: uint8 images in, float32 features out."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from ganime.backbones.config import BackboneConfig
from ganime.backbones.fused import can_fuse, fused_maps
from ganime.backbones.networks import (
    Trunk,
    described,
    digest_of_weights,
    fuse_norms,
    pooled,
    pretrained_trunk,
)
from ganime.device import choose_device, uses_bfloat16

log = logging.getLogger(__name__)

Features = npt.NDArray[np.float32]
# Of ImageNet, as all torchvision weights expect them (torchvision.transforms presets).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Backbone:
    """A frozen network.

    Args:
        config: Its settings.
        trunk: The network with its weights; it belongs to the backbone from now on.
        suffix: Of the name, for weights that are not ImageNet's.

    Attributes:
        name: Architecture and suffix, for example `resnet18_tags`.
        weights_digest: First 12 hex digits of the SHA-256 of the weights.
        id: Architecture, size and weights: equal ids give comparable features.
        dim: D, length of a feature vector.
        description_dim: E, length of a description.
    """

    def __init__(self, config: BackboneConfig, trunk: Trunk, suffix: str = "") -> None:
        self.config = config
        self.name = f"{config.architecture}_{suffix}" if suffix else config.architecture
        self.weights_digest = digest_of_weights(trunk.network.state_dict())
        self.id = f"{config.architecture}-{config.size}-{self.weights_digest}"
        self.dim = trunk.dim
        self.description_dim = trunk.dim + 5 * trunk.middle_channels
        self.device = choose_device(config.device)
        self.dtype = choose_dtype(config, self.device)
        trunk.eval().requires_grad_(False)
        fuse_norms(trunk)
        self._trunk: Trunk = trunk.to(self.device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def resize(self) -> str:
        """How images are brought to the network's input size, in one word."""
        return f"bicubic-antialias-uint8-{self.config.size}"

    def features(self, images: npt.NDArray[np.uint8]) -> Features:
        """Pooled features of the last map: what distances between sets are measured in.

        The same image gives the same features in any company: every pass has the same batch size,
        so that the same kernels run, the last one being filled up.

        Args:
            images: uint8 sRGB [N, H, W, 3].

        Returns:
            float32 [N, D].
        """
        return self._over_batches(images, lambda middle, last: pooled(last), self.dim)

    def descriptions(self, images: npt.NDArray[np.uint8]) -> Features:
        """The features and, behind them, a map in the middle, as a whole and by quarters.

        For classifiers: with 150 labels of real art the middle brought the F1 of MobileNetV2 from
        0.956 to 0.980 on whole figures and from 0.83 to 0.93 on several of them.

        Args:
            images: uint8 sRGB [N, H, W, 3].

        Returns:
            float32 [N, E].
        """
        return self._over_batches(images, described, self.description_dim)

    def _over_batches(
        self,
        images: npt.NDArray[np.uint8],
        summary: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        dim: int,
    ) -> Features:
        found = np.empty((len(images), dim), np.float32)
        with torch.inference_mode():
            for start, batch in _batches(images, self.config.batch):
                pixels = normalise(resize_uint8(batch, self.config.size).to(self.device))
                pixels = pixels.to(self.dtype, memory_format=torch.channels_last)
                rows = summary(*self._maps(pixels)).cpu().numpy()
                found[start : start + self.config.batch] = rows[: len(images) - start]
        return found

    def _maps(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if can_fuse(self._trunk.network, self.device):
            return fused_maps(self._trunk.network, pixels)
        return self._trunk.maps(pixels)


def load_backbone(config: BackboneConfig, learned: Path | None = None) -> Backbone:
    """The backbone that a config asks for.

    Args:
        config: Architecture, weights and input size.
        learned: For `weights="tags"`: what `ganime.backbones.pretraining` saved.

    Raises:
        WeightsError: the weights are missing or do not fit; says how to give them.
    """
    if config.weights == "none":
        log.warning(
            "backbone: %s has random weights; its features are poor, and distances by them only "
            "rank roughly",
            config.architecture,
        )
    suffixes = {"none": "random", "tags": "tags"}
    return Backbone(config, pretrained_trunk(config, learned), suffixes.get(config.weights, ""))


def resize_uint8(images: npt.NDArray[np.uint8] | torch.Tensor, size: int) -> torch.Tensor:
    """Anti-aliased bicubic, as Pillow's, rounded to uint8 (Parmar et al. 2104.11222).

    Args:
        images: uint8 [B, H, W, 3].
        size: Side of the result [px].

    Returns:
        uint8 [B, 3, size, size] on the CPU, channels last in memory.
    """
    # A copy, as torch wants what it may write to, and datasets are mapped from files.
    given = torch.as_tensor(np.array(images)).permute(0, 3, 1, 2)
    if given.shape[2:] == (size, size):
        return given
    return F.interpolate(given, (size, size), mode="bicubic", antialias=True)


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [B, 3, H, W] to float32 with ImageNet's mean 0 and deviation 1 per channel."""
    mean = torch.tensor(MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / std


def choose_dtype(config: BackboneConfig, device: torch.device) -> torch.dtype:
    """`auto` takes bfloat16 where the hardware multiplies it in matrix units and it pays.

    MobileNet's depthwise convolutions use no matrix units of a processor: bfloat16 would cost it
    digits (its features move by 4 %) and gain nothing.
    """
    if (
        config.precision == "auto"
        and device.type == "cpu"
        and config.architecture == "mobilenet_v2"
    ):
        return torch.float32
    return torch.bfloat16 if uses_bfloat16(config.precision, device) else torch.float32


def _batches(
    images: npt.NDArray[np.uint8], size: int
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        if len(batch) < size:
            filling = np.zeros((size - len(batch), *batch.shape[1:]), np.uint8)
            batch = np.concatenate([batch, filling])
        yield start, batch
