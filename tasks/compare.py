"""Compare two models. See `ganime.stages.compare`."""

from prefect import task

from ganime.backbones import BackboneConfig
from ganime.stages import compare, evaluate
from ganime.stages.compare import CompareConfig, Comparison, Contender
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from tasks.policies import STAGE


@task(name="compare", tags=["gpu"], **STAGE)
def compare_task(
    workspace: Workspace,
    config: CompareConfig,
    scoring: EvaluateConfig,
    backbone: BackboneConfig,
    first: Contender,
    second: Contender,
    reference: DatasetRef,
) -> Comparison:
    """See `ganime.stages.compare.run`; metrics, counts and extractor are those of scoring."""
    return compare.run(
        workspace,
        config,
        first=first,
        second=second,
        reference=Dataset(workspace, reference.name, reference.version),
        extractor=evaluate.choose_extractor(workspace, scoring, backbone),
        metrics=scoring.metrics,
        num_fake=scoring.num_fake,
        seed=scoring.seed,
    )
