"""How a model was trained, what it drew on the way, and how its snapshots score."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ganime.report.charts import Chart, Series, line_chart, smoothed
from ganime.report.examples import spread
from ganime.report.thumbnails import sample_grid
from ganime.report.words import count, duration, number
from ganime.rows import EvaluationRow, MetricRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

_GRIDS_SHOWN = 12
_GRID = re.compile(r"/samples/(\d+)\.png$")
_FLOOR = "_floor"  # ends the name of the distance of reals to other reals
_SPEED = "images_per_second"
_Rows = list[MetricRow]


@dataclass(frozen=True, slots=True)
class Grid:
    """Samples of one snapshot, as a data URI."""

    nimg: int
    picture: str


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
        """The smallest value."""
        return min(self.rows, key=lambda row: row.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One trained model; every part may be empty."""

    model_id: str
    sizes: list[tuple[str, str]]
    nimg: int
    finished: bool
    speed: float | None
    time: str
    charts: list[Chart]
    grids: list[Grid]
    num_grids: int
    metrics: list[Metric]


def read_model(workspace: Workspace, model_id: str) -> Model:
    """Read all that is known of a model."""
    root = f"models/{model_id}"
    rows = Table(workspace, MetricRow, root=root).rows()
    by_name: dict[str, _Rows] = {}
    for row in sorted(rows, key=lambda row: row.nimg):
        by_name.setdefault(row.name, []).append(row)
    grids, num_grids = _grids(workspace, root)
    seconds = _seconds(by_name.get(_SPEED, []))
    nimg = max([row.nimg for row in rows] + [grid.nimg for grid in grids], default=0)
    return Model(
        model_id=model_id,
        sizes=_sizes(_described(workspace, f"{root}/config.json")),
        nimg=nimg,
        finished=workspace.exists(f"{root}/finished.json"),
        speed=nimg / seconds if seconds else None,
        time=duration(timedelta(seconds=seconds)) if seconds else "",
        charts=[chart for chart in _charts(by_name) if chart is not None],
        grids=grids,
        num_grids=num_grids,
        metrics=group_metrics(Table(workspace, EvaluationRow, root=root).rows()),
    )


def group_metrics(rows: Sequence[EvaluationRow]) -> list[Metric]:
    """Rows that may be compared, together: same metric, network, resize, counts and reference.

    FID comes first, then the metric with the most snapshots.
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
            groups.setdefault((row.metric, *same, row.num_real, row.num_fake), []).append(row)
    metrics = []
    for found in groups.values():
        one = found[0]
        floor = floors.get((one.metric, one.extractor, one.weights, one.reference))
        metrics.append(
            Metric(name=one.metric, rows=found, floor=floor, chart=_metric_chart(found, floor))
        )
    return sorted(metrics, key=lambda item: (item.name != "fid", -len(item.rows), item.name))


def _metric_chart(rows: list[EvaluationRow], floor: float | None) -> Chart | None:
    name = rows[0].metric
    return line_chart(
        f"{name} over training (lower is better)",
        [Series(name, [(row.nimg, row.value) for row in rows], dots=True)],
        x_label="images shown",
        summary=f"From {number(rows[0].value)} at {count(rows[0].nimg)} images shown to "
        f"{number(rows[-1].value)} at {count(rows[-1].nimg)}.",
        y_mark=None if floor is None else ("reals against reals", floor),
    )


def _charts(by_name: dict[str, _Rows]) -> list[Chart | None]:
    losses = {name: rows for name, rows in by_name.items() if name.startswith("loss_")}
    charts = [_losses(losses)] if losses else []
    others = sorted(set(by_name) - set(losses))
    for name in sorted(others, key=lambda name: (name != _SPEED, name)):
        points = [(row.nimg, row.value) for row in by_name[name]]
        soft = smoothed(points, _window(points))
        charts.append(
            line_chart(
                name.replace("_", " "),
                [Series("", points, "a", faint=True), Series("", soft, "a")],
                x_label="images shown",
                summary=f"From {number(soft[0][1])} to {number(soft[-1][1])}." if soft else "",
            )
        )
    return charts


def _losses(losses: dict[str, _Rows]) -> Chart | None:
    series, told = [], []
    for (name, rows), tone in zip(sorted(losses.items()), "abcd", strict=False):
        points = [(row.nimg, row.value) for row in rows]
        soft = smoothed(points, _window(points))
        label = name.removeprefix("loss_").replace("_", " ")
        series += [Series(label, points, tone, faint=True), Series(label, soft, tone)]
        if soft:
            told.append(f"{label} from {number(soft[0][1])} to {number(soft[-1][1])}")
    return line_chart(
        "Losses, smoothed", series, x_label="images shown", summary="; ".join(told) + "."
    )


def _window(points: Sequence[object]) -> int:
    return max(1, len(points) // 20)


def _seconds(rows: _Rows) -> float:
    """Time spent on training, from the speed of each stretch."""
    before, seconds = 0, 0.0
    for row in rows:
        seconds += (row.nimg - before) / row.value if row.value > 0 else 0.0
        before = row.nimg
    return seconds


def _grids(workspace: Workspace, root: str) -> tuple[list[Grid], int]:
    keys = [key for key in workspace.list(f"{root}/samples", ".png") if _GRID.search(key)]
    grids = []
    for key in spread(keys, _GRIDS_SHOWN):
        found = _GRID.search(key)
        picture = sample_grid(workspace, key)
        if found and picture:
            grids.append(Grid(int(found[1]), picture))
    return grids, len(keys)


def _sizes(described: dict[str, Any]) -> list[tuple[str, str]]:
    """Of the networks and of the training set, in words."""
    parameters = described.get("parameters")
    sizes = [
        (name.capitalize(), f"{count(number)} parameters")
        for name, number in (parameters if isinstance(parameters, dict) else {}).items()
    ]
    if isinstance(number := described.get("num_images"), int):
        sizes.append(("Training set", f"{count(number)} images"))
    return sizes


def _described(workspace: Workspace, key: str) -> dict[str, Any]:
    if not workspace.exists(key):
        return {}
    try:
        found = json.loads(workspace.read_bytes(key))
    except ValueError:  # the page is worth having without it
        return {}
    return found if isinstance(found, dict) else {}
