"""Any of torchvision's classifiers as an extractor: what its last layer reads."""

from pathlib import Path
from typing import cast, get_args

import torch
from pydantic import Field, field_validator
from torch import nn

from ganime import vision
from ganime.backbones import Architecture, BackboneConfig, load_backbone
from ganime.backbones.backbone import normalise
from ganime.backbones.networks import digest_of_weights, download_state_dict, read_state_dict
from ganime.device import Precision
from ganime.errors import WeightsError
from ganime.metrics.extractors import EXTRACTORS, Extractor, ExtractorConfig
from ganime.metrics.extractors.backbone import BackboneExtractor
from ganime.metrics.extractors.frozen import FrozenNetwork
from ganime.store.workspace import Workspace

# Their published weights expect TensorFlow's pixels, and Inception has an extractor of its own.
# SqueezeNet ends in a convolution: no layer reads a feature vector.
_REFUSED = ("inception_v3", "googlenet", "squeezenet1_0", "squeezenet1_1")


@EXTRACTORS.register("torchvision")
class TorchvisionSettings(ExtractorConfig):
    """A classifier of torchvision's, without its last layer."""

    architecture: str = Field("mobilenet_v2", description="Its name at torchvision.")
    weights: str = Field(
        "download", min_length=1, description="Path of its state dict, or download."
    )
    size: int = Field(224, ge=32, le=518, description="Side of its input [px].")
    precision: Precision = Field("fp32", description="bf16 is faster and moves features.")

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        known = [
            model
            for model in vision.torchvision.models.list_models(module=vision.torchvision.models)
            if model not in _REFUSED
        ]
        if name not in known:
            raise ValueError(
                f"no extractor of torchvision's is called {name!r}; known: {', '.join(known)}"
            )
        return name

    def open(self, workspace: Workspace | None) -> Extractor:
        """The network; the architectures that backbones know are measured by those."""
        if self.architecture in get_args(Architecture):
            config = BackboneConfig(
                architecture=cast("Architecture", self.architecture),
                weights=self.weights,
                size=self.size,
                precision=self.precision,
            )
            return BackboneExtractor(load_backbone(config))
        return TorchvisionNetwork(self)


class TorchvisionNetwork(FrozenNetwork):
    """A network whose last linear layer is left out; its metric is `fd_<architecture>`.

    Raises:
        WeightsError: the weights cannot be had or do not fit.
    """

    def __init__(self, config: TorchvisionSettings) -> None:
        self.name = config.architecture
        self.metric = f"fd_{config.architecture}"
        network: nn.Module = vision.torchvision.models.get_model(config.architecture, weights=None)
        state = _state(config)
        try:
            network.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise WeightsError(
                f"{config.weights} does not fit torchvision's {config.architecture}: give the path "
                "of its state dict, or choose the architecture that it belongs to"
            ) from error
        self.weights_digest = digest_of_weights(state)
        dim = _behead(network)
        super().__init__(
            network, dim=dim, size=config.size, prepare=normalise, precision=config.precision
        )


def _state(config: TorchvisionSettings) -> dict[str, torch.Tensor]:
    if config.weights == "download":
        return download_state_dict(cast("Architecture", config.architecture))
    return read_state_dict(Path(config.weights).expanduser())


def _behead(network: nn.Module) -> int:
    """Put an identity in place of the last linear layer; the length of what it read."""
    name, last = [
        (name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)
    ][-1]
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, nn.Identity())
    return last.in_features
