"""Score a model's snapshots against its dataset. See `ganime.stages.evaluate`."""

from collections.abc import Sequence

from prefect import task

from ganime.backbones import BackboneConfig
from ganime.report.history import build_history
from ganime.rows import EvaluationRow
from ganime.stages import evaluate
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.pixels import Dataset, Pixels
from ganime.store.workspace import Workspace
from ganime.training.snapshot import load_generator, snapshots
from tasks.artifacts import publish_metrics
from tasks.gpu import one_gpu
from tasks.policies import STAGE


@task(name="evaluate", task_run_name="evaluate-{model_id}", **STAGE)
def evaluate_task(
    workspace: Workspace,
    config: EvaluateConfig,
    backbone: BackboneConfig,
    model_id: str,
    dataset: DatasetRef,
    run_id: str,
    only: Sequence[int] | None = None,
) -> list[EvaluationRow]:
    """See `ganime.stages.evaluate.run`; all snapshots unless `only` names some by nimg."""

    def sample(nimg: int, num: int, seed: int) -> Pixels:
        return load_generator(workspace, model_id, nimg).sample(num, seed)

    images = Dataset(workspace, dataset.name, dataset.version)
    with one_gpu():
        rows = evaluate.run(
            workspace,
            config,
            model_id=model_id,
            reals=images.split("train"),
            held_out=images.split("holdout"),
            reference=str(dataset),
            extractor=evaluate.choose_extractor(workspace, config, backbone),
            sample=sample,
            snapshots=snapshots(workspace, model_id) if only is None else only,
            run_id=run_id,
        )
    publish_metrics(workspace, model_id)
    build_history(workspace)
    return rows
