"""Train a generator on a dataset version."""

from collections.abc import Sequence

from prefect import flow
from prefect.runtime import flow_run

from flows.forms import Budget, RecipeName, dataset_named, run_named
from ganime.presets import training
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.train import TrainConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from tasks.train import train_task

SCORING = EvaluateConfig()  # as the form begins


@flow(name="train-gan", flow_run_name=run_named("train", "dataset", "recipe", "budget"))
def train_gan(
    workspace: str = "workspace",
    dataset: str = "",
    recipe: RecipeName = "projected",
    budget: Budget = "evening",
    tags: Sequence[str] = (),
    settings: Sequence[str] = (),
    evaluate: EvaluateConfig = SCORING,
) -> str:
    """Train until done; a run that was interrupted goes on from its last checkpoint.

    The resolution is that of the dataset.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        dataset: A dataset's name for its newest version, or name/version; nothing or `latest` if
            there is only one dataset.
        recipe: Kind of GAN.
        budget: How long: minutes (50,000 images shown), evening (500,000) or night (2,000,000).
        tags: Tags that the generator can be asked for; `all` for all of the dataset's.
        settings: Any other setting of the training as field=value, for example batch=32,
            nimg=80000 or recipe.lr=1e-3.
        evaluate: What judges snapshots where the setting patience is given.

    Returns:
        Id of the model.
    """
    store, run_id = Workspace(workspace), str(flow_run.root_flow_run_id)
    found = dataset_named(store, dataset)
    config = configured(store, found, recipe, budget, tags, settings)
    return train_task(store, config, found, run_id, evaluate)


def configured(
    store: Workspace,
    dataset: DatasetRef,
    recipe: str,
    budget: str,
    tags: Sequence[str],
    settings: Sequence[str],
) -> TrainConfig:
    """The training that the form asks for, at the dataset's resolution.

    Raises:
        ConfigError: a setting is wrong; names the field.
    """
    side = int(Dataset(store, dataset.name, dataset.version).images.shape[1])
    return training(recipe, side, budget, {"tags": tuple(tags) or None}, settings)
