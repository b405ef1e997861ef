"""Score snapshots of a model."""

from collections.abc import Sequence

from prefect import flow
from prefect.runtime import flow_run

from flows.forms import model_named, reference_named, run_named
from ganime.rows import EvaluationRow
from ganime.stages.evaluate import EvaluateConfig, used_backbone
from ganime.store.lineage import models
from ganime.store.workspace import Workspace
from tasks.evaluate import evaluate_task

SCORING = EvaluateConfig()  # as the form begins


@flow(name="evaluate", flow_run_name=run_named("evaluate", "model"))
def evaluate_model(
    workspace: str = "workspace",
    model: str = "",
    reference: str = "",
    snapshots: Sequence[int] = (),
    evaluate: EvaluateConfig = SCORING,
) -> list[EvaluationRow]:
    """Measure samples against a dataset; what was measured before is not again.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        model: Id of a model or its first digits; nothing for the newest.
        reference: Dataset, or name/version, of the real images; nothing for those that the model
            learned from.
        snapshots: Images shown at the snapshots to score; nothing for all of them.
        evaluate: Which metrics, how many samples, which network they are measured in.

    Returns:
        The rows of these snapshots, by images shown.
    """
    store = Workspace(workspace)
    found = model_named(store, model)
    learned_from = {found: str(models(store)[found]["dataset_version"])}
    reals = reference_named(store, reference, learned_from)
    backbone, run_id = used_backbone(store, evaluate), str(flow_run.root_flow_run_id)
    return evaluate_task(store, evaluate, backbone, found, reals, run_id, tuple(snapshots) or None)
