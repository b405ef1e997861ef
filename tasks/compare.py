"""Compare two models. See `ganime.stages.compare`."""

from prefect import task

from ganime.backbones import BackboneConfig
from ganime.report.comparison import build_comparison_page
from ganime.stages import compare, evaluate
from ganime.stages.compare import CompareConfig, Comparison, Contender
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from tasks.comparisons import publish_comparison
from tasks.gpu import one_gpu
from tasks.policies import STAGE


@task(
    name="compare-models",
    task_run_name="compare-{first.model_id}-{second.model_id}",
    **STAGE,
)
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
    with one_gpu():
        found = compare.run(
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
    build_comparison_page(workspace, found)
    publish_comparison(workspace, found)
    return found
