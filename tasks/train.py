"""Train a generator. See `ganime.stages.train`."""

from prefect import task

from ganime.stages import train, train_together
from ganime.stages.curate import DatasetRef
from ganime.stages.train import TrainConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from tasks.artifacts import publish_monitors, publish_samples
from tasks.policies import STAGE
from tasks.progress import training_progress


@task(name="train", tags=["gpu"], **STAGE)
def train_task(workspace: Workspace, config: TrainConfig, dataset: DatasetRef, run_id: str) -> str:
    """See `ganime.stages.train.run`."""
    named = (dataset.name, dataset.version)
    with training_progress() as progress:
        if config.processes > 1:
            model_id = train_together.run(workspace, config, named, run_id, progress)
        else:
            model_id = train.run(
                workspace,
                config,
                train_together.examples_of(Dataset(workspace, *named)),
                str(dataset),
                run_id,
                progress,
            )
    publish_samples(workspace, model_id)
    publish_monitors(workspace, model_id)
    return model_id
