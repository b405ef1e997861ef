"""The pipeline's own network: the features that the classifiers' heads stand on."""

from pydantic import Field

from ganime.backbones import Backbone, BackboneConfig, load_backbone, open_backbone
from ganime.metrics.extractors import (
    EXTRACTORS,
    Extractor,
    ExtractorConfig,
    Features,
    Images,
    checked,
)
from ganime.store.workspace import Workspace


class BackboneExtractor:
    """A backbone as an extractor; its metric is `fd_<name of the backbone>`."""

    def __init__(self, backbone: Backbone) -> None:
        self.name = backbone.name
        self.metric = f"fd_{backbone.name}"
        self.weights_digest = backbone.weights_digest
        self.dim = backbone.dim
        self.resize = backbone.resize
        self._backbone = backbone

    def features(self, images: Images) -> Features:
        """uint8 sRGB [N, H, W, 3] to float32 [N, D]."""
        return self._backbone.features(checked(images))


@EXTRACTORS.register("backbone")
class BackboneSettings(ExtractorConfig):
    """The classifiers' backbone, with weights learned from the posts' tags where it says so."""

    backbone: BackboneConfig = Field(BackboneConfig(), description="As for the classifiers.")

    def open(self, workspace: Workspace | None) -> Extractor:
        """The backbone as an extractor."""
        if workspace is None:
            return BackboneExtractor(load_backbone(self.backbone))
        return BackboneExtractor(open_backbone(workspace, self.backbone))
