"""Whole datasets: where the images went, what versions differ in, and what was trained."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ganime.review.cache import Snapshot
from ganime.review.query import NotThereError
from ganime.review.schemas import (
    Change,
    Difference,
    Evaluation,
    Intake,
    MetricGap,
    Metrics,
    Model,
    ModelComparison,
    Step,
)
from ganime.review.verdict_columns import KEPT, UNDECIDED
from ganime.rows import EvaluationRow, MetricRow
from ganime.store.difference import difference
from ganime.store.lineage import datasets, models
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

_EXAMPLES = 12  # images of each reason
_MAX_POINTS = 1000  # of a curve: finer than a plot can show
_DAY_S = 86_400
_MAX_DAYS = 400  # a year and a bit: more bars than a page is wide
_SAMPLES = re.compile(r"samples/(\d{1,12})\.png$")


def funnel(snapshot: Snapshot) -> list[Step]:
    """Every post and image once, step by step: as `ganime.report.funnel`, from columns.

    Packing is no step of it: versions hold what their rules kept.
    """
    told = snapshot.groups["images"].notes
    with_image, num = int(told["num_with_image"]), snapshot.num_rows
    lost = _sorted(told["lost"])
    listed = int(told["num_posts"]) + int(told["lost"].get("no_outcome_yet", 0))
    steps = [
        _step("crawl", "fetch", "posts", listed, with_image, lost),
        _step(
            "dedupe",
            "same_file",
            "posts",
            with_image,
            num,
            _sorted({"same_file_posted_again": with_image - num}),
        ),
    ]
    return [*steps, *_rules(snapshot)] if snapshot.dataset else steps


def _rules(snapshot: Snapshot) -> Iterator[Step]:
    cells = snapshot.groups["cells"]
    status, counts = cells["status"], cells["count"]
    undecided = int(counts[status == UNDECIDED].sum())
    alive = snapshot.num_rows - undecided
    if undecided:
        lost = {"not_decided_yet": undecided}
        yield _step("curate", "decided", "images", snapshot.num_rows, alive, lost)
    words = snapshot.groups["decisions"].notes["reasons"]
    for order, rule in enumerate(snapshot.rules):
        here = status == order
        found = np.bincount(cells["reason"][here].astype(np.int64) + 1, counts[here])
        reasons = {
            words[place - 1] if place else rule: int(number)
            for place, number in enumerate(found.tolist())
            if number
        }
        left = int(counts[(status > order) | (status == KEPT)].sum())
        # A person's answer is a rule that seldom has anything to say.
        if reasons or rule != "person":
            stage = "dedupe" if rule == "decodable" else "curate"
            yield _step(stage, rule, "images", alive, left, _sorted(reasons))
        alive = left


def intake(snapshot: Snapshot) -> list[Intake]:
    """Images by the day they were fetched on, the first day first: the funnel over time."""
    fetched = np.asarray(snapshot.groups["images"]["fetched"]).astype(np.int64) // _DAY_S
    status = snapshot.groups["decisions"]["status"] if snapshot.dataset else None
    days, place = np.unique(fetched, return_inverse=True)
    num = np.bincount(place, minlength=len(days))
    known = days > 0  # 0 is an image that no post dates
    if status is None:
        kept = undecided = np.zeros_like(num)
    else:
        kept = np.bincount(place, status == KEPT, len(days)).astype(np.int64)
        undecided = np.bincount(place, status == UNDECIDED, len(days)).astype(np.int64)
    found = [
        Intake(
            day=str(np.datetime64(int(days[i]), "D")),
            num=int(num[i]),
            kept=int(kept[i]),
            dropped=int(num[i] - kept[i] - undecided[i]) if status is not None else 0,
            undecided=int(undecided[i]) if status is not None else int(num[i]),
        )
        for i in np.flatnonzero(known).tolist()
    ]
    return found[-_MAX_DAYS:]


def versions(workspace: Workspace) -> list[str]:
    """All dataset versions, `name/version`."""
    return [f"{name}/{version}" for name, version in datasets(workspace)]


def compare(workspace: Workspace, before: str, after: str) -> Difference:
    """What changed from one dataset version to another.

    Raises:
        NotThereError: there is no such version.
    """
    known = versions(workspace)
    for version in (before, after):
        if version not in known:
            raise NotThereError(f"no dataset version is {version!r}; there are {', '.join(known)}")
    found = difference(workspace, before, after)
    return Difference(
        before=before,
        after=after,
        num_before=found.before,
        num_after=found.after,
        added=_changes(found.added),
        removed=_changes(found.removed),
        settings=list(found.settings),
    )


def all_models(workspace: Workspace) -> list[Model]:
    """All models with their metrics."""
    return [
        Model(
            id=model_id,
            dataset=settings.get("dataset_version"),
            settings=settings,
            evaluations=_evaluations(workspace, model_id),
            samples=list(_sampled(workspace, model_id)),
        )
        for model_id, settings in sorted(models(workspace).items())
    ]


def metrics(workspace: Workspace, model_id: str) -> Metrics:
    """The curves of a model.

    Raises:
        NotThereError: there is no such model.
    """
    _check_model(workspace, model_id)
    table = Table(workspace, MetricRow, root=f"models/{model_id}").read()
    table = table.sort_by([("name", "ascending"), ("nimg", "ascending")])
    names = np.asarray(table["name"].to_numpy(zero_copy_only=False), object)
    nimg, values = np.asarray(table["nimg"]), np.asarray(table["value"])
    curves = {}
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        if len(rows) > _MAX_POINTS:
            rows = rows[np.linspace(0, len(rows) - 1, _MAX_POINTS).round().astype(int)]
        finite = rows[np.isfinite(values[rows])]  # JSON has no word for a diverged loss
        curves[name] = {"nimg": nimg[finite].tolist(), "value": values[finite].tolist()}
    return Metrics.model_validate({"curves": curves})


def sample(workspace: Workspace, model_id: str, nimg: int) -> bytes:
    """A grid of samples, PNG.

    Raises:
        NotThereError: there is no such model or grid.
    """
    _check_model(workspace, model_id)
    for key in workspace.list(f"models/{model_id}/samples", ".png"):
        if (match := _SAMPLES.search(key)) and int(match[1]) == nimg:
            return workspace.read_bytes(key)
    raise NotThereError(f"{model_id} has no samples at {nimg} images")


def comparison(workspace: Workspace, first: str, second: str) -> ModelComparison:
    """What `ganime compare` found of two models, in the order it was asked for.

    Raises:
        NotThereError: there is no such model, or they were not compared.
    """
    key = _compared(workspace, first, second)
    found = json.loads(workspace.read_bytes(f"{key}.json"))
    return ModelComparison(
        first=found["first"],
        second=found["second"],
        reference=found["reference"],
        num_real=found["counts"][0],
        num_fake=found["counts"][1],
        gaps=[_gap(one) for one in found["gaps"]],
        tags=[_gap(one) for one in found["tags"]],
        has_sheet=workspace.exists(f"{key}.png"),
    )


def comparison_sheet(workspace: Workspace, first: str, second: str) -> bytes:
    """Samples of both under the same seeds, PNG.

    Raises:
        NotThereError: there is no such model, or they were not compared.
    """
    return workspace.read_bytes(f"{_compared(workspace, first, second)}.png")


def _compared(workspace: Workspace, first: str, second: str) -> str:
    """Key of the comparison without its ending; as `ganime.stages.compare.comparison_key`."""
    _check_model(workspace, first)
    _check_model(workspace, second)
    key = f"comparisons/{first}-{second}"
    if not workspace.exists(f"{key}.json"):
        raise NotThereError(
            f"{first} and {second} were not compared yet: `ganime compare {first} {second}` does"
        )
    return key


def _gap(found: Mapping[str, Any]) -> MetricGap:
    """One line; a figure that is no number is left at 0, since JSON has no word for it."""
    return MetricGap(
        **{
            name: 0.0 if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in found.items()
        }
    )


def _check_model(workspace: Workspace, model_id: str) -> None:
    if model_id not in models(workspace):
        raise NotThereError(f"no model is called {model_id!r}")


def _evaluations(workspace: Workspace, model_id: str) -> list[Evaluation]:
    rows = Table(workspace, EvaluationRow, root=f"models/{model_id}").rows()
    wanted = Evaluation.model_fields
    return [
        Evaluation(**{name: value for name, value in asdict(row).items() if name in wanted})
        for row in rows
    ]


def _sampled(workspace: Workspace, model_id: str) -> Iterator[int]:
    for key in workspace.list(f"models/{model_id}/samples", ".png"):
        if match := _SAMPLES.search(key):
            yield int(match[1])


def _changes(found: Mapping[str, Sequence[str]]) -> list[Change]:
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Change(reason=reason, count=len(ids), examples=list(ids[:_EXAMPLES]))
        for reason, ids in ordered
    ]


def _step(
    stage: str, rule: str, unit: str, num_in: int, num_kept: int, dropped: dict[str, int]
) -> Step:
    return Step(
        stage=stage, rule=rule, unit=unit, num_in=num_in, num_kept=num_kept, dropped=dropped
    )


def _sorted(lost: Mapping[str, int]) -> dict[str, int]:
    pairs = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
    return {reason: number for reason, number in pairs if number}
