"""Train anew on what a dataset has become, and keep the better of two models."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.compare_models import compare_models
from flows.evaluate_model import evaluate_model
from flows.forms import Budget, RecipeName, dataset_named, run_named
from flows.train_gan import configured, train_gan
from ganime.errors import ConfigError
from ganime.growth import note_retraining
from ganime.promotion import current, promote
from ganime.rows import MetricRow
from ganime.stages.compare import CompareConfig, Comparison
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
from ganime.training.run import LEAST_SPREAD
from ganime.training.snapshot import load_generator
from tasks.comparisons import publish_retraining
from tasks.notify import tell_of_failure
from tasks.policies import refuse_after

SCORING, COMPARING = EvaluateConfig(), CompareConfig()  # as the form begins


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a retraining came to.

    Attributes:
        model: The new model.
        dataset: name/version that it learned from.
        before: The model that was current; empty for none.
        promoted: Whether the new one is current now because of this run.
        said: All that in a sentence, with the reason.
    """

    model: str
    dataset: str
    before: str
    promoted: bool
    said: str


@flow(
    name="retrain",
    flow_run_name=run_named("retrain", "dataset", "recipe", "budget"),
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def retrain(
    workspace: str = "workspace",
    dataset: str = "",
    recipe: RecipeName = "projected",
    budget: Budget = "evening",
    tags: Sequence[str] = (),
    settings: Sequence[str] = (),
    reference: str = "",
    promote_better: bool = True,
    evaluate: EvaluateConfig = SCORING,
    compare: CompareConfig = COMPARING,
) -> Retraining:
    """Train a generator on the newest images; it becomes the current one only if it is better.

    Training goes on where an interrupted run stopped, and what was measured before is not again.
    The resolution is that of the dataset.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        dataset: A dataset's name for its newest version, or name/version; nothing or `latest` if
            there is only one dataset.
        recipe: Kind of GAN.
        budget: How long: minutes (50,000 images shown), evening (500,000) or night (2,000,000).
        tags: Tags that the generator can be asked for; `all` for all of the dataset's.
        settings: Any other setting of the training as field=value, for example batch=32,
            nimg=80000 or recipe.lr=1e-3.
        reference: Dataset version that both models are held against; nothing for the one that the
            new model learned from.
        promote_better: Whether a better model becomes the current one; else it is only said.
        evaluate: How the snapshots are scored; the first metric decides which model is better.
        compare: How sure a difference must be, and which tags to look at.
    """
    refuse_after()
    store = Workspace(workspace)
    store.check_writable()
    found = dataset_named(store, dataset)
    against = dataset_named(store, reference) if reference else found
    before = current(store) or ""
    if before:
        load_generator(store, before)  # one that cannot be compared with is found out now
    # A wrong setting is found out now, and weights that cannot be had.
    configured(store, found, recipe, budget, tags, settings).recipe.prepare()
    note_retraining(store, found.name, found.version, str(flow_run.root_flow_run_id))

    model = train_gan(workspace, str(found), recipe, budget, tags, settings, evaluate)
    evaluate_model(workspace, model, str(found), evaluate=evaluate)
    comparison = None
    if before not in ("", model):
        comparison = compare_models(workspace, before, model, str(against), compare, evaluate)
    outcome = _settle(store, found, model, before, comparison, promote_better=promote_better)
    publish_retraining(store, outcome.said, model, comparison)
    return outcome


def _settle(
    store: Workspace,
    dataset: DatasetRef,
    model: str,
    before: str,
    comparison: Comparison | None,
    *,
    promote_better: bool,
) -> Retraining:
    """Promote the new model if it deserves it."""
    is_better, why = _judged(store, model, before, comparison)
    promoted = is_better and promote_better
    if promoted:
        told = None if comparison is None else _summary(comparison)
        promote(store, model, by="retrain", note=f"{why}; on {dataset}", comparison=told)
    stays = f"{before} stays the current model" if before else "there is still no current model"
    if promoted:
        said = f"{model} is the current model now: {why}"
    elif is_better:
        said = f"{stays}, as promote_better is off, though {model} deserves it: {why}"
    else:
        said = f"{stays}: {why}"
    return Retraining(model, str(dataset), before, promoted, said)


def _judged(
    store: Workspace, model: str, before: str, comparison: Comparison | None
) -> tuple[bool, str]:
    """Whether the new model is to be promoted, and why."""
    if before == model:
        return False, "the same settings and images make the same model"
    if (wrong := _what_is_wrong(store, model)) is not None:
        return False, wrong
    if comparison is None:
        return True, "it is the first one"
    gap = comparison.gaps[0]  # the first metric judges a model
    better = gap.verdict.startswith("B better")
    return better, f"{gap.name} {gap.first:.4g} before, {gap.second:.4g} now, {gap.verdict}"


def _what_is_wrong(store: Workspace, model: str) -> str | None:
    """Why a model is no good whatever its score: at the end its samples look alike."""
    rows = Table(store, MetricRow, root=f"models/{model}").rows()
    spreads = {row.nimg: row.value for row in rows if row.name == "spread"}
    if not spreads:
        raise ConfigError(f"model {model} has no metrics: train it again")
    last = spreads[max(spreads)]
    if last >= LEAST_SPREAD:
        return None
    return f"samples of {model} look alike, they differ by {last:.0%} of what real images do"


def _summary(comparison: Comparison) -> dict[str, Any]:
    """What of a comparison goes into the history of promotions; no lists of images."""
    kept = ("first", "second", "reference", "extractor", "counts", "seed", "gaps", "seen")
    everything = asdict(comparison)
    return {name: everything[name] for name in kept}
