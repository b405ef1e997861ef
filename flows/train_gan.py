"""Train a generator on a dataset version."""

from prefect import flow
from prefect.runtime import flow_run

from ganime.backbones import BackboneConfig
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.train import TrainConfig
from ganime.store.workspace import Workspace
from tasks.train import train_task


@flow(name="train-gan", flow_run_name="train-{train.recipe.component}-{train.resolution}px")
def train_gan(
    workspace: str,
    dataset: DatasetRef,
    train: TrainConfig,
    evaluate: EvaluateConfig | None = None,
    backbone: BackboneConfig | None = None,
) -> str:
    """Train until done; a run that was interrupted goes on from its last checkpoint.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        dataset: Name and version of the dataset.
        train: Recipe, resolution and length of the training.
        evaluate: What judges snapshots where `train.patience` is set.
        backbone: Network that they are judged in, unless `evaluate.extractor` names another; by
            default the one that the images were classified with.
    """
    run_id = str(flow_run.root_flow_run_id)
    return train_task(
        Workspace(workspace), train, dataset, run_id, evaluate or EvaluateConfig(), backbone
    )
