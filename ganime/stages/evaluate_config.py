"""Settings of the evaluate stage, and the network that they choose."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from ganime.backbones import BackboneConfig, open_backbone
from ganime.classifiers.storage import feature_scopes
from ganime.config import Config
from ganime.errors import ConfigError
from ganime.metrics import METRICS, Metric
from ganime.metrics.extractors import EXTRACTORS, Extractor, ExtractorConfig
from ganime.metrics.extractors.backbone import BackboneExtractor, BackboneSettings
from ganime.metrics.extractors.inception import InceptionSettings
from ganime.metrics.frechet import Frechet
from ganime.store.manifest import read_footer
from ganime.store.workspace import Workspace

_PIPELINE = ("auto", "backbone", "inception")  # extractors that take the run's own settings


def _extractor(given: Any) -> Any:
    return given if isinstance(given, str) and given in _PIPELINE else EXTRACTORS.build(given)


class EvaluateConfig(Config):
    """How snapshots are scored."""

    metrics: tuple[METRICS.field(), ...] = Field(  # type: ignore[valid-type]
        (Frechet(),), description="What to measure; the first one judges a model."
    )
    num_fake: int = Field(
        1000,
        ge=2,
        title="Samples",
        description="Samples per snapshot; only equal counts can be compared.",
    )
    seed: int = Field(0, ge=0, description="Of the latents, and of all other random choices.")
    extractor: Annotated[
        Annotated[Literal["auto", "backbone", "inception"], Field(title="Of the run")]
        | EXTRACTORS.field(),  # type: ignore[valid-type]
        BeforeValidator(_extractor),
    ] = Field(
        "auto",
        description="Network to measure in: auto takes Inception where its weights are given, else "
        "the backbone of the run; or another by name with its options, as {name = torchvision}.",
    )
    inception_weights: str = Field(
        "", description="Path of pt_inception-2015-12-05-6726825d.pth; the score is then FID."
    )
    floor: bool = Field(
        True, description="Also measure reals against other reals: no generator does better."
    )

    @field_validator("metrics")
    @classmethod
    def _each_once(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        if not metrics:
            raise ValueError("wanted at least one metric, for example fd")
        if len(set(metrics)) < len(metrics):
            raise ValueError("a metric is named twice with the same options: name it once")
        return metrics

    @model_validator(mode="after")
    def _weights_for_inception(self) -> "EvaluateConfig":
        if self.extractor == "inception" and not self.inception_weights:
            raise ValueError(
                "extractor is inception, but inception_weights is empty: give the path of "
                "pt_inception-2015-12-05-6726825d.pth, or take the backbone"
            )
        return self


def choose_extractor(
    workspace: Workspace, config: EvaluateConfig, backbone: BackboneConfig
) -> Extractor:
    """The network to measure in.

    Args:
        workspace: Where a backbone learned from tags lies.
        config: Which one.
        backbone: The classifiers' backbone.

    Raises:
        WeightsError: the weights cannot be had; says how to give them.
    """
    if isinstance(config.extractor, ExtractorConfig):
        return config.extractor.open(workspace)
    if config.extractor == "inception" or (config.extractor == "auto" and config.inception_weights):
        return InceptionSettings(weights=config.inception_weights).open(workspace)
    return BackboneExtractor(open_backbone(workspace, backbone))


def with_backbone(config: EvaluateConfig, backbone: BackboneConfig) -> EvaluateConfig:
    """The same settings with the backbone named, where they take the run's own.

    Args:
        config: Which network to measure in.
        backbone: The run's own.
    """
    takes_inception = config.extractor == "auto" and config.inception_weights
    if takes_inception or config.extractor not in ("auto", "backbone"):
        return config
    return config.model_copy(update={"extractor": BackboneSettings(backbone=backbone)})


def used_backbone(workspace: Workspace, config: EvaluateConfig) -> BackboneConfig:
    """The backbone that the images of a workspace were classified with; the default before that.

    Args:
        workspace: Where.
        config: Where it names another extractor, any backbone will do.

    Raises:
        ConfigError: there were several.
    """
    if isinstance(config.extractor, ExtractorConfig):
        return BackboneConfig()
    keys = feature_scopes(workspace).values()
    found = {BackboneConfig.parse(read_footer(workspace, key)["config"]) for key in keys} or {
        BackboneConfig()
    }
    if len(found) > 1:
        known = sorted(f"{one.architecture} at {one.size} px with {one.weights}" for one in found)
        raise ConfigError(
            f"{workspace.describe()} was classified with {'; '.join(known)}: say which one with "
            "--extractor backbone --set extractor.backbone.architecture=…"
        )
    return found.pop()
