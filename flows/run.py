"""The main job: build-dataset → train-gan → evaluate → report."""

from datetime import UTC, datetime

from prefect import flow
from prefect.runtime import flow_run

from flows.build_dataset import build_dataset
from flows.evaluate_model import evaluate_model
from flows.train_gan import train_gan
from flows.write_report import write_report
from ganime.stages.classify import ClassifyConfig
from ganime.stages.crawl import CrawlConfig
from ganime.stages.curate import CurateConfig
from ganime.stages.dedupe import DedupeConfig
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.pad import PadConfig
from ganime.stages.train import TrainConfig


@flow(name="run", flow_run_name="run-{curate.name}")
def run(
    workspace: str,
    crawl: CrawlConfig,
    dedupe: DedupeConfig,
    pad: PadConfig,
    classify: ClassifyConfig,
    curate: CurateConfig,
    train: TrainConfig,
    evaluate: EvaluateConfig,
) -> str:
    """Turn posts of a query into a dataset, a generator, a score and a page about it all.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        crawl: What to fetch from where.
        dedupe: How near-duplicates are measured.
        pad: How images become square.
        classify: Backbone, and the questions asked of each image.
        curate: The rules, and the name of the dataset.
        train: Recipe, resolution and length of the training.
        evaluate: How samples are scored.

    Returns:
        Key of the report in the workspace.
    """
