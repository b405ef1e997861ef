"""The page of all models: how they score, over time and over the images they were shown."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ganime.report.charts import Chart, Series, line_chart
from ganime.report.frame import render
from ganime.report.model import Metric, group_metrics
from ganime.report.sheets import last_sheets
from ganime.report.words import count
from ganime.rows import EvaluationRow
from ganime.store.lineage import models
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
from ganime.training.keys import trained_at

log = logging.getLogger(__name__)
HISTORY_KEY = "reports/history.html"
_UP = "../"  # from the page to the workspace
_TONES = ("a", "b", "c", "d")  # as many as the style has: of more models, the best and the newest
_PAIR = re.compile(r"/([0-9a-f]+)-([0-9a-f]+)\.html$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model in the table of a metric.

    Attributes:
        model_id: Its id.
        dataset: What it was trained on.
        recipe: By what.
        trained_at: When its training ended, or began if it has not; UTC.
        metric: Its rows.
        grid: Link to its last grid of samples; empty without one.
        comparisons: The models it was compared with, and links to the pages.
    """

    model_id: str
    dataset: str
    recipe: str
    trained_at: datetime
    metric: Metric
    grid: str
    comparisons: list[tuple[str, str]]

    @property
    def best(self) -> EvaluationRow:
        """Its best snapshot."""
        return self.metric.best


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """Numbers that may be compared: one metric, network, resizing, reference and counts.

    Attributes:
        title: The metric's name.
        told: All that decides whether two numbers may be compared, in words.
        better: `lower` or `higher`.
        entries: The models, the newest first.
        over_time: The best of each model as they were trained; None of a single one.
        over_images: Some models over the images they were shown.
        best: The model that is ahead.
    """

    title: str
    told: str
    better: str
    entries: list[Entry]
    over_time: Chart | None
    over_images: Chart | None
    best: Entry


def build_history(workspace: Workspace) -> str:
    """Write the page; returns its key. It is written anew whenever a model was scored.

    Args:
        workspace: Where the models lie, and where the page goes.
    """
    found = read_history(workspace)
    page = render(
        "history.html",
        {
            "title": "Models and their scores",
            "groups": found,
            "num_models": len({one.model_id for group in found for one in group.entries}),
            "num_unscored": len(models(workspace)) - len(_scored(found)),
        },
    )
    workspace.write_text(HISTORY_KEY, page)
    log.info("report: %s", workspace.describe(HISTORY_KEY))
    return HISTORY_KEY


def read_history(workspace: Workspace) -> list[Comparable]:
    """All scores, those together that may be compared, the largest group first."""
    pages = _comparison_pages(workspace)
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for identity, described in sorted(models(workspace).items()):
        rows = Table(workspace, EvaluationRow, root=f"models/{identity}").rows()
        for metric in group_metrics(rows):
            entry = _entry(workspace, identity, described, metric, pages.get(identity, []))
            groups.setdefault(_same(metric.first), []).append(entry)
    return sorted(
        (_comparable(entries) for entries in groups.values()),
        key=lambda group: (-len(group.entries), group.title, group.told),
    )


def _same(row: EvaluationRow) -> tuple[Any, ...]:
    return (
        *(row.metric, row.extractor, row.weights, row.resize, row.reference),
        *(row.num_real, row.num_fake, row.seed, row.settings),
    )


def _scored(groups: Sequence[Comparable]) -> set[str]:
    return {one.model_id for group in groups for one in group.entries}


def _entry(
    workspace: Workspace,
    identity: str,
    described: Mapping[str, Any],
    metric: Metric,
    pages: list[tuple[str, str]],
) -> Entry:
    settings = described.get("config", {})
    grid, _ = last_sheets(workspace, identity)
    return Entry(
        model_id=identity,
        dataset=str(described.get("dataset_version", "")),
        recipe=str(settings.get("recipe", {}).get("name", "")),
        trained_at=trained_at(workspace, identity),
        metric=metric,
        grid=_UP + grid if grid else "",
        comparisons=pages,
    )


def _comparable(entries: list[Entry]) -> Comparable:
    newest = sorted(entries, key=lambda one: (one.trained_at, one.model_id), reverse=True)
    row = newest[0].metric.first
    sign = 1 if row.better == "lower" else -1
    ahead = min(newest, key=lambda one: sign * one.best.value)
    return Comparable(
        title=row.metric,
        told=f"{count(row.num_fake)} samples against {count(row.num_real)} images of "
        f"{row.reference}, seed {row.seed}, in the features of {row.extractor} (weights "
        f"{row.weights}, {row.resize}), settings {row.settings}",
        better=row.better,
        entries=newest,
        over_time=_over_time(newest[::-1]),
        over_images=_over_images(newest, ahead),
        best=ahead,
    )


def _over_time(entries: Sequence[Entry]) -> Chart | None:
    if len(entries) < 2:
        return None
    start = entries[0].trained_at
    points = [
        ((one.trained_at - start).total_seconds() / 86_400, one.best.value) for one in entries
    ]
    name, better = entries[0].metric.name, entries[0].metric.first.better
    return line_chart(
        f"Best {name} of each model ({better} is better)",
        [Series("", points, dots=True)],
        x_label=f"days since {start:%Y-%m-%d}",
        summary=f"From {points[0][1]:.4g} of the first model to {points[-1][1]:.4g} of the "
        "last one trained.",
    )


def _over_images(newest: Sequence[Entry], ahead: Entry) -> Chart | None:
    others = [one for one in newest if one is not ahead][: len(_TONES) - 1]
    shown = [ahead, *others]
    series = [
        Series(
            f"{one.model_id[:8]}{', the best' if one is ahead else ''}",
            [(float(row.nimg), row.value) for row in one.metric.rows],
            tone,
            dots=True,
        )
        for one, tone in zip(shown, _TONES, strict=False)
    ]
    name = ahead.metric.name
    told = [f"{one.model_id[:8]} ends at {one.metric.last.value:.4g}" for one in shown]
    left = len(newest) - len(shown)
    return line_chart(
        f"{name} over training",
        series,
        x_label="images shown",
        summary="; ".join(told) + (f"; {left} older models are not drawn." if left else "."),
    )


def _comparison_pages(workspace: Workspace) -> dict[str, list[tuple[str, str]]]:
    """By model, the models it was compared with and the links to the pages."""
    found: dict[str, list[tuple[str, str]]] = {}
    for key in workspace.list("comparisons", ".html"):
        if pair := _PAIR.search(key):
            for one, other in ((pair[1], pair[2]), (pair[2], pair[1])):
                found.setdefault(one, []).append((other, _UP + key))
    return found
