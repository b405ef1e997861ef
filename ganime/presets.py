"""Whole runs as tables: every setting of every stage, compared line by line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

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


# What differs from the defaults of the stages.
PRESETS: dict[str, dict[str, Any]] = {
    # Full-body characters on plain grounds, 64 px; the backbone's weights are downloaded or given.
    "default": {},
    # Cropped faces: grounds, viewpoints and companions do not matter, 64 px are enough.
    "faces": {
        "pad": {"size": 96},
        "classify": {"questions": ()},
        "curate": {
            "rules": (
                "decodable",
                "tags",
                {"name": "min_side", "pixels": 64},
                "aspect",
                "duplicate",
            )
        },
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
        "train": {"nimg": 50_000, "snapshot_nimg": 5_000},
    },
    # Everything once, as small as it goes: for tests.
    "smoke": {
        "crawl": {"limit": 120},
        "pad": {"size": 64},
        "classify": {"backbone": {"weights": "none", "size": 64}},
        "curate": {"resolution": 32},
        "train": {"resolution": 32, "nimg": 256},
        "evaluate": {"num_fake": 64},
    },
}


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
    return RunConfig.parse(overlay(PRESETS[preset], from_file, options, parse_sets(sets)))
