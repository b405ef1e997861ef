"""Find faces. See `ganime.stages.detect`."""

from prefect import task

from ganime.stages import detect
from ganime.stages.detect import DetectConfig
from ganime.store.manifest import Manifest
from ganime.store.workspace import Workspace
from tasks.policies import STAGE


@task(name="detect", task_run_name="detect-{image_ids[0]:.8}", **STAGE)
def detect_task(
    workspace: Workspace, config: DetectConfig, image_ids: list[str], run_id: str
) -> Manifest:
    """See `ganime.stages.detect.run`."""
    return detect.run(workspace, config, image_ids, run_id)
