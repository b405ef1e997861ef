"""Train a generator. See `ganime.stages.train`."""

import logging

from prefect import task

from ganime.backbones import BackboneConfig
from ganime.errors import ConfigError
from ganime.stages import evaluate, train, train_together
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.train import TrainConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from ganime.training.run import Score
from tasks.artifacts import publish_monitors, publish_samples
from tasks.gpu import one_gpu
from tasks.policies import STAGE
from tasks.progress import training_progress

log = logging.getLogger("ganime.train")


@task(
    name="train",
    task_run_name="train-{config.recipe.component}-{config.resolution}px-{dataset.name}",
    **STAGE,
)
def train_task(
    workspace: Workspace,
    config: TrainConfig,
    dataset: DatasetRef,
    run_id: str,
    scoring: EvaluateConfig,
    backbone: BackboneConfig | None = None,
) -> str:
    """See `ganime.stages.train.run`; with patience, `scoring` judges each snapshot.

    Without a backbone it is the one that the workspace was classified with.
    """
    named = (dataset.name, dataset.version)
    with one_gpu(), training_progress() as progress:
        score = judging(workspace, config, dataset, scoring, backbone)
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
                score,
            )
    if (best := evaluate.best_snapshot(workspace, model_id)) is not None:
        log.info("train: of model %s the snapshot at %d images shown scored best", model_id, best)
    publish_samples(workspace, model_id)
    publish_monitors(workspace, model_id)
    return model_id


def judging(
    workspace: Workspace,
    config: TrainConfig,
    dataset: DatasetRef,
    scoring: EvaluateConfig,
    backbone: BackboneConfig | None,
) -> Score | None:
    """What judges snapshots while a model trains: the first metric; None without patience.

    Raises:
        ConfigError: several processes were to train, of which none could judge.
        WeightsError: the extractor's weights cannot be had.
    """
    if not config.patience:
        return None
    if config.processes > 1:
        raise ConfigError(
            f"train.patience is {config.patience} and train.processes {config.processes}, but "
            "snapshots are scored in one process alone: set one of them back to its default"
        )
    images = Dataset(workspace, dataset.name, dataset.version)
    backbone = backbone or evaluate.used_backbone(workspace, scoring)
    judge = evaluate.Judge(
        workspace,
        scoring,
        reals=images.split("train"),
        held_out=images.split("holdout"),
        reference=str(dataset),
        extractor=evaluate.choose_extractor(workspace, scoring, backbone),
    )
    return lambda generator: judge.score(generator.sample)
