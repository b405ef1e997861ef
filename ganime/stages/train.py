"""Train a generator on a dataset version; kill it any time, the same call goes on."""

import dataclasses
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import Field, field_validator, model_validator

from ganime.augmentations import AUGMENTATIONS
from ganime.augmentations.diffaugment import DiffAugment
from ganime.config import Config, digest_of
from ganime.device import Device, Precision, choose_device, uses_bfloat16
from ganime.errors import ConfigError
from ganime.gans import GANS, Recipe
from ganime.gans.layers import num_parameters
from ganime.gans.projected import Projected
from ganime.store.manifest import Provenance
from ganime.store.workspace import Workspace
from ganime.training.batches import Batches, Examples
from ganime.training.device import isolated
from ganime.training.generator import Blueprint, Images
from ganime.training.keys import config_key, finished_key
from ganime.training.loop import Options, Trainer
from ganime.training.pace import Progress
from ganime.training.run import Run, Schedule, Score, write_finish
from ganime.training.world import World, joined

log = logging.getLogger(__name__)
REVISION = 5  # raise it whenever the trained weights change: models then get new ids

ALL_TAGS = ("all",)
MOST_TAG_EXAMPLES = 4096  # tag vectors that a generator keeps, to sample from

# What decides where and how safely a model is trained, not which.
_NOT_IN_ID = {
    "device",
    "num_threads",
    "processes",
    "checkpoint_nimg",
    "keep_checkpoints",
    "max_rollbacks",
    "tensorboard",
}


