"""Train a generator on a dataset version; kill it any time, the same call goes on."""

import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from ganime.config import Config, digest_of
from ganime.errors import ConfigError
from ganime.gans import GANS, Recipe
from ganime.gans.dcgan import Dcgan
from ganime.gans.layers import num_parameters
from ganime.rows import MetricRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace
from ganime.training import checkpoint, snapshot
from ganime.training.augment import Change
from ganime.training.dataset import Batches
from ganime.training.device import Device, Precision, choose_device, isolated, uses_bfloat16
from ganime.training.ema import calibrated
from ganime.training.loop import Pace, Progress, Trainer

log = logging.getLogger(__name__)
REVISION = 1  # raise it whenever the trained weights change: models then get new ids

# What decides where and how safely a model is trained, not which.
_NOT_IN_ID = {"device", "num_threads", "checkpoint_nimg", "keep_checkpoints"}


class TrainConfig(Config):
    """Which recipe, for how long, on what."""

    recipe: GANS.field() = Field(  # type: ignore[valid-type]
        default_factory=Dcgan, description="Networks, losses and learning rates."
    )
    resolution: int = Field(
        64, ge=32, le=256, description="Side of the images [px], a power of two."
    )
    nimg: int = Field(60_000, ge=1, description="Real images to show in all.")
    batch: int = Field(16, ge=2, le=4096, description="Images per update.")
    ema_kimg: float = Field(
        4.0, gt=0, description="Half-life of the averaged generator, in thousands of images."
    )
    snapshot_nimg: int = Field(
        6_000, ge=1, description="Images between snapshots; one more comes early."
    )
    checkpoint_nimg: int = Field(6_000, ge=1, description="Images between checkpoints.")
    metric_nimg: int = Field(512, ge=1, description="Images between rows of metrics.")
    keep_checkpoints: int = Field(2, ge=1, description="How many checkpoints to keep.")
    augment: tuple[Change, ...] = Field(
        ("translation",), description="DiffAugment: colour, translation, cutout; empty for none."
    )
    cooldown: float = Field(
        0.5, ge=0, le=1, description="Last share of the run, in which learning rates fall to zero."
    )
    mirror: bool = Field(True, description="Show half of the real images mirrored.")
    precision: Precision = Field(
        "auto", description="auto is bf16 on CUDA and on CPUs with AMX, else fp32."
    )
    seed: int = Field(0, ge=0, description="Of all random numbers.")
    device: Device = Field("auto", description="auto is cuda where there is one.")
    num_threads: int = Field(0, ge=0, description="CPU threads; 0 for all but one.")

    @field_validator("resolution")
    @classmethod
    def _power_of_two(cls, resolution: int) -> int:
        if resolution & (resolution - 1):
            raise ValueError("wanted a power of two: 32, 64, 128 or 256")
        return resolution


def model_id(dataset_version: str, config: TrainConfig) -> str:
    """Id of the model that these settings make of this dataset, the same on every machine."""
    decisive = config.model_dump(mode="json", exclude=_NOT_IN_ID)
    return digest_of(dataset_version, json.dumps(decisive, sort_keys=True), str(REVISION))


def run(
    workspace: Workspace,
    config: TrainConfig,
    images: npt.NDArray[np.uint8],
    dataset_version: str,
    run_id: str,
    progress: Callable[[Progress], None] | None = None,
) -> str:
    """Train until all images were shown; a run that was cut off goes on from its last checkpoint.

    Writes below `models/<id>/`: config.json, checkpoints/, snapshots/ (the averaged generator),
    samples/ (a grid for each), metrics/, and finished.json last.

    Args:
        workspace: Where.
        config: The settings.
        images: uint8 sRGB [N, R, R, 3]; may be memory-mapped.
        dataset_version: Names the images, for example `name/version`.
        run_id: Kept in the footer of the metrics.
        progress: Called after every update.

    Returns:
        The model's id.

    Raises:
        ConfigError: the images are too few or of another size than `resolution`.
        TrainingDiverged: a loss is no longer finite.
    """
    _check(images, config)
    identity = model_id(dataset_version, config)
    if workspace.exists(_finished_key(identity)):
        log.info("train: model %s is finished, nothing to do", identity)
        return identity
    with isolated(config.num_threads):
        trainer = _trainer(config, images)
        described = _describe(identity, config, dataset_version, len(images), trainer)
        workspace.write_text(f"models/{identity}/config.json", json.dumps(described, indent=2))
        provenance = Provenance(
            stage="train",
            revision=REVISION,
            config=config,
            run_id=run_id,
            parents={"dataset": dataset_version},
        )
        _Run(workspace, identity, config, trainer, provenance).train(progress)
    return identity


