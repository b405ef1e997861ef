"""The extractor of FID: Inception-v3 with the weights of TensorFlow's release of 2015."""

from pathlib import Path

import torch
from pydantic import Field
from torch import nn

from ganime.backbones.networks import fuse_norms, read_state_dict
from ganime.device import Precision
from ganime.errors import WeightsError
from ganime.metrics.extractors import EXTRACTORS, Extractor, ExtractorConfig, Features
from ganime.metrics.extractors.frozen import FrozenNetwork
from ganime.metrics.extractors.resizing import RESIZINGS, ResizingName
from ganime.metrics.extractors.weights import PublishedFile, checked_digest, find_weights
from ganime.store.workspace import Workspace

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
        # torchvision comes with it, a second's import.
        from ganime.backbones.fid_inception import build_network

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
