"""From a query to a dataset: crawl, dedupe, pad, classify, curate."""

from dataclasses import dataclass

from prefect import flow
from prefect.runtime import flow_run

from flows.crawl import crawl_posts, map_shards
from flows.runners import SHARDS
from ganime.presets import build
from ganime.stages import dedupe as dedupe_stage
from ganime.stages import detect as detect_stage
from ganime.stages import pad as pad_stage
from ganime.stages.classify import ClassifyConfig
from ganime.stages.crawl import CrawlConfig
from ganime.stages.curate import CurateConfig, DatasetRef
from ganime.stages.dedupe import DedupeConfig
from ganime.stages.detect import DetectConfig
from ganime.stages.pad import PadConfig
from ganime.store.labels import LabelLog
from ganime.store.lineage import crawled_images
from ganime.store.workspace import Workspace
from tasks.artifacts import publish_decisions, publish_funnel
from tasks.classify import classify_task
from tasks.curate import curate_task
from tasks.dedupe import compare_task, fingerprint_task
from tasks.detect import detect_task
from tasks.duplicates import publish_duplicates
from tasks.notify import tell_of_failure
from tasks.pad import pad_task

FORM = build("default", {})  # as the form begins


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


@flow(
    name="build-dataset",
    flow_run_name="build-{curate.name}",
    task_runner=SHARDS,
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def build_dataset(
    workspace: str = "workspace",
    crawl: CrawlConfig = FORM.crawl,
    dedupe: DedupeConfig = FORM.dedupe,
    detect: DetectConfig = FORM.detect,
    pad: PadConfig = FORM.pad,
    classify: ClassifyConfig = FORM.classify,
    curate: CurateConfig = FORM.curate,
) -> BuiltDataset:
    """Bring a dataset up to date with its query; what is done already is not done again.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        crawl: What to fetch from where.
        dedupe: How near-duplicates are measured.
        detect: How faces are found, where images are cropped to them.
        pad: How images become square.
        classify: Backbone, and the questions asked of each image.
        curate: The rules, and the name of the dataset.
    """
    store = Workspace(workspace)
    store.check_writable()
    run_id = str(flow_run.root_flow_run_id)

    crawl_ids = crawl_posts(store, crawl, run_id)
    images = crawled_images(store, crawl_ids)
    ids: list[str] = images.ids.to_pylist()

    map_shards(fingerprint_task, store, dedupe, dedupe_stage.plan(store, ids, dedupe), run_id)
    compare_task(store, dedupe, run_id)
    faces = ""
    if pad.crop == "face":
        map_shards(detect_task, store, detect, detect_stage.plan(store, ids, detect), run_id)
        faces = detect_stage.scope(detect)
    map_shards(pad_task, store, pad, pad_stage.plan(store, ids, pad, faces), run_id, faces)

    pad_scope = pad_stage.scope(pad, faces)
    log = LabelLog(store)
    log.freeze(run_id)
    labels = log.current()
    classifiers = classify_task(store, classify, images, labels, pad_scope, run_id)
    dataset = curate_task(store, curate, images, classifiers, labels, pad_scope, crawl_ids, run_id)
    publish_funnel(store, crawl_ids, dataset)
    publish_decisions(store, dataset, pad_scope)
    publish_duplicates(store, dataset, pad_scope)
    return BuiltDataset(dataset, crawl_ids, pad_scope, classifiers)
