"""Networks whose features a metric is measured in; each names the metric honestly."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError
from ganime.registry import Component, Registry
from ganime.store.workspace import Workspace

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


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

    def features(self, images: Images) -> Features:
        """uint8 sRGB [N, H, W, 3] to float32 [N, D]."""
        ...


class ExtractorConfig(Component):
    """Base of all extractors' settings."""

    def open(self, workspace: Workspace | None) -> Extractor:
        """The network, ready to measure.

        Args:
            workspace: Where weights lie that were learned from posts; None where there is none.

        Raises:
            WeightsError: the weights cannot be had; says how to give them.
        """
        raise NotImplementedError


EXTRACTORS: Registry[ExtractorConfig] = Registry(ExtractorConfig, "ganime.metrics.extractors")


def metric_name(base: str, extractor: Extractor) -> str:
    """A metric's name with its extractor's: only the published Inception may go unnamed.

    Args:
        base: For example `kid`; `fd` is the Fréchet distance, FID with the published weights.
        extractor: What it was measured in.
    """
    if extractor.metric != "fid":
        return f"{base}_{extractor.name}"
    return {"fd": "fid", "fd_infinity": "fid_infinity"}.get(base, base)


def checked(images: Images) -> Images:
    """The images, if they are what extractors take.

    Raises:
        ConfigError: not uint8 [N, H, W, 3]: floats would be quantised in ways that nobody states.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ConfigError(
            f"an extractor got {images.dtype} {list(images.shape)}, wanted uint8 sRGB "
            "[N, H, W, 3]: round samples to 0-255 first, as a saved file would"
        )
    return images
