"""Score a model's snapshots against its dataset. See `ganime.stages.evaluate`."""

from prefect import task

from ganime.stages import evaluate
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.backbones import BackboneConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from ganime.training.snapshot import load_generator, snapshots
from tasks.artifacts import publish_metrics
from tasks.policies import STAGE


@task(name="evaluate", tags=["gpu"], **STAGE)
def evaluate_task(
    workspace: Workspace,
    config: EvaluateConfig,
    backbone: BackboneConfig,
    model_id: str,
    dataset: DatasetRef,
    run_id: str,
) -> str:
    """See `ganime.stages.evaluate.run`."""
    data = Dataset(workspace, dataset.name, dataset.version)
    return ""
