"""Measure features, fit heads, score images. See `ganime.stages.classify`."""

from collections.abc import Sequence

from prefect import task

from ganime.rows import LabelRow
from ganime.stages import classify
from ganime.stages.classify import ClassifyConfig
from ganime.store.lineage import CrawledImage
from ganime.store.workspace import Workspace
from tasks.policies import STAGE


@task(name="classify", **STAGE)
def classify_task(
    workspace: Workspace,
    config: ClassifyConfig,
    images: Sequence[CrawledImage],
    labels: Sequence[LabelRow],
    pad_scope: str,
    run_id: str,
) -> dict[str, tuple[str, float]]:
    """See `ganime.stages.classify.run`."""
    return classify.run(workspace, config, images, labels, pad_scope, run_id)
