"""Compare two models with each other."""

from prefect import flow

from ganime.backbones import BackboneConfig
from ganime.stages.compare import CompareConfig, Comparison, Contender
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.lineage import models
from ganime.store.workspace import Workspace
from ganime.training.snapshot import load_generator
from tasks.compare import compare_task


@flow(name="compare", flow_run_name="compare-{first}-{second}")
def compare_models(
    workspace: str,
    first: str,
    second: str,
    reference: DatasetRef,
    compare: CompareConfig,
    evaluate: EvaluateConfig,
    backbone: BackboneConfig,
) -> Comparison:
    """Hold the last snapshots of two models against the same images, under the same seeds.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        first: A model.
        second: Another one.
        reference: Name and version of the real images.
        compare: How sure to be, which tags to look at.
        evaluate: Which metrics, how many samples, which extractor.
        backbone: Network whose features are used unless `evaluate.extractor` names another.
    """
    store = Workspace(workspace)
    known = models(store)
    one, other = (
        Contender(item, known[item]["dataset_version"], load_generator(store, item))
        for item in (first, second)
    )
    return compare_task(store, compare, evaluate, backbone, one, other, reference)
