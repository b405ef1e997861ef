"""How a model was trained, what it drew on the way, and how its snapshots score."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ganime.report.charts import Chart, Series, line_chart
from ganime.report.curves import SPEED, Metrics, chart_groups, read_metrics
from ganime.report.health import alarms
from ganime.report.provenance import flattened
from ganime.report.sheets import Gallery, read_gallery
from ganime.report.words import count, duration, number
from ganime.rows import EvaluationRow, MetricRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

_FLOOR = "_floor"  # ends the name of the distance of reals to other reals


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric over the snapshots; only rows that may be compared are together.

    Attributes:
        name: Its exact name.
        rows: By nimg.
        floor: Distance of reals to other reals, if it was measured.
        chart: The curve.
    """

    name: str
    rows: list[EvaluationRow]
    floor: float | None
    chart: Chart | None

    @property
    def first(self) -> EvaluationRow:
        """Of the first snapshot."""
        return self.rows[0]

    @property
    def last(self) -> EvaluationRow:
        """Of the last snapshot."""
        return self.rows[-1]

    @property
    def best(self) -> EvaluationRow:
        """The smallest value, or the largest where more is better."""
        sign = 1 if self.first.better == "lower" else -1
        return min(self.rows, key=lambda row: sign * row.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One trained model; every part may be empty.

    Attributes:
        model_id: Its id.
        facts: Names and values in words: recipe, sizes, augmentation.
        tags: What it can be asked for.
        nimg: Real images shown.
        finished: Whether its training came to an end.
        ended: Why, one phrase; empty for older models.
        alarms: What went wrong on the way.
        speed: Images per second, over the whole training.
        time: Of training, in words.
        curves: Plots under their headings.
        gallery: What it drew.
        metrics: How its snapshots score.
    """

    model_id: str
    facts: list[tuple[str, str]]
    tags: list[str]
    nimg: int
    finished: bool
    ended: str
    alarms: list[str]
    speed: float | None
    time: str
    curves: list[tuple[str, list[Chart]]]
    gallery: Gallery
    metrics: list[Metric]


def read_model(workspace: Workspace, model_id: str) -> Model:
    """Read all that is known of a model."""
    root = f"models/{model_id}"
    measured = read_metrics(workspace, model_id)
    described = _read_json(workspace, f"{root}/config.json")
    tags = described.get("tags")
    tags = [str(tag) for tag in tags] if isinstance(tags, list) else []
    gallery = read_gallery(workspace, model_id, tags)
    seconds = _seconds(measured.get(SPEED, []))
    shown = [rows[-1].nimg for rows in measured.values()] + [grid.nimg for grid in gallery.grids]
    nimg = max(shown, default=0)
    return Model(
        model_id=model_id,
        facts=_facts(described),
        tags=tags,
        nimg=nimg,
        finished=workspace.exists(f"{root}/finished.json"),
        ended=str(_read_json(workspace, f"{root}/finished.json").get("ended", "")),
        alarms=alarms(measured),
        speed=nimg / seconds if seconds else None,
        time=duration(timedelta(seconds=seconds)) if seconds else "",
        curves=_curves(measured, described),
        gallery=gallery,
        metrics=group_metrics(Table(workspace, EvaluationRow, root=root).rows()),
    )


def group_metrics(rows: Sequence[EvaluationRow]) -> list[Metric]:
    """Rows that may be compared, together: same metric, network, resize, counts and reference.

    FID comes first, then other Fréchet distances, then the metric with the most snapshots.
    """
    groups: dict[tuple[str | int, ...], list[EvaluationRow]] = {}
    floors: dict[tuple[str, str, str, str], float] = {}
    for row in sorted(rows, key=lambda row: row.nimg):
        same = (row.extractor, row.weights, row.resize, row.reference)
        if row.metric.endswith(_FLOOR):
            floors[(row.metric.removesuffix(_FLOOR), row.extractor, row.weights, row.reference)] = (
                row.value
            )
        else:
            groups.setdefault(
                (row.metric, *same, row.settings, row.num_real, row.num_fake), []
            ).append(row)
    metrics = []
    for found in groups.values():
        one = found[0]
        floor = floors.get((one.metric, one.extractor, one.weights, one.reference))
        metrics.append(
            Metric(name=one.metric, rows=found, floor=floor, chart=_metric_chart(found, floor))
        )
    return sorted(metrics, key=_place)


def _place(metric: Metric) -> tuple[bool, bool, int, str]:
    name = metric.name
    return name != "fid", not name.startswith("fd_"), -len(metric.rows), name


def _metric_chart(rows: list[EvaluationRow], floor: float | None) -> Chart | None:
    name = rows[0].metric
    return line_chart(
        f"{name} over training ({rows[0].better} is better)",
        [Series(name, [(row.nimg, row.value) for row in rows], dots=True)],
        x_label="images shown",
        summary=f"From {number(rows[0].value)} at {count(rows[0].nimg)} images shown to "
        f"{number(rows[-1].value)} at {count(rows[-1].nimg)}.",
        y_mark=None if floor is None else ("reals against reals", floor),
    )


def _seconds(rows: Sequence[MetricRow]) -> float:
    """Time spent on training, from the speed of each stretch."""
    before, seconds = 0, 0.0
    for row in rows:
        seconds += (row.nimg - before) / row.value if row.value > 0 else 0.0
        before = row.nimg
    return seconds


def _curves(measured: Metrics, described: Mapping[str, Any]) -> list[tuple[str, list[Chart]]]:
    target = _table(described, "config", "augment").get("target")
    return chart_groups(measured, target if isinstance(target, float) else None)


def _facts(described: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Recipe, sizes of the networks and of the training set, augmentation, in words."""
    config, recipe = _table(described, "config"), _table(described, "config", "recipe")
    facts = []
    if "name" in recipe and "resolution" in config and "batch" in config:
        facts.append(
            (
                "Recipe",
                f"{recipe['name']} at {config['resolution']} px, {config['batch']} images per "
                "update",
            )
        )
    for name, amount in _table(described, "parameters").items():
        facts.append((name.capitalize(), f"{count(amount)} parameters"))
    if isinstance(amount := described.get("num_images"), int):
        facts.append(("Training set", f"{count(amount)} images"))
    if augment := _augmentation(config):
        facts.append(("Augmentation", augment))
    return facts


def _augmentation(config: Mapping[str, Any]) -> str:
    settings = _table(config, "augment")
    told = [
        value if name == "name" else f"{name.replace('_', ' ')} {value}"
        for name, value in flattened(settings)
    ]
    if told and config.get("mirror"):
        told.append("half of the images mirrored")
    return "; ".join(told)


def _table(described: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A table inside a file; empty where another program wrote something else."""
    for name in path:
        inner = described.get(name)
        described = inner if isinstance(inner, Mapping) else {}
    return described


def _read_json(workspace: Workspace, key: str) -> dict[str, Any]:
    if not workspace.exists(key):
        return {}
    try:
        found = json.loads(workspace.read_bytes(key))
    except ValueError:  # the page is worth having without it
        return {}
    return found if isinstance(found, dict) else {}
