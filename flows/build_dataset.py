"""From a query to a dataset: crawl, dedupe, pad, classify, curate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect import flow, unmapped
from prefect.futures import PrefectFutureList
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from ganime.stages import crawl as crawl_stage
from ganime.stages import dedupe as dedupe_stage
from ganime.stages import pad as pad_stage
from ganime.stages.classify import ClassifyConfig
from ganime.stages.crawl import CrawlConfig
from ganime.stages.curate import CurateConfig, DatasetRef
from ganime.stages.dedupe import DedupeConfig
from ganime.stages.pad import PadConfig
from ganime.store.labels import LabelLog
from ganime.store.lineage import crawled_images
from ganime.store.workspace import Workspace
from tasks.artifacts import publish_decisions, publish_funnel
from tasks.classify import classify_task
from tasks.crawl import fetch_task, list_posts_task
from tasks.curate import curate_task
from tasks.dedupe import compare_task, fingerprint_task
from tasks.pad import pad_task


@dataclass(frozen=True, slots=True)
class BuiltDataset:
    """What later flows need to know of a dataset.

    Attributes:
        dataset: Its name and version.
        crawl_ids: Crawls that its images came from.
        pad_scope: Which padded pixels it was packed from.
        classifiers: By question, the classifier's id and threshold.
    """

    dataset: DatasetRef
    crawl_ids: list[str]
    pad_scope: str
    classifiers: dict[str, tuple[str, float]]


# Two shards at once: one waits for the network or the disk while the other computes.
_SHARDS: Any = ThreadPoolTaskRunner(max_workers=2)


@flow(name="build-dataset", flow_run_name="build-{curate.name}", task_runner=_SHARDS)
def build_dataset(
    workspace: str,
    crawl: CrawlConfig,
    dedupe: DedupeConfig,
    pad: PadConfig,
    classify: ClassifyConfig,
    curate: CurateConfig,
) -> BuiltDataset:
    """Bring a dataset up to date with its query; what is done already is not done again.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        crawl: What to fetch from where.
        dedupe: How near-duplicates are measured.
        pad: How images become square.
        classify: Backbone, and the questions asked of each image.
        curate: The rules, and the name of the dataset.
    """
    store = Workspace(workspace)
    store.check_writable()
    run_id = str(flow_run.root_flow_run_id)

    list_posts_task(store, crawl, run_id)
    _shards(fetch_task, store, crawl, crawl_stage.plan(store, crawl), run_id)
    crawl_ids = [crawl_stage.crawl_id(crawl)]
    images = crawled_images(store, crawl_ids)
    ids = [image.image_id for image in images]

    _shards(fingerprint_task, store, dedupe, dedupe_stage.plan(store, ids, dedupe), run_id)
    compare_task(store, dedupe, run_id)
    _shards(pad_task, store, pad, pad_stage.plan(store, ids, pad), run_id)

    pad_scope = pad_stage.scope(pad)
    log = LabelLog(store)
    log.freeze(run_id)
    labels = log.current()
    classifiers = classify_task(store, classify, images, labels, pad_scope, run_id)
    dataset = curate_task(store, curate, images, classifiers, labels, pad_scope, crawl_ids, run_id)
    publish_funnel(store, crawl_ids, dataset)
    publish_decisions(store, dataset, pad_scope)
    return BuiltDataset(dataset, crawl_ids, pad_scope, classifiers)


def _shards(
    work: Any, store: Workspace, config: object, shards: Sequence[list[str]], run_id: str
) -> None:
    """Map a task over shards and wait; the first failure is raised once all have ended."""
    if shards:
        done: PrefectFutureList[Any] = work.map(
            unmapped(store), unmapped(config), shards, unmapped(run_id)
        )
        done.result()