class _Run:
    """One model on its way: when to write what."""

    def __init__(
        self,
        workspace: Workspace,
        identity: str,
        config: TrainConfig,
        trainer: Trainer,
        provenance: Provenance,
    ) -> None:
        self._workspace, self._identity, self._config = workspace, identity, config
        self._trainer, self._provenance = trainer, provenance
        self._metrics = Table(workspace, MetricRow, root=f"models/{identity}")
        self._rows: list[MetricRow] = []  # not written yet

    def train(self, progress: Callable[[Progress], None] | None) -> None:
        config, trainer = self._config, self._trainer
        resumed = checkpoint.resume(self._workspace, self._identity, trainer.load_state)
        if resumed is not None:
            log.info("train: model %s goes on at %d images shown", self._identity, resumed)
        pace, losses = Pace(trainer.nimg), dict[str, float]()
        while not trainer.done:
            before = trainer.nimg
            trainer.step()
            told = pace.progress(trainer.nimg, config.nimg, losses)
            if self._due(before, config.metric_nimg):
                losses = self._take_rows(told)
            if progress is not None:
                progress(told)
            if self._snapshot_due(before):
                self._save_snapshot()
            if self._due(before, config.checkpoint_nimg):
                self._save_checkpoint()
        self._finish(trainer.nimg)

    def _due(self, before: int, interval: int) -> bool:
        now = self._trainer.nimg
        return now // interval > before // interval or self._trainer.done

    def _snapshot_due(self, before: int) -> bool:
        """Every `snapshot_nimg`, and once after a fifth of it: the first images teach the most."""
        early = self._config.snapshot_nimg // 5
        return self._due(before, self._config.snapshot_nimg) or (
            before < early <= self._trainer.nimg
        )

    def _take_rows(self, told: Progress) -> dict[str, float]:
        rows = self._trainer.monitor.rows(told.nimg)
        speed = MetricRow(nimg=told.nimg, name="images_per_second", value=told.images_per_second)
        self._rows += [*rows, speed]
        return {row.name: row.value for row in rows if row.name.startswith("loss_")}

    def _save_snapshot(self) -> None:
        recipe: Recipe = self._config.recipe
        generator = calibrated(self._trainer.average.module, recipe.num_latents)
        snapshot.save_snapshot(
            self._workspace,
            self._identity,
            self._trainer.nimg,
            generator,
            recipe,
            self._config.resolution,
        )

    def _save_checkpoint(self) -> None:
        nimg = self._trainer.nimg
        self._trainer.monitor.check(nimg)
        # Rows first: whatever happens next, a checkpoint's rows are there.
        if self._rows:
            self._metrics.write(f"{nimg:09d}", self._rows, self._provenance)
            self._rows = []
        checkpoint.save_checkpoint(
            self._workspace,
            self._identity,
            nimg,
            self._trainer.state(),
            keep=self._config.keep_checkpoints,
        )

    def _finish(self, nimg: int) -> None:
        finished = {"nimg": nimg, "run_id": self._provenance.run_id}
        self._workspace.write_text(_finished_key(self._identity), json.dumps(finished))
        log.info(
            "train: model %s finished, %d images shown, %d snapshots",
            self._identity,
            nimg,
            len(snapshot.snapshots(self._workspace, self._identity)),
        )


def _finished_key(identity: str) -> str:
    return f"models/{identity}/finished.json"


def _check(images: npt.NDArray[np.uint8], config: TrainConfig) -> None:
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


def _trainer(config: TrainConfig, images: npt.NDArray[np.uint8]) -> Trainer:
    device = choose_device(config.device)
    return Trainer(
        config.recipe,
        config.resolution,
        Batches(images, config.batch, config.seed, mirror=config.mirror),
        batch=config.batch,
        total=config.nimg,
        ema_nimg=config.ema_kimg * 1000,
        changes=config.augment,
        device=device,
        bfloat16=uses_bfloat16(config.precision, device),
        seed=config.seed,
        cooldown=config.cooldown,
    )


def _describe(
    identity: str, config: TrainConfig, dataset_version: str, num_images: int, trainer: Trainer
) -> dict[str, Any]:
    return {
        "model_id": identity,
        "dataset_version": dataset_version,
        "num_images": num_images,
        "revision": REVISION,
        "config": config.model_dump(mode="json"),
        "parameters": {
            "generator": num_parameters(trainer.generator),
            "discriminator": num_parameters(trainer.discriminator),
        },
    }
