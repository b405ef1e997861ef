"""Decide the variants of a dataset, score their models, and publish it. See `ganime.ablation`."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_table_artifact

from ganime.ablation import AblateConfig
from ganime.ablation.outcomes import Ablation, write_result
from ganime.ablation.scores import score
from ganime.ablation.variants import Arm, decide_arms
from ganime.backbones import BackboneConfig
from ganime.report.ablation import build_ablation_page
from ganime.report.history import build_history
from ganime.rows import EvaluationRow, LabelRow
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig, choose_extractor
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from tasks.gpu import one_gpu
from tasks.policies import STAGE


@task(name="decide-variants", **STAGE)
def decide_task(
    workspace: Workspace,
    config: AblateConfig,
    base: DatasetRef,
    labels: Sequence[LabelRow],
    run_id: str,
) -> list[Arm]:
    """See `ganime.ablation.variants.decide_arms`."""
    return decide_arms(workspace, base, config.variants, labels=labels, run_id=run_id)


@task(name="score", **STAGE)
def score_task(
    workspace: Workspace,
    config: EvaluateConfig,
    backbone: BackboneConfig,
    model_id: str,
    reference: DatasetRef,
    run_id: str,
) -> list[EvaluationRow]:
    """See `ganime.ablation.scores.score`."""
    with one_gpu():
        return score(
            workspace,
            config,
            model_id=model_id,
            reference=Dataset(workspace, reference.name, reference.version),
            extractor=choose_extractor(workspace, config, backbone),
            run_id=run_id,
        )


@task(name="report-ablation", **STAGE)
def publish_ablation(workspace: Workspace, found: Ablation) -> str:
    """Write the numbers and the page, and show the table; returns the page's key."""
    write_result(workspace, found)
    rows = [
        {
            "metric": one.metric,
            "dataset": one.arm,
            "mean": round(one.mean, 4),
            "values": ", ".join(f"{value:.4g}" for value in one.values),
            "verdict": one.verdict,
        }
        for one in found.outcomes
    ]
    told = f"{found.base} and variants against {found.reference}"
    create_table_artifact(rows, key="ablation", description=told)
    build_history(workspace)
    return build_ablation_page(workspace, found)
