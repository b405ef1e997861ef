"""`ganime evaluate` and `compare`: numbers for a trained generator, and for two of them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli.console import open_workspace, say, say_json
from flows.cli.options import HOW, WHAT, DebugOption, JsonOption, WorkspaceOption, option

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
    set: SetOption = (),
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Score a generator against the images that it learned from; what is known is not redone.

    Examples:

        ganime evaluate --metrics fd --metrics kid --metrics precision_recall

        ganime evaluate 41f0 --all --extractor inception --weights pt_inception.pth --json
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.errors import ConfigError
    from ganime.recurate import find_dataset
    from ganime.stages.evaluate import used_backbone
    from ganime.store.lineage import models
    from ganime.training.pictures import find_model
    from ganime.training.snapshot import load_generator, snapshots

    identity = find_model(store, model)
    if snapshot is not None and all_snapshots:
        raise ConfigError("--snapshot and --all contradict each other: give one of them")
    config = _config(metrics, extractor, weights, num_fake, set)
    only = snapshots(store, identity)
    if not all_snapshots:
        only = [load_generator(store, identity, snapshot).nimg]
    dataset = find_dataset(store, models(store)[identity]["dataset_version"])
    from flows.evaluate_model import evaluate_model

    rows = evaluate_model(workspace, identity, dataset, config, used_backbone(store, config), only)
    if json:
        say_json([_plain(row) for row in rows])
    else:
        _table(f"model {identity} against {dataset}", rows)


def compare(
    first: Annotated[str, Parameter(help="Id of a model or its first digits.")],
    second: Annotated[str, Parameter(help="The same of another.")],
    /,
    *,
    reference: Annotated[
        str, option(WHAT, "Dataset to hold both against, where they learned from different ones.")
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
    from ganime.recurate import find_dataset
    from ganime.stages.compare import CompareConfig, choose_reference, comparison_key
    from ganime.stages.evaluate import used_backbone
    from ganime.store.lineage import models
    from ganime.training.pictures import find_model

    config = _config(metrics, extractor, weights, num_fake, set)
    known, ids = models(store), [find_model(store, model) for model in (first, second)]
    one, other = ((item, str(known[item]["dataset_version"])) for item in ids)
    dataset = find_dataset(store, choose_reference(one, other, reference))
    settings = CompareConfig(resamples=resamples)
    from flows.compare_models import compare_models

    backbone = used_backbone(store, config)
    found = compare_models(workspace, ids[0], ids[1], dataset, settings, config, backbone)
    if json:
        say_json(asdict(found))
    else:
        say(*found.lines())
        say(*(store.describe(comparison_key(ids[0], ids[1], end)) for end in ("json", "png")))


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
