"""Compare two models with each other."""

from prefect import flow

from flows.forms import model_named, reference_named, rival_named, run_named
from ganime.stages.compare import CompareConfig, Comparison, Contender
from ganime.stages.evaluate import EvaluateConfig, used_backbone
from ganime.store.lineage import models
from ganime.store.workspace import Workspace
from ganime.training.snapshot import load_generator
from tasks.compare import compare_task

SCORING, COMPARING = EvaluateConfig(), CompareConfig()  # as the form begins


@flow(name="compare", flow_run_name=run_named("compare", "first", "second"))
def compare_models(
    workspace: str = "workspace",
    first: str = "",
    second: str = "",
    reference: str = "",
    compare: CompareConfig = COMPARING,
    evaluate: EvaluateConfig = SCORING,
) -> Comparison:
    """Hold the last snapshots of two models against the same images, under the same seeds.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        first: Id of a model or its first digits; nothing for the current one.
        second: The same of another; nothing for the newest.
        reference: Dataset, or name/version, of the real images; nothing for those that both learned
            from.
        compare: How sure to be, which tags to look at.
        evaluate: Which metrics, how many samples, which network they are measured in.
    """
    store = Workspace(workspace)
    newer = model_named(store, second)
    older = rival_named(store, first, newer)
    known = models(store)
    learned = {item: str(known[item]["dataset_version"]) for item in (older, newer)}
    reals = reference_named(store, reference, learned)
    one, other = (
        Contender(item, learned[item], load_generator(store, item)) for item in (older, newer)
    )
    backbone = used_backbone(store, evaluate)
    return compare_task(store, compare, evaluate, backbone, one, other, reals)
