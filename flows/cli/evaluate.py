"""`ganime evaluate`, `compare` and `ablate`: numbers for one generator, for two, for datasets."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli.console import flow_server, importing, open_workspace, say, say_json
from flows.cli.options import (
    HOW,
    WHAT,
    DatasetArgument,
    DebugOption,
    JsonOption,
    RecipeOption,
    WorkspaceOption,
    option,
)
from flows.cli.train import Budget

if TYPE_CHECKING:
    from ganime.rows import EvaluationRow

_JSON_COLUMNS = ("settings", "versions", "details")

ModelArgument = Annotated[
    str, Parameter(help="Id of the model or its first digits; empty for the only one.")
]
MetricsOption = Annotated[
    tuple[str, ...],
    option(
        WHAT,
        "fd, fd_infinity, kid, precision_recall, density_coverage, diversity, memorisation or "
        "inception_score; repeatable.",
        "--metrics",
    ),
]
ExtractorOption = Annotated[
    str,
    option(
        WHAT,
        "backbone (that of the run, if you do not say), inception, dinov2 or torchvision.",
    ),
]
WeightsOption = Annotated[str, option(WHAT, "Of the extractor: a path, or download.")]
NumOption = Annotated[int | None, option(WHAT, "Samples; only equal counts compare.", least=2)]
SetOption = Annotated[
    tuple[str, ...],
    option(HOW, "Any other setting, for example extractor.architecture=resnet50.", "--set"),
]


def evaluate(
    model: ModelArgument = "",
    /,
    *,
    metrics: MetricsOption = ("fd",),
    extractor: ExtractorOption = "",
    weights: WeightsOption = "",
    num_fake: NumOption = None,
    snapshot: Annotated[
        int | None, option(WHAT, "Images shown at the snapshot to score; the last by default.")
    ] = None,
    all_snapshots: Annotated[bool, option(WHAT, "Score every snapshot.", "--all")] = False,
    reference: Annotated[
        str,
        option(WHAT, "Dataset to hold it against; that it learned from, if you do not say."),
    ] = "",
    set: SetOption = (),
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a generator against the images that it learned from; what is known is not redone.

    A model that a package brought learned from images that are elsewhere: --reference names others.

    Examples:

        ganime evaluate --metrics fd --metrics kid --metrics precision_recall

        ganime evaluate 41f0 --all --extractor inception --weights pt_inception.pth --json

        ganime evaluate 9b2c --reference characters
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.errors import ConfigError
    from ganime.recurate import find_reference
    from ganime.store.lineage import models
    from ganime.training.pictures import find_model

    identity = find_model(store, model)
    if snapshot is not None and all_snapshots:
        raise ConfigError("--snapshot and --all contradict each other: give one of them")
    learned_from = {identity: str(models(store)[identity]["dataset_version"])}
    dataset = find_reference(store, learned_from, reference)
    with flow_server() as ready:
        with importing():
            from flows.evaluate_model import evaluate_model
            from ganime.report.history import HISTORY_KEY
            from ganime.training.snapshot import load_generator, snapshots

        config = _config(metrics, extractor, weights, num_fake, set)
        only = snapshots(store, identity)
        if not all_snapshots:
            only = [load_generator(store, identity, snapshot).nimg]
        ready()
        rows = evaluate_model(workspace, identity, str(dataset), only, config)
    if json:
        say_json([_plain(row) for row in rows])
    else:
        _table(f"model {identity} against {dataset}", rows)
        say(f"all models: {store.describe(HISTORY_KEY)}")


def compare(
    first: Annotated[str, Parameter(help="Id of a model or its first digits.")],
    second: Annotated[str, Parameter(help="The same of another.")],
    /,
    *,
    reference: Annotated[
        str,
        option(
            WHAT,
            "Dataset to hold both against, where they learned from different ones or from one that "
            "is not here.",
        ),
    ] = "",
    metrics: MetricsOption = ("fd", "kid"),
    extractor: ExtractorOption = "",
    weights: WeightsOption = "",
    num_fake: NumOption = None,
    resamples: Annotated[int, option(HOW, "Half-samples for the intervals.", least=10)] = 40,
    set: SetOption = (),
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say which of two generators is better, by how much and how sure; with a sheet of both.

    Examples:

        ganime compare 41f0 9b2c --metrics fd --metrics precision_recall

        ganime compare 41f0 9b2c --reference characters
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.recurate import find_reference
    from ganime.store.lineage import models
    from ganime.training.pictures import find_model

    known, ids = models(store), [find_model(store, model) for model in (first, second)]
    learned_from = {item: str(known[item]["dataset_version"]) for item in ids}
    dataset = find_reference(store, learned_from, reference)
    with flow_server() as ready:
        with importing():
            from flows.compare_models import compare_models
            from ganime.stages.compare import CompareConfig, comparison_key

        config = _config(metrics, extractor, weights, num_fake, set)
        settings = CompareConfig(resamples=resamples)
        ready()
        found = compare_models(workspace, ids[0], ids[1], str(dataset), settings, config)
    if json:
        say_json(asdict(found))
    else:
        say(*found.lines())
        say(*(store.describe(comparison_key(ids[0], ids[1], end)) for end in ("json", "html")))


def ablate(
    dataset: DatasetArgument = "",
    /,
    *,
    variant: Annotated[
        tuple[str, ...],
        option(
            WHAT,
            "NAME: SETTING; SETTING, where a setting is curate.rules=[...], RULE.OPTION=VALUE or "
            "RULE=off; repeatable.",
            "--variant",
        ),
    ] = (),
    repeats: Annotated[int, option(WHAT, "Trainings of each, under seeds one apart.", least=1)] = 3,
    reference: Annotated[
        str, option(WHAT, "Dataset whose held-out images are the measure; this one by default.")
    ] = "",
    recipe: RecipeOption = "projected",
    budget: Annotated[Budget, option(WHAT, "How long: minutes, evening or night.")] = "minutes",
    nimg: Annotated[int | None, option(WHAT, "Images to show instead.", least=1)] = None,
    metrics: MetricsOption = ("kid", "fd"),
    extractor: ExtractorOption = "",
    weights: WeightsOption = "",
    num_fake: NumOption = None,
    set: Annotated[
        tuple[str, ...],
        option(HOW, "Any setting, as train.batch=32 or evaluate.seed=1; repeatable.", "--set"),
    ] = (),
    dry_run: Annotated[bool, option(HOW, "Only say what would be trained, and how long.")] = False,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Tell whether cleaning helps: train the same on variants of a dataset, measure all alike.

    Variants are decided from what was measured before; the same command goes on where it was cut.

    Examples:

        ganime ablate --variant "no-filters: curate.rules=[]" --variant chibi.threshold=0.7

        ganime ablate characters --variant cut_off=off --repeats 5 --recipe stylegan2 --dry-run
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.ablation import AblateConfig
    from ganime.ablation.forecast import forecast
    from ganime.ablation.outcomes import check_metrics
    from ganime.ablation.variants import decide_arms, read_variant
    from ganime.presets import training
    from ganime.recurate import find_dataset
    from ganime.stages.evaluate import used_backbone
    from ganime.store.labels import LabelLog
    from ganime.store.pixels import Dataset

    variants = [read_variant(text).model_dump() for text in variant]
    asked = AblateConfig.parse({"variants": variants, "repeats": repeats})
    for_training, for_scores = _sets_of(set)
    scoring = _config(metrics, extractor, weights, num_fake, for_scores)
    check_metrics(scoring.metrics)
    found = find_dataset(store, dataset)
    held_out = find_dataset(store, reference) if reference else found
    side = Dataset(store, found.name, found.version).images.shape[1]
    train = training(recipe, side, budget, {"nimg": nimg}, for_training)
    if dry_run:
        labels = LabelLog(store).current()
        arms = decide_arms(
            store, found, asked.variants, labels=labels, run_id="dry run", write=False
        )
        say(*(f"{arm.name}: {arm.summary}" for arm in arms))
        say(f"measured against the held-out images of {held_out}")
        say(forecast(store, asked, train).line())
        return
    with flow_server() as ready:
        with importing():
            from flows.ablate import ablate as ablate_flow
            from ganime.report.ablation import ablation_page_key

        backbone = used_backbone(store, scoring)
        ready()
        done = ablate_flow(workspace, found, held_out, asked, train, scoring, backbone)
    if json:
        say_json(asdict(done))
    else:
        say(*done.lines(), store.describe(ablation_page_key(done.ablation_id)))


def _sets_of(pairs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of the training and those of the scores, without what says which.

    Raises:
        ConfigError: a pair is of neither.
    """
    from ganime.errors import ConfigError

    found: dict[str, list[str]] = {"train": [], "evaluate": []}
    for pair in pairs:
        stage, _, setting = pair.partition(".")
        if stage not in found:
            raise ConfigError(
                f"--set {pair}: wanted train.SETTING=VALUE or evaluate.SETTING=VALUE; what a "
                "dataset differs in stands in --variant"
            )
        found[stage].append(setting)
    return found["train"], found["evaluate"]


