"""The Inception-v3 of FID, which differs from torchvision's in its pools.

Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015 (1512.00567). FID's
weights come from TensorFlow's release of 2015: 1008 classes, average pools that do not count the
padding, and a maximum where the last block of torchvision's averages.
"""

from pathlib import Path

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from ganime.backbones.networks import fuse_norms, read_state_dict
from ganime.device import Precision
from ganime.errors import WeightsError
from ganime.metrics.extractors import EXTRACTORS, Extractor, ExtractorConfig, Features
from ganime.metrics.extractors.frozen import FrozenNetwork
from ganime.metrics.extractors.resizing import RESIZINGS, ResizingName
from ganime.metrics.extractors.weights import PublishedFile, checked_digest, find_weights
from ganime.store.workspace import Workspace
from ganime.vision import torchvision

PUBLISHED = PublishedFile(
    use="FID",
    names=(
        "pt_inception-2015-12-05-6726825d.pth",  # pytorch-fid's name for the bytes
        "weights-inception-2015-12-05-6726825d.pth",  # torch-fidelity's and torchmetrics'
    ),
    sha256="6726825d",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    option="--inception-weights",
)
_SIZE = 299
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


@EXTRACTORS.register("inception")
class InceptionSettings(ExtractorConfig):
    """FID's network."""

    weights: str = Field(
        "download",
        description="Path of pt_inception-2015-12-05-6726825d.pth or of its folder, or download "
        "(the folder that GANIME_WEIGHTS names, torch's cache, then the network).",
    )
    precision: Precision = Field(
        "fp32", description="Published numbers are in fp32; bf16 is faster and moves features."
    )

    resizing: ResizingName = Field(
        "rounded",
        description="As a saved file would be resized (rounded), or as another package does: "
        "clean-fid, pytorch-fid or torch-fidelity, to stand beside a number of theirs.",
    )

    def open(self, workspace: Workspace | None) -> Extractor:
        """The network with its weights."""
        return Inception(find_weights(PUBLISHED, self.weights), self.precision, self.resizing)


class Inception(FrozenNetwork):
    """FID's extractor: 2048 pooled features.

    Args:
        path: The published weights, or others of the same layout.
        precision: See `InceptionSettings`.
        resizing: See `InceptionSettings`.

    Attributes:
        name: `inception_v3_fid`.
        metric: `fid` with the published weights; other weights of the same layout give other
            numbers, called `fd_inception_v3`.
        weights_digest: First 12 hex digits of the SHA-256 of the file.
        dim: 2048.
        head: Weights of the last layer [2048, 1008], without its bias, as TensorFlow's Inception
            score leaves it out: features times these are logits.

    Raises:
        WeightsError: the file does not fit; says how to give it.
    """

    def __init__(
        self, path: Path, precision: Precision = "fp32", resizing: ResizingName = "rounded"
    ) -> None:
        digest = checked_digest(PUBLISHED, path)
        network = build_network()
        try:
            network.load_state_dict(read_state_dict(path), strict=True)
        except RuntimeError as error:
            raise WeightsError(
                f"{path} does not have the layout of {PUBLISHED.names[0]}: torchvision's own "
                f"Inception weights are others and give other numbers; {PUBLISHED.ways()}"
            ) from error
        is_published = digest.startswith(PUBLISHED.sha256)
        self.weights_digest = digest[:12]
        self.metric = "fid" if is_published else "fd_inception_v3"
        self.name = "inception_v3_fid" if is_published else "inception_v3"
        self.head: Features = network.fc.weight.detach().numpy().T.copy()  # type: ignore[union-attr,operator]
        network.fc = nn.Identity()
        fuse_norms(network.eval())
        super().__init__(
            network,
            dim=2048,
            size=_SIZE,
            prepare=_by_255 if resizing == "pytorch-fid" else _by_128,
            precision=precision,
            resizing=RESIZINGS[resizing],
        )


def _by_128(pixels: torch.Tensor) -> torch.Tensor:
    """TensorFlow's graph scales by 128, so that 0 becomes exactly -1."""
    return (pixels.float() - 128) / 128


def _by_255(pixels: torch.Tensor) -> torch.Tensor:
    """What pytorch-fid does instead, so that 255 becomes exactly 1."""
    return pixels.float() / 127.5 - 1


def _average(maps: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


def _inputs(network: nn.Module, name: str) -> int:
    return int(getattr(network, name).branch1x1.conv.in_channels)
