"""Networks whose features a distance is measured in; each names the metric honestly."""

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ganime.backbones import Backbone
from ganime.metrics.inception import Inception


class Extractor(Protocol):
    """Images in, features out.

    Attributes:
        name: Of the network and its weights.
        metric: Of the Fréchet distance in its features: `fid` only with the published weights.
        weights_digest: First 12 hex digits of the SHA-256 of the weights.
        dim: D, length of a feature vector.
        resize: How images are brought to its input size.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def weights_digest(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def resize(self) -> str: ...  # noqa: D102

    def features(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 sRGB [N, H, W, 3] to float32 [N, D]."""
        ...


class BackboneExtractor:
    """A backbone as an extractor; its metric is `fd_<name of the backbone>`."""

    def __init__(self, backbone: Backbone) -> None:
        self.name = backbone.name
        self.metric = f"fd_{backbone.name}"
        self.weights_digest = backbone.weights_digest
        self.dim = backbone.dim
        self.resize = backbone.resize
        self.features = backbone.features


def inception_extractor(path: str) -> Inception:
    """FID's Inception with weights from this path.

    Raises:
        WeightsError: the file is missing or does not fit; says how to give it.
    """
    return Inception(Path(path).expanduser())
