"""Whole runs as tables: every setting of every stage, compared line by line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from ganime.backbones import BackboneConfig
from ganime.config import Config, overlay, parse_sets, read_toml
from ganime.errors import ConfigError
from ganime.stages.classify import ClassifyConfig
from ganime.stages.crawl import CrawlConfig
from ganime.stages.curate import CurateConfig
from ganime.stages.dedupe import DedupeConfig
from ganime.stages.detect import DetectConfig
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.pad import PadConfig
from ganime.stages.train import TrainConfig


class RunConfig(Config):
    """One run of the pipeline: a table for each stage, and one for finding faces."""

    crawl: CrawlConfig = Field(default_factory=CrawlConfig)
    dedupe: DedupeConfig = Field(default_factory=DedupeConfig)
    detect: DetectConfig = Field(default_factory=DetectConfig)
    pad: PadConfig = Field(default_factory=PadConfig)
    classify: ClassifyConfig = Field(default_factory=ClassifyConfig)
    curate: CurateConfig = Field(default_factory=CurateConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)

    @model_validator(mode="after")
    def _sizes_agree(self) -> "RunConfig":
        if self.train.resolution != self.curate.resolution:
            raise ValueError(
                f"train.resolution is {self.train.resolution} but curate.resolution is "
                f"{self.curate.resolution}: give both the same, or use --resolution"
            )
        if self.pad.size < self.curate.resolution:
            raise ValueError(
                f"pad.size is {self.pad.size}, smaller than the resolution "
                f"{self.curate.resolution}: raise it with --set pad.size={self.curate.resolution}"
            )
        return self


# Tags of pictures that show no whole figure from the front, beside those that `tags` rules out.
NOT_FULL_BODY = (
    *("multiple_girls", "multiple_boys", "chibi"),
    *("from_behind", "from_side", "from_above", "from_below", "lying", "foreshortening"),
    *("portrait", "upper_body", "lower_body", "cowboy_shot", "close-up", "head_out_of_frame"),
    "feet_out_of_frame",
)
# What costs nothing first: tags, then what was measured once, then what a network says; the search
# for duplicates last, so that a copy is dropped for an image that stays. Of 166 full-body drawings
# from games the measured rules drop none.
FULL_BODY = (
    "decodable",
    {"name": "tags", "also": NOT_FULL_BODY},
    "min_side",
    "aspect",
    "alpha",
    "caption",
    {"name": "sharpness", "variance": 250},
    "monochrome",
    "background",
    "figures",
    "cut_off",
    {"name": "classified", "ask": "multiple"},
    {"name": "classified", "ask": "chibi"},
    {"name": "classified", "ask": "viewpoint"},
    "duplicate",
)
# Grounds, viewpoints and companions do not matter, and the frame cuts every face.
FACES = (
    "decodable",
    "tags",
    {"name": "min_side", "pixels": 64},
    "aspect",
    "sharpness",
    "monochrome",
    "duplicate",
)
# What differs from the defaults of the stages.
PRESETS: dict[str, dict[str, Any]] = {
    # Full-body characters on plain grounds, 64 px; the backbone's weights are downloaded or given.
    "default": {"curate": {"rules": FULL_BODY}},
    # Cropped faces: 64 px are enough.
    "faces": {
        "pad": {"size": 96},
        "classify": {"questions": ()},
        "curate": {"rules": FACES},
    },
    # Faces cut out of larger pictures; give the cascade with --set detect.detector.weights=PATH.
    "face-crops": {
        "detect": {"detector": {"name": "lbp_face"}},
        "pad": {"size": 96, "crop": "face"},
        "classify": {"questions": ()},
        "curate": {"rules": ("decodable", "tags", "duplicate")},
    },
    # The practice booru on two idle cores in 8 minutes; the backbone learns from the posts' tags.
    "demo": {
        "crawl": {"limit": 2000},
        "pad": {"size": 128},
        "classify": {
            "backbone": {"weights": "tags", "size": 64, "pretraining": {"epochs": 8}},
        },
        "curate": {"rules": FULL_BODY},
        # No weights of the world are at hand there, and those learned from its tags make poor
        # judges: generators find patterns of pixels that please them.
        "train": {"recipe": {"name": "dcgan"}, "nimg": 50_000, "snapshot_nimg": 5_000},
    },
    # Everything once, as small as it goes: for tests.
    "smoke": {
        "crawl": {"limit": 120},
        "pad": {"size": 64},
        "classify": {"backbone": {"weights": "none", "size": 64}},
        "curate": {"rules": FULL_BODY, "resolution": 32},
        "train": {"recipe": {"name": "dcgan"}, "resolution": 32, "nimg": 256},
        "evaluate": {"num_fake": 64},
    },
}

# How each recipe is trained unless told otherwise. Small batches and a long cooldown make the most
# of few images; the Wasserstein critic and growing networks want their own.
RECIPES: dict[str, dict[str, Any]] = {
    "dcgan": {"batch": 16},
    "lsgan": {"batch": 16},
    "wgan_gp": {"batch": 16},
    "progan": {"batch": 16, "cooldown": 0.2},
    "stylegan2": {"batch": 16, "cooldown": 0.2},
    "fastgan": {"batch": 16},
    "projected": {"batch": 16},
    "r3gan": {"batch": 16},
}
# Networks for larger images: half the channels where the sides double, so that a step costs
# about three times as much instead of four.
_NARROWER = {
    256: {"width_generator": 16, "width_discriminator": 16},
    512: {"width_generator": 8, "width_discriminator": 8},
}
LARGER: dict[str, dict[int, dict[str, Any]]] = {
    "dcgan": _NARROWER,
    "lsgan": _NARROWER,
    "wgan_gp": _NARROWER,
    "fastgan": _NARROWER,
    "projected": _NARROWER,
    "r3gan": {256: {"width": 16}, 512: {"width": 8}},
}
BUDGETS = {"minutes": 50_000, "evening": 500_000, "night": 2_000_000}  # images to show


def training(
    recipe: str,
    resolution: int,
    budget: str,
    wishes: Mapping[str, Any],
    sets: Sequence[str] = (),
) -> TrainConfig:
    """Settings of a training: the tables above, then wishes, then `--set` pairs.

    Args:
        recipe: Name of a recipe.
        resolution: Side of the dataset's images [px].
        budget: minutes, evening or night.
        wishes: Settings by name; None for those without a wish.
        sets: `field=value` pairs.

    Raises:
        ConfigError: no such recipe, or a setting is wrong; names the field.
    """
    networks = {"name": recipe, **LARGER.get(recipe, {}).get(resolution, {})}
    nimg = BUDGETS[budget]
    layer = {
        "recipe": networks,
        "resolution": resolution,
        "nimg": nimg,
        **RECIPES.get(recipe, {}),
        **{name: value for name, value in wishes.items() if value is not None},
    }
    merged = overlay(layer, parse_sets(sets))
    interval = max(1, int(merged["nimg"]) // 10)
    return TrainConfig.parse({"snapshot_nimg": interval, "checkpoint_nimg": interval, **merged})


def build(
    preset: str,
    options: Mapping[str, Any],
    *,
    file: Path | None = None,
    sets: Sequence[str] = (),
) -> RunConfig:
    """Preset, then the file, then single options, then `--set` pairs: the last one wins.

    Args:
        preset: Name of a preset.
        options: Nested settings by stage, from command-line options.
        file: TOML file with any of the tables.
        sets: `stage.field=value` pairs.

    Raises:
        ConfigError: no such preset, or a setting is wrong; names the field.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset is called {preset!r}; known: {', '.join(PRESETS)}")
    from_file = read_toml(file) if file else {}
    asked = overlay(PRESETS[preset], from_file, options, parse_sets(sets))
    return RunConfig.parse(_with_judges(asked))


def _with_judges(asked: dict[str, Any]) -> dict[str, Any]:
    """A recipe for the weights at hand, where none was named.

    The network that a file was given for judges generated images too; where there is none of the
    world's weights, the best recipe without them trains.
    """
    backbone = asked.get("classify", {}).get("backbone", {})
    weights = backbone.get("weights", "download")
    if asked.get("train", {}).get("recipe") is not None or weights == "download":
        return asked
    if weights in ("tags", "none"):
        return overlay(asked, {"train": {"recipe": {"name": "dcgan"}}})
    architecture = backbone.get("architecture", BackboneConfig().architecture)
    features = {"architecture": architecture, "weights": weights}
    return overlay(asked, {"train": {"recipe": {"name": "projected", "features": features}}})
