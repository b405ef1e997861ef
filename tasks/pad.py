"""Make images square. See `ganime.stages.pad`."""

from prefect import task

from ganime.stages import pad
from ganime.stages.pad import PadConfig
from ganime.store.manifest import Manifest
from ganime.store.workspace import Workspace
from tasks.policies import STAGE


@task(name="pad", task_run_name="pad-{image_ids[0]:.8}", **STAGE)
def pad_task(
    workspace: Workspace, config: PadConfig, image_ids: list[str], run_id: str, faces: str = ""
) -> Manifest:
    """See `ganime.stages.pad.run`."""
    return pad.run(workspace, config, image_ids, run_id, faces)
