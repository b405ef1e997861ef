"""The Inception-v3 of FID, which differs from torchvision's in its pools.

Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015 (1512.00567). FID's
weights come from TensorFlow's release of 2015: 1008 classes, average pools that do not count the
padding, and a maximum where the last block of torchvision's averages.
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from ganime.backbones.backbone import choose_device, resize_uint8
from ganime.backbones.networks import read_state_dict
from ganime.errors import WeightsError
from ganime.vision import torchvision

FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
_PUBLISHED = "6726825d"  # how the SHA-256 of the published file starts
_SIZE = 299
_BATCH = 32
_blocks = torchvision.models.inception


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
    network: nn.Module = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, transform_input=False, init_weights=False
    )
    for name, pool in {"Mixed_5b": 32, "Mixed_5c": 64, "Mixed_5d": 64}.items():
        setattr(network, name, _BlockA(int(_inputs(network, name)), pool_features=pool))
    for name, width in {"Mixed_6b": 128, "Mixed_6c": 160, "Mixed_6d": 160, "Mixed_6e": 192}.items():
        setattr(network, name, _BlockC(768, channels_7x7=width))
    network.Mixed_7b = _BlockE(1280)
    network.Mixed_7c = _LastBlock(2048)
    return network


class Inception:
    """FID's extractor: 2048 pooled features, in float32 whatever the hardware.

    Args:
        path: The published weights, `pt_inception-2015-12-05-6726825d.pth`.

    Attributes:
        name: `inception_v3_fid`.
        metric: `fid` with the published weights; other weights of the same layout give other
            numbers, called `fd_inception_v3`.
        weights_digest: First 12 hex digits of the SHA-256 of the file.
        dim: 2048.
        resize: How images are brought to 299 px.

    Raises:
        WeightsError: the file is missing or does not fit; says how to give it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise WeightsError(
                f"FID needs {FILE_NAME}, and {str(path) or 'no path'!r} is no such file: give its "
                "path with --inception-weights PATH, or leave that out for a distance by the "
                "backbone's features"
            )
        network = build_network()
        state = read_state_dict(path)
        try:
            network.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise WeightsError(
                f"{path} does not have the layout of {FILE_NAME}: torchvision's own Inception "
                "weights are others and give other numbers"
            ) from error
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.weights_digest = digest[:12]
        self.metric = "fid" if digest.startswith(_PUBLISHED) else "fd_inception_v3"
        self.name = "inception_v3_fid" if self.metric == "fid" else "inception_v3"
        self.dim = 2048
        self.resize = f"bicubic-antialias-uint8-{_SIZE}"
        self._device = choose_device("auto")
        network.fc = nn.Identity()
        self._network = network.eval().requires_grad_(False).to(self._device)

    def features(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 sRGB [N, H, W, 3] to float32 features [N, 2048]."""
        found = np.empty((len(images), self.dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = resize_uint8(images[start : start + _BATCH], _SIZE).to(self._device)
                # TensorFlow's graph scales by 128, so that 0 becomes exactly -1.
                pixels = (batch.float() - 128) / 128
                measured = self._network(pixels.contiguous(memory_format=torch.channels_last))
                found[start : start + len(batch)] = measured.cpu().numpy()
        return found


def _average(maps: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


def _inputs(network: nn.Module, name: str) -> int:
    return int(getattr(network, name).branch1x1.conv.in_channels)