def _config(
    metrics: Sequence[str], extractor: str, weights: str, num_fake: int | None, sets: Sequence[str]
) -> Any:
    """Settings of the evaluation that options ask for.

    Raises:
        ConfigError: a name or a value is wrong; names the field.
    """
    from ganime.config import overlay, parse_sets
    from ganime.errors import ConfigError
    from ganime.stages.evaluate import EvaluateConfig

    if weights and extractor in ("", "backbone"):
        raise ConfigError("--weights is of an extractor: name it with --extractor, say inception")
    asked: dict[str, Any] = {"metrics": list(metrics)}
    if num_fake is not None:
        asked["num_fake"] = num_fake
    if extractor:
        asked["extractor"] = {"name": extractor, **({"weights": weights} if weights else {})}
    merged = overlay(asked, parse_sets(sets))
    if merged.get("extractor") == {"name": "backbone"}:
        merged["extractor"] = "backbone"  # the run's own
    return EvaluateConfig.parse(merged)


def _plain(row: "EvaluationRow") -> dict[str, Any]:
    fields = asdict(row)
    return {**fields, **{name: json.loads(fields[name]) for name in _JSON_COLUMNS}}


def _table(title: str, rows: "Sequence[EvaluationRow]") -> None:
    """Print rows, all of one extractor, whose name is said once."""
    from rich.console import Console
    from rich.table import Table

    extractor = rows[0].extractor
    table = Table(title=f"{title}, in the features of {extractor}", title_justify="left")
    for heading in ("images shown", "metric", "value", "95 % interval", "better", "samples"):
        words = heading in ("metric", "better")
        table.add_column(heading, justify="left" if words else "right")
    for row in rows:
        ends = "" if row.low is None else f"{row.low:.4g} to {row.high:.4g}"
        numbers = (f"{row.value:.4g}", ends, row.better, str(row.num_fake))
        table.add_row(str(row.nimg), row.metric.removesuffix(f"_{extractor}"), *numbers)
    Console().print(table)
