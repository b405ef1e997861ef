"""The main job: build-dataset → train → evaluate → report."""

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from prefect import flow
from prefect.runtime import flow_run

from flows.build_dataset import build_dataset
from flows.evaluate_model import evaluate_model
from ganime.report import ReportInputs
from ganime.stages.classify import ClassifyConfig
from ganime.stages.crawl import CrawlConfig
from ganime.stages.curate import CurateConfig
from ganime.stages.dedupe import DedupeConfig
from ganime.stages.detect import DetectConfig
from ganime.stages.evaluate import EvaluateConfig, with_backbone
from ganime.stages.pad import PadConfig
from ganime.stages.train import TrainConfig
from ganime.store.workspace import Workspace
from tasks.notify import tell_of_failure
from tasks.report import report_task
from tasks.train import train_task

STAGES = ("crawl", "dedupe", "detect", "pad", "classify", "curate", "train", "evaluate")


@flow(
    name="run",
    flow_run_name="run-{curate.name}-{train.recipe.component}-{train.resolution}px",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def run(
    workspace: str,
    crawl: CrawlConfig,
    dedupe: DedupeConfig,
    detect: DetectConfig,
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
        detect: How faces are found, where images are cropped to them.
        pad: How images become square.
        classify: Backbone, and the questions asked of each image.
        curate: The rules, and the name of the dataset.
        train: Recipe, resolution and length of the training.
        evaluate: How samples are scored.

    Returns:
        Key of the report in the workspace.
    """
    started_at = datetime.now(UTC)
    train.recipe.prepare()
    built = build_dataset(workspace, crawl, dedupe, detect, pad, classify, curate)
    store, run_id = Workspace(workspace), str(flow_run.root_flow_run_id)
    scoring = with_backbone(evaluate, classify.backbone)
    model_id = train_task(store, train, built.dataset, run_id, scoring)
    evaluate_model(workspace, model_id, str(built.dataset), evaluate=scoring)
    stages = (crawl, dedupe, detect, pad, classify, curate, train, evaluate)
    inputs = ReportInputs(
        run_id=run_id,
        run_url=_run_url(),
        started_at=started_at,
        finished_at=datetime.now(UTC),
        crawl_ids=built.crawl_ids,
        pad_scope=built.pad_scope,
        dataset_name=built.dataset.name,
        dataset_version=built.dataset.version,
        classifiers={question: found for question, (found, _) in built.classifiers.items()},
        model_id=model_id,
        settings=dict(zip(STAGES, (item.model_dump(mode="json") for item in stages), strict=True)),
        command=shlex.join(["ganime", *sys.argv[1:]]) if sys.argv[0].endswith("ganime") else "",
        versions=_versions(),
    )
    return report_task(store, inputs)


def _run_url() -> str:
    """The run's page; the embedded server has none, since it ends with the run."""
    url = str(flow_run.ui_url or "")
    return url if url.startswith("http") else ""


def _versions() -> dict[str, str]:
    packages = ("ganime", "torch", "torchvision", "prefect", "pyarrow", "numpy", "pillow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
