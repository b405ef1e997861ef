"""Train a generator. See `ganime.stages.train`."""

from prefect import task

from ganime.stages import train
from ganime.stages.curate import DatasetRef
from ganime.stages.train import TrainConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from tasks.policies import STAGE
from tasks.progress import training_progress


@task(name="train", tags=["gpu"], **STAGE)
def train_task(workspace: Workspace, config: TrainConfig, dataset: DatasetRef, run_id: str) -> str:
    """See `ganime.stages.train.run`."""
    data = Dataset(workspace, dataset.name, dataset.version)
    with training_progress() as progress:
        return train.run(
            workspace,
            config,
            images=data.split("train"),
            dataset_version=str(dataset),
            run_id=run_id,
            progress=progress,
        )
