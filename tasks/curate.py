"""Decide and pack a dataset. See `ganime.stages.curate`."""

from collections.abc import Mapping, Sequence

from prefect import task

from ganime.rows import LabelRow
from ganime.stages import curate
from ganime.stages.curate import CurateConfig, DatasetRef
from ganime.store.lineage import CrawledImages
from ganime.store.workspace import Workspace
from tasks.policies import STAGE


@task(name="curate", task_run_name="curate-{config.name}", **STAGE)
def curate_task(
    workspace: Workspace,
    config: CurateConfig,
    images: CrawledImages,
    classifiers: Mapping[str, tuple[str, float]],
    labels: Sequence[LabelRow],
    pad_scope: str,
    crawl_ids: Sequence[str],
    run_id: str,
) -> DatasetRef:
    """See `ganime.stages.curate.run`."""
    return curate.run(
        workspace,
        config,
        images=images,
        classifiers=classifiers,
        labels=labels,
        pad_scope=pad_scope,
        crawl_ids=crawl_ids,
        run_id=run_id,
    )
