"""Measure images and find near-duplicates. See `ganime.stages.dedupe`."""

from prefect import task

from ganime.stages import dedupe
from ganime.stages.dedupe import DedupeConfig
from ganime.store.manifest import Manifest
from ganime.store.workspace import Workspace
from tasks.policies import STAGE


@task(name="fingerprint", task_run_name="fingerprint-{image_ids[0]:.8}", **STAGE)
def fingerprint_task(
    workspace: Workspace, config: DedupeConfig, image_ids: list[str], run_id: str
) -> Manifest:
    """See `ganime.stages.dedupe.run_fingerprints`."""
    return dedupe.run_fingerprints(workspace, config, image_ids, run_id)


@task(name="compare", **STAGE)
def compare_task(workspace: Workspace, config: DedupeConfig, run_id: str) -> Manifest | None:
    """See `ganime.stages.dedupe.compare`."""
    return dedupe.compare(workspace, config, run_id)
