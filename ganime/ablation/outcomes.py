"""What the scores of all trainings say: each variant against the base, and how sure that is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from ganime.ablation.variants import BASE, Arm
from ganime.errors import ConfigError
from ganime.metrics import Metric
from ganime.metrics.memorisation import Memorisation
from ganime.rows import EvaluationRow
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace

# 97.5 % quantiles of Student's t by degrees of freedom, from 1 on: the interval of a mean of few.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One metric of one arm.

    Attributes:
        arm: Its name.
        metric: With the extractor's name.
        better: `lower` or `higher`.
        values: One per training, in the order of the seeds.
        intervals: 95 % intervals of single values, as images vary; None where there is none.
        mean: Of the values.
        gap: Mean difference from the base under equal seeds; None for the base.
        half: Half of the 95 % interval of the gap, as trainings vary; None from one training.
        verdict: The same in words.
    """

    arm: str
    metric: str
    better: str
    values: list[float]
    intervals: list[tuple[float, float] | None]
    mean: float
    gap: float | None
    half: float | None
    verdict: str

    @property
    def tone(self) -> str:
        """`better` or `worse` where that is shown, else nothing."""
        return _tone(self.gap, self.half, self.better)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """All that was found.

    Attributes:
        ablation_id: Of what was asked.
        base: name/version of the dataset as it is.
        reference: What all were held against, in words.
        extractor: Name, weights and resizing of the network that gave the features.
        counts: Real images, and samples of each model.
        train: Settings of the trainings, but for their seeds.
        seeds: Of the trainings.
        arms: What was trained on.
        models: Ids of the models by arm, in the order of the seeds.
        outcomes: Metric by metric, the arms in order.
    """

    ablation_id: str
    base: str
    reference: str
    extractor: tuple[str, str, str]
    counts: tuple[int, int]
    train: dict[str, Any]
    seeds: list[int]
    arms: list[Arm]
    models: dict[str, list[str]]
    outcomes: list[Outcome]

    def lines(self) -> list[str]:
        """For people to read."""
        lines = [
            f"{len(self.arms)} datasets, {len(self.seeds)} trainings each; {self.counts[1]} "
            f"samples of each model against {self.counts[0]} images of {self.reference}, in the "
            f"features of {self.extractor[0]}"
        ]
        for one in self.outcomes:
            values = ", ".join(f"{value:.4g}" for value in one.values)
            lines.append(f"{one.metric} of {one.arm}: {one.mean:.4g} ({values}): {one.verdict}")
        return lines


def result_key(ablation_id: str) -> str:
    """Where the numbers of an ablation lie."""
    return f"ablations/{ablation_id}.json"


def write_result(workspace: Workspace, found: Ablation) -> str:
    """Write the numbers; returns their key."""
    key = result_key(found.ablation_id)
    workspace.write_text(key, json.dumps(asdict(found), indent=2, ensure_ascii=False))
    return key


def weigh(scored: Mapping[str, Sequence[Sequence[EvaluationRow]]]) -> list[Outcome]:
    """Each metric of each arm, against the base.

    Args:
        scored: By arm, the base among them, the rows of each training; all have the same metrics.
    """
    found = []
    for place in range(len(scored[BASE][0])):
        base = [rows[place] for rows in scored[BASE]]
        for arm, trainings in scored.items():
            ours = [rows[place] for rows in trainings]
            found.append(_outcome(arm, ours, base))
    return found


def _outcome(arm: str, rows: Sequence[EvaluationRow], base: Sequence[EvaluationRow]) -> Outcome:
    values = [row.value for row in rows]
    gaps = [row.value - other.value for row, other in zip(rows, base, strict=True)]
    gap = None if arm == BASE else mean(gaps)
    half = None if arm == BASE else half_interval(gaps)
    return Outcome(
        arm=arm,
        metric=rows[0].metric,
        better=rows[0].better,
        values=values,
        intervals=[
            None if row.low is None or row.high is None else (row.low, row.high) for row in rows
        ],
        mean=mean(values),
        gap=gap,
        half=half,
        verdict=_said(gap, half, rows[0].better),
    )


def half_interval(gaps: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the mean of a few differences; None of a single one.

    Args:
        gaps: At most 10.
    """
    if len(gaps) < 2:
        return None
    return float(_STUDENT[len(gaps) - 2] * stdev(gaps) / len(gaps) ** 0.5)


def _tone(gap: float | None, half: float | None, better: str) -> str:
    if gap is None or half is None or not abs(gap) > half:
        return ""
    return _side(gap, better)


def _side(gap: float, better: str) -> str:
    return "better" if (gap < 0) == (better == "lower") else "worse"


def _said(gap: float | None, half: float | None, better: str) -> str:
    if gap is None:
        return "what the others are held against"
    if half is None:
        side = _side(gap, better)
        return f"{side} by {abs(gap):.3g} in the only training: chance may do as much"
    if tone := _tone(gap, half, better):
        return f"{tone} by {abs(gap):.3g} ± {half:.2g} (95 %)"
    return f"no difference shown ({gap:+.3g} ± {half:.2g}, 95 %)"


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Refuse metrics that no common reference can answer.

    Raises:
        ConfigError: memorisation is asked for.
    """
    if any(isinstance(metric, Memorisation) for metric in metrics):
        raise ConfigError(
            "memorisation is about the images that a model was trained on, and an ablation holds "
            "all models against images that none was trained on: run "
            "`ganime evaluate MODEL --metrics memorisation` for each model"
        )


def check_unseen(workspace: Workspace, reference: Dataset, arms: Sequence[Arm]) -> None:
    """Refuse a reference that a model was trained on: it would have it easier than the others.

    Raises:
        ConfigError: an arm's training images hold some of the reference's held-out ones, or there
            are too few of them.
    """
    held_out = {row.image_id for row in reference.members if row.split == "holdout"}
    told = f"{reference.name}/{reference.version}"
    if len(held_out) < 4:
        raise ConfigError(
            f"{told} holds {len(held_out)} images out of training and at least 4, better hundreds, "
            "are needed to measure all models against: raise curate.holdout and decide again"
        )
    for arm in arms:
        members = Dataset(workspace, *arm.dataset.split("/", 1)).members
        seen = {row.image_id for row in members if row.split == "train"} & held_out
        if seen:
            raise ConfigError(
                f"{arm.dataset} trains on {len(seen)} of the {len(held_out)} held-out images of "
                f"{told}, which would flatter it: take a reference that holds out the same images"
            )
