"""Every night: fetch what is new, decide, and say when there is enough to train on."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.events import emit_event
from pydantic import Field

from flows.build_dataset import build_dataset
from ganime.config import overlay, parse_sets
from ganime.growth import Growth, growth
from ganime.presets import RunConfig, build
from ganime.stages.crawl import CrawlConfig, check
from ganime.stages.curate import DatasetRef
from ganime.store.workspace import Workspace
from tasks.artifacts import publish_growth
from tasks.credentials import credentials_of
from tasks.notify import tell_of_failure
from tasks.policies import refuse_after

PresetName = Literal["default", "faces", "face-crops", "demo", "smoke"]
Resolution = Literal[32, 64, 128, 256, 512]
Limit = Annotated[int, Field(ge=0)]
GROWN = "ganime.dataset.grown"
CRAWL = CrawlConfig()  # as the form begins
log = logging.getLogger("ganime.nightly")


@dataclass(frozen=True, slots=True)
class Night:
    """What a night brought.

    Attributes:
        dataset: The dataset version, an old one where nothing was new.
        growth: Images and labels since the last retraining.
        announced: Whether that was enough for the event.
    """

    dataset: DatasetRef
    growth: Growth
    announced: bool


@flow(
    name="nightly",
    flow_run_name="nightly-{dataset}",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def nightly(
    workspace: str = "workspace",
    crawl: CrawlConfig = CRAWL,
    dataset: str = "characters",
    preset: PresetName = "default",
    resolution: Resolution = 64,
    settings: Sequence[str] = (),
    retrain_after_images: Limit = 200,
    retrain_after_labels: Limit = 50,
) -> Night:
    """Bring a dataset up to date; once it has grown enough, an event asks for a retraining.

    A night that finds nothing new makes no new version of the dataset.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        crawl: What to fetch from where; `sweep_days` says how often everything is listed again.
        dataset: Name of the dataset.
        preset: Rules and sizes to begin with: default (full-body characters), faces, face-crops,
            demo or smoke.
        resolution: Side of the training images [px].
        settings: Any other setting as stage.field=value, for example curate.holdout=0.1.
        retrain_after_images: New images that ask for a retraining; 0 never does.
        retrain_after_labels: New answers of people that ask for one; 0 never does.
    """
    refuse_after()
    config = configured(preset, crawl, dataset, resolution, settings)
    check(config.crawl, credentials_of(config.crawl))
    built = build_dataset(
        workspace,
        config.crawl,
        config.dedupe,
        config.detect,
        config.pad,
        config.classify,
        config.curate,
    ).dataset
    found = growth(Workspace(workspace), built.name, built.version)
    enough = is_enough(found, retrain_after_images, retrain_after_labels)
    if enough:
        announce(built, found)
    log.info(
        "nightly: %s: %d images and %d labels since %s, %s",
        *(built, found.added, found.labels, found.since or "the beginning"),
        "enough to train on" if enough else "too few to train on",
    )
    publish_growth(built, found, announced=enough)
    return Night(built, found, enough)


def configured(
    preset: str, crawl: CrawlConfig, dataset: str, resolution: int, settings: Sequence[str]
) -> RunConfig:
    """Every setting that the form asks for.

    Raises:
        ConfigError: a setting is wrong; names the field.
    """
    sides: dict[str, Any] = {
        "curate": {"name": dataset, "resolution": resolution},
        "train": {"resolution": resolution},
    }
    asked = overlay({"crawl": crawl.model_dump(mode="json")}, sides, parse_sets(settings))
    return build(preset, asked)


def is_enough(found: Growth, images: int, labels: int) -> bool:
    """Whether either count reached its limit; a limit of 0 is never reached."""
    return 0 < images <= found.added or 0 < labels <= found.labels


def announce(dataset: DatasetRef, found: Growth) -> None:
    """Tell Prefect's automations; the retrain deployment listens."""
    emit_event(
        event=GROWN,
        resource={
            "prefect.resource.id": f"ganime.dataset.{dataset.name}",
            "prefect.resource.name": dataset.name,
        },
        payload={
            "dataset": dataset.name,
            "version": dataset.version,
            "added": found.added,
            "labels": found.labels,
        },
    )
