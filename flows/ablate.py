"""Did cleaning make the generator better: one recipe on variants of a dataset, one reference."""

from prefect import flow
from prefect.runtime import flow_run

from ganime.ablation import AblateConfig
from ganime.ablation.outcomes import Ablation, check_metrics, check_unseen, weigh
from ganime.ablation.variants import Arm
from ganime.backbones import BackboneConfig
from ganime.config import digest_of
from ganime.rows import EvaluationRow
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.train import TrainConfig
from ganime.store.labels import LabelLog
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from tasks.ablate import decide_task, publish_ablation, score_task
from tasks.train import train_task


@flow(name="ablate", flow_run_name="ablate-{base}")
def ablate(
    workspace: str,
    base: DatasetRef,
    reference: DatasetRef,
    ablation: AblateConfig,
    train: TrainConfig,
    evaluate: EvaluateConfig,
    backbone: BackboneConfig,
) -> Ablation:
    """Train the same on each variant, and hold all models against the same unseen images.

    What is decided, trained or measured already is not done again, so that the same call goes on
    where an earlier one was cut off, and one more variant costs its own trainings alone.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        base: The dataset version that the variants are of.
        reference: Its held-out images are the measure of all.
        ablation: Which variants, how many trainings of each.
        train: What each training is; repeats count its seed up.
        evaluate: Which metrics, how many samples, which extractor.
        backbone: Network whose features are used unless `evaluate.extractor` names another.
    """
    store, run_id = Workspace(workspace), str(flow_run.root_flow_run_id)
    check_metrics(evaluate.metrics)
    labels = LabelLog(store)
    labels.freeze(run_id)
    arms = decide_task(store, ablation, base, labels.current(), run_id)
    held_out = Dataset(store, reference.name, reference.version)
    check_unseen(store, held_out, arms)
    seeds = [train.seed + repeat for repeat in range(ablation.repeats)]
    models: dict[str, list[str]] = {arm.name: [] for arm in arms}
    scored: dict[str, list[list[EvaluationRow]]] = {arm.name: [] for arm in arms}
    # Seed by seed: cut off early, whole repeats are there to look at.
    for seed in seeds:
        for arm in arms:
            config = train.model_copy(update={"seed": seed})
            model = train_task(store, config, _dataset_of(arm), run_id, evaluate, backbone)
            models[arm.name].append(model)
            scored[arm.name].append(score_task(store, evaluate, backbone, model, reference, run_id))
    one = scored[arms[0].name][0][0]
    settings = (item.canonical() for item in (ablation, train, evaluate))
    found = Ablation(
        ablation_id=digest_of(str(base), str(reference), *settings),
        base=str(base),
        reference=one.reference,
        extractor=(one.extractor, one.weights, one.resize),
        counts=(one.num_real, one.num_fake),
        train=train.model_dump(mode="json", exclude={"seed"}),
        seeds=seeds,
        arms=arms,
        models=models,
        outcomes=weigh(scored),
    )
    publish_ablation(store, found)
    return found


def _dataset_of(arm: Arm) -> DatasetRef:
    name, _, version = arm.dataset.partition("/")
    return DatasetRef(name, version, arm.num_images)
