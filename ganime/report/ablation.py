"""The page of an ablation: did other rules make a better generator."""

from dataclasses import dataclass

from ganime.ablation.outcomes import Ablation, Outcome
from ganime.ablation.variants import BASE, Arm
from ganime.report.frame import render
from ganime.report.provenance import flattened
from ganime.report.sheets import last_sheets, read_picture
from ganime.report.thumbnails import data_uri
from ganime.store.workspace import Workspace

_SIDE, _MOST = 512, 60_000  # of the samples of one dataset [px, bytes]


@dataclass(frozen=True, slots=True)
class Row:
    """One arm in the table of a metric; places are in 0-100 of the table's range."""

    outcome: Outcome
    mean: float
    dots: list[float]
    told: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """One metric of all arms."""

    metric: str
    better: str
    low: float
    high: float
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Card:
    """One arm, with what the first of its models draws."""

    arm: Arm
    models: list[str]
    picture: str | None


def ablation_page_key(ablation_id: str) -> str:
    """Where an ablation's page lies."""
    return f"reports/ablation-{ablation_id}.html"


def build_ablation_page(workspace: Workspace, found: Ablation) -> str:
    """Write the page; returns its key.

    Args:
        workspace: Where its models lie, and where the page goes.
        found: What was found.
    """
    page = render(
        "ablation.html",
        {
            "title": f"{found.base} and {_counted(len(found.arms) - 1)}",
            "sentence": sentence(found),
            "found": found,
            "tables": tables(found),
            "cards": [_card(workspace, found, arm) for arm in found.arms],
            "settings": flattened(found.train),
        },
    )
    key = ablation_page_key(found.ablation_id)
    workspace.write_text(key, page)
    return key


def sentence(found: Ablation) -> str:
    """What the first metric says of each variant."""
    first = found.outcomes[0].metric
    said = [
        f"{one.arm} is {one.verdict}" if one.tone else f"{one.arm}: {one.verdict}"
        for one in found.outcomes
        if one.metric == first and one.arm != BASE
    ]
    return f"By {first}, beside the dataset as it is: {'; '.join(said)}."


def tables(found: Ablation) -> list[Numbers]:
    """The outcomes by metric, on a common scale each."""
    by_metric: dict[str, list[Outcome]] = {}
    for one in found.outcomes:
        by_metric.setdefault(one.metric, []).append(one)
    return [_numbers(metric, outcomes) for metric, outcomes in by_metric.items()]


def _numbers(metric: str, outcomes: list[Outcome]) -> Numbers:
    values = [value for one in outcomes for value in one.values]
    low, high = min(values), max(values)

    def place(value: float) -> float:
        return round(4 + 92 * (value - low) / ((high - low) or 1.0), 2)

    rows = [
        Row(
            outcome=one,
            mean=place(one.mean),
            dots=[place(value) for value in one.values],
            told=", ".join(f"{value:.4g}" for value in one.values),
        )
        for one in outcomes
    ]
    return Numbers(metric, outcomes[0].better, low, high, rows)


def _card(workspace: Workspace, found: Ablation, arm: Arm) -> Card:
    models = found.models[arm.name]
    grid, _ = last_sheets(workspace, models[0])
    pixels = read_picture(workspace, grid) if grid else None
    picture = None if pixels is None else data_uri(pixels, _SIDE, _MOST)
    return Card(arm, models, picture)


def _counted(variants: int) -> str:
    return "a variant" if variants == 1 else f"{variants} variants"