class TrainConfig(Config):
    """Which recipe, for how long, on what."""

    recipe: GANS.field() = Field(  # type: ignore[valid-type]
        default_factory=Projected, description="Networks, losses and learning rates."
    )
    resolution: int = Field(
        64, ge=32, le=512, description="Side of the images [px], a power of two."
    )
    tags: tuple[str, ...] = Field(
        (), description="Tags that the generator can be asked for; `all` for all of the dataset's."
    )
    nimg: int = Field(60_000, ge=1, description="Real images to show in all.")
    batch: int = Field(16, ge=2, le=4096, description="Images per update, of all processes.")
    accumulate: int = Field(
        1, ge=1, description="Parts of a batch that pass the networks apart, to save memory."
    )
    ema_kimg: float = Field(
        4.0, gt=0, description="Half-life of the averaged generator, in thousands of images."
    )
    augment: AUGMENTATIONS.field() = Field(  # type: ignore[valid-type]
        default_factory=DiffAugment, description="What the discriminator sees changed."
    )
    cooldown: float = Field(
        0.5, ge=0, le=1, description="Last share of the run, in which learning rates fall to zero."
    )
    variety: float = Field(
        0.5,
        ge=0,
        le=2,
        description="How different samples of the same tags are to be, in differences of two real "
        "images; 0 leaves it to chance. Without tags it has no meaning.",
    )
    mirror: bool = Field(
        True, description="Show half of the real images mirrored; wrong for asymmetric characters."
    )
    precision: Precision = Field(
        "auto", description="auto is bf16 on CUDA and on CPUs with AMX, else fp32."
    )
    seed: int = Field(0, ge=0, description="Of all random numbers.")
    snapshot_nimg: int = Field(
        6_000, ge=1, description="Images between snapshots; one more comes early."
    )
    metric_nimg: int = Field(512, ge=1, description="Images between rows of metrics.")
    patience: int = Field(
        0, ge=0, description="End after so many snapshots without a better score; 0 never does."
    )
    stop_on_collapse: bool = Field(
        False, description="End when samples look alike, instead of warning only."
    )
    max_rollbacks: int = Field(
        2, ge=0, description="How often to go back at half the rates when a loss is not finite."
    )
    checkpoint_nimg: int = Field(6_000, ge=1, description="Images between checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="How many checkpoints to keep.")
    tensorboard: bool = Field(False, description="Write events for TensorBoard too.")
    device: Device = Field("auto", description="auto is cuda where there is one.")
    num_threads: int = Field(
        0, ge=0, description="CPU threads of a process; 0 for all but one, shared out."
    )
    processes: int = Field(
        1, ge=1, description="Processes that train together on this machine, one for each GPU."
    )

    @field_validator("resolution")
    @classmethod
    def _power_of_two(cls, resolution: int) -> int:
        if resolution & (resolution - 1):
            raise ValueError("wanted a power of two: 32, 64, 128, 256 or 512")
        return resolution

    @model_validator(mode="after")
    def _augmentation_can_listen(self) -> "TrainConfig":
        if self.augment.listens and self.recipe.neutral_logit is None:
            raise ValueError(
                f"augment adapts to the sign of D(real), which means nothing in "
                f"{self.recipe.component}: set augment.target to null and augment.probability, or "
                "take diffaugment"
            )
        return self

    @model_validator(mode="after")
    def _batch_can_be_shared_out(self) -> "TrainConfig":
        if self.batch % (self.processes * self.accumulate):
            raise ValueError(
                f"batch is {self.batch}, which {self.processes} processes x {self.accumulate} "
                "parts do not divide: give a multiple"
            )
        return self


def model_id(dataset_version: str, config: TrainConfig, inputs: str = "") -> str:
    """Id of the model that these settings make of this dataset, the same on every machine.

    Args:
        dataset_version: Name and version.
        config: The settings.
        inputs: Of the recipe, see `Recipe.digest_of_inputs`.
    """
    decisive = config.model_dump(mode="json", exclude=_NOT_IN_ID)
    parts = [dataset_version, json.dumps(decisive, sort_keys=True), str(REVISION)]
    return digest_of(*parts, *([inputs] if inputs else []))


def run(
    workspace: Workspace,
    config: TrainConfig,
    examples: Examples,
    dataset_version: str,
    run_id: str,
    progress: Callable[[Progress], None] | None = None,
    score: Score | None = None,
) -> str:
    """Train until all images were shown; a run that was cut off goes on from its last checkpoint.

    Writes below `models/<id>/`: config.json, checkpoints/, snapshots/ (the averaged generator),
    samples/ (a grid for each), metrics/, progress.webp (all grids after each other), nearest.png
    (samples beside the training images nearest to them), and finished.json last. Started by
    torchrun, all its processes train this one model, and the first of them writes.

    Args:
        workspace: Where.
        config: The settings.
        examples: The images, and the dataset's tags.
        dataset_version: Names the images, for example `name/version`.
        run_id: Kept in the footer of the metrics.
        progress: Called after every update.
        score: Judges each snapshot, less being better.

    Returns:
        The model's id.

    Raises:
        ConfigError: the images are too few or of another size than `resolution`, or the dataset
            lacks a tag.
        WeightsError: the recipe wants pretrained weights, and they cannot be had.
        TrainingDiverged: a loss is no longer finite, at lower learning rates neither.
    """
    _check(examples.images, config)
    examples = _with_tags(examples, config.tags)
    recipe = config.recipe.located(workspace)
    inputs = recipe.digest_of_inputs()
    identity = model_id(dataset_version, config, inputs)
    if workspace.exists(finished_key(identity)):
        log.info("train: model %s is finished, nothing to do", identity)
        return identity
    device = choose_device(config.device)
    with isolated(config.num_threads), joined(device) as world:
        make = partial(_trainer, config, recipe, examples, device, world)
        if world.leads:
            described = _describe(identity, config, dataset_version, examples, make())
            described["inputs"] = inputs
            workspace.write_text(config_key(identity), json.dumps(described, indent=2))
        provenance = Provenance(
            stage="train",
            revision=REVISION,
            config=config,
            run_id=run_id,
            parents={"dataset": dataset_version},
        )
        training = Run(
            workspace,
            identity,
            _schedule(config),
            make=make,
            blueprint=_blueprint(config, examples),
            examples=examples,
            provenance=provenance,
            world=world,
            score=score,
        )
        with torch.random.fork_rng():
            why = training.train(progress)
            training.close()
        if world.leads:
            write_finish(workspace, identity, training.nimg, run_id, why)
            log.info("train: model %s finished at %d images: %s", identity, training.nimg, why)
        world.wait()
    return identity


def _with_tags(examples: Examples, wanted: tuple[str, ...]) -> Examples:
    """The examples with the tags asked for alone.

    Raises:
        ConfigError: the dataset does not have one of them.
    """
    if not wanted:
        return Examples(examples.images)
    if examples.tags is None or not examples.tag_names:
        raise ConfigError("train.tags is set, but this dataset has no tags: curate it again")
    names = examples.tag_names if wanted == ALL_TAGS else wanted
    if unknown := [name for name in names if name not in examples.tag_names]:
        raise ConfigError(
            f"train.tags: the dataset has no tag {unknown[0]!r}; its {len(examples.tag_names)} "
            f"tags begin with {', '.join(examples.tag_names[:10])}"
        )
    columns = [examples.tag_names.index(name) for name in names]
    return Examples(examples.images, np.ascontiguousarray(examples.tags[:, columns]), names)


def _blueprint(config: TrainConfig, examples: Examples) -> Blueprint:
    if examples.tags is None:
        return Blueprint(config.recipe, config.resolution)
    random = np.random.default_rng(config.seed)
    num = min(len(examples.tags), MOST_TAG_EXAMPLES)
    chosen = np.sort(random.choice(len(examples.tags), num, replace=False))
    return Blueprint(
        config.recipe, config.resolution, examples.tag_names, examples.tags[chosen].copy()
    )


def _schedule(config: TrainConfig) -> Schedule:
    names = {field.name for field in dataclasses.fields(Schedule)}
    return Schedule(**config.model_dump(include=names))


def _trainer(
    config: TrainConfig, recipe: Recipe, examples: Examples, device: torch.device, world: World
) -> Trainer:
    batches = Batches(
        examples,
        config.batch,
        config.seed,
        mirror=config.mirror,
        rank=world.rank,
        size=world.size,
    )
    options = Options(
        augmentation=config.augment,
        ema_nimg=config.ema_kimg * 1000,
        cooldown=config.cooldown,
        bfloat16=uses_bfloat16(config.precision, device),
        variety=config.variety,
        accumulate=config.accumulate,
        seed=config.seed,
    )
    return Trainer(
        recipe,
        config.resolution,
        batches,
        total=config.nimg,
        options=options,
        device=device,
        world=world,
        num_tags=len(examples.tag_names),
    )


def _check(images: Images, config: TrainConfig) -> None:
    side = config.resolution
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise ConfigError(
            f"training wants uint8 images [N, {side}, {side}, 3], "
            f"got {images.dtype} {list(images.shape)}"
        )
    if images.shape[1:3] != (side, side):
        raise ConfigError(
            f"train.resolution is {side} but the dataset's images are {images.shape[1]}x"
            f"{images.shape[2]} px: set both to the same"
        )
    if len(images) < config.batch:
        raise ConfigError(
            f"the dataset has {len(images)} images for training, fewer than a batch of "
            f"{config.batch}: lower train.batch or keep more images"
        )


def _describe(
    identity: str, config: TrainConfig, dataset_version: str, examples: Examples, trainer: Trainer
) -> dict[str, Any]:
    return {
        "model_id": identity,
        "dataset_version": dataset_version,
        "num_images": len(examples.images),
        "tags": list(examples.tag_names),
        "revision": REVISION,
        "config": config.model_dump(mode="json"),
        "parameters": {
            "generator": num_parameters(trainer.generator),
            "discriminator": num_parameters(trainer.discriminator),
        },
    }
