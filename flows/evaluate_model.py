"""Score snapshots of a model."""

from prefect import flow
from prefect.runtime import flow_run

from ganime.backbones import BackboneConfig
from ganime.rows import EvaluationRow
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.workspace import Workspace
from tasks.evaluate import evaluate_task


@flow(name="evaluate", flow_run_name="evaluate-{model_id}")
def evaluate_model(
    workspace: str,
    model_id: str,
    dataset: DatasetRef,
    evaluate: EvaluateConfig,
    backbone: BackboneConfig,
    only: list[int] | None = None,
) -> list[EvaluationRow]:
    """Measure samples against the dataset; what was measured before is not again.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        model_id: The model.
        dataset: Name and version of the real images.
        evaluate: Which metrics, how many samples, which extractor.
        backbone: Network whose features are used unless `evaluate.extractor` names another.
        only: Images shown at the snapshots to score; all of them if you do not say.

    Returns:
        The rows of these snapshots, by images shown.
    """
    run_id = str(flow_run.root_flow_run_id)
    store = Workspace(workspace)
    return evaluate_task(store, evaluate, backbone, model_id, dataset, run_id, only)
