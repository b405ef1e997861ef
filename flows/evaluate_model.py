"""Score every snapshot of a model."""

from prefect import flow
from prefect.runtime import flow_run

from ganime.backbones import BackboneConfig
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
) -> float:
    """Measure the distance of samples to the dataset; snapshots measured before are not again.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        model_id: The model.
        dataset: Name and version of the real images.
        evaluate: How many samples, which extractor.
        backbone: Network whose features are used unless Inception's weights are given.
    """
    run_id = str(flow_run.root_flow_run_id)
    return evaluate_task(Workspace(workspace), evaluate, backbone, model_id, dataset, run_id)
