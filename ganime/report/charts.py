"""Plots as geometry; the page draws them as inline SVG in its own colours, light or dark."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ganime.report.words import compact, number

WIDTH, HEIGHT = 400, 236  # of the viewBox; about one CSS pixel each on a phone
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 40
_MAX_POINTS = 400  # more than there are pixels
_MAX_DOTS = 40

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis [viewBox units]."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A point with its values in words."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """One curve; `tone` picks its colour, an empty label keeps it out of the legend."""

    label: str
    tone: str
    path: str
    dots: list[Dot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A dashed line across the plot: a threshold (`x`) or a floor (`y`), its label at one end."""

    label: str
    x: float | None = None
    y: float | None = None
    label_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All that the template needs to draw one plot.

    Attributes:
        title: What it shows.
        summary: The same in a sentence with numbers, for those who cannot see it.
        x_label: Of the horizontal axis.
        reading: How to read it, for those who see such a plot for the first time.
    """

    title: str
    summary: str
    x_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    reading: str = ""
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Series:
    """One curve before it is placed: points (x, y) in ascending x."""

    label: str
    points: Points
    tone: str = "a"
    faint: bool = False
    dots: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inside = (value - self.low) / (self.high - self.low)
        return round(self.start + inside * (self.end - self.start), 1)

    def ticks(self, steps: Sequence[float], say: Callable[[float], str]) -> list[Tick]:
        return [Tick(self(value), say(value)) for value in steps]


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    summary: str,
    reading: str = "",
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
    x_mark: tuple[str, float] | None = None,
    y_mark: tuple[str, float] | None = None,
) -> Chart | None:
    """Curves over a common axis; None if there is not one finite point.

    Args:
        title: What it shows.
        series: The curves; points that are not finite are left out.
        x_label: Of the horizontal axis.
        summary: The plot in a sentence.
        reading: How to read such a plot.
        y_range: Of the vertical axis; None fits it to the points and the mark.
        x_range: Of the horizontal axis, likewise.
        x_mark: Label and place of a vertical line.
        y_mark: Label and place of a horizontal line.
    """
    drawn = [(item, _finite(item.points)) for item in series]
    drawn = [(item, points) for item, points in drawn if points]
    if not drawn:
        return None
    # Faint curves are the raw values behind smoothed ones: their spikes shall not set the scale.
    solid = [points for item, points in drawn if not item.faint] or [drawn[0][1]]
    values = [y for points in solid for _, y in points] + ([y_mark[1]] if y_mark else [])
    places = [x for _, points in drawn for x, _ in points]
    y_steps = nice_steps(*(y_range or (min(0.0, *values), max(values))))
    x_low, x_high = x_range or (min(0.0, *places), max(places))
    x_axis = _Axis(x_low, x_high if x_high > x_low else x_low + 1, LEFT, WIDTH - RIGHT)
    y_axis = _Axis(y_steps[0], y_steps[-1], HEIGHT - BOTTOM, TOP)
    lines = [_line(item, points, x_axis, y_axis) for item, points in drawn]
    marks = [Mark(x_mark[0], x=x_axis(x_mark[1]))] if x_mark else []
    if y_mark:
        free = _is_free_at_start(solid, x_axis, y_mark[1])
        marks.append(Mark(y_mark[0], y=y_axis(y_mark[1]), label_first=free))
    x_steps = [x for x in nice_steps(x_axis.low, x_axis.high) if x_low <= x <= x_axis.high]
    return Chart(
        title=title,
        summary=summary,
        reading=reading,
        x_label=x_label,
        x_ticks=x_axis.ticks(x_steps, compact),
        y_ticks=y_axis.ticks(y_steps, compact),
        lines=lines,
        marks=marks,
        legend=[(line.label, line.tone) for line in lines if line.label],
    )


def histogram_chart(
    title: str,
    groups: Sequence[tuple[str, str, Sequence[int]]],
    *,
    x_label: str,
    summary: str,
    threshold: float | None,
) -> Chart | None:
    """Stacked counts of scores in equal bins of 0-1; None if all are empty.

    Args:
        title: What it shows.
        groups: Label, tone and counts of each group, from the bottom up; equally many bins.
        x_label: Of the horizontal axis.
        summary: The plot in a sentence.
        threshold: Where to draw a line.
    """
    totals = [sum(counts) for counts in zip(*(item[2] for item in groups), strict=True)]
    if not any(totals):
        return None
    # A square root keeps rare scores visible beside the thousands at either end.
    steps = nice_steps(0, math.sqrt(max(totals)))
    y_axis = _Axis(0, steps[-1], HEIGHT - BOTTOM, TOP)
    x_axis = _Axis(0, 1, LEFT, WIDTH - RIGHT)
    bars, heaped = [], [0] * len(totals)
    for label, tone, counts in groups:
        for i, value in enumerate(counts):
            if value:
                bars.append(_bar(i, len(counts), heaped[i], value, label, tone, x_axis, y_axis))
                heaped[i] += value
    return Chart(
        title=title,
        summary=summary,
        x_label=x_label,
        x_ticks=x_axis.ticks([0, 0.2, 0.4, 0.6, 0.8, 1], compact),
        y_ticks=y_axis.ticks(steps, lambda root: compact(round(root * root))),
        bars=bars,
        marks=[]
        if threshold is None
        else [Mark(f"threshold {number(threshold)}", x=x_axis(threshold))],
        legend=[(label, tone) for label, tone, _ in groups],
    )


def nice_steps(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values from at or below `low` to at or above `high`, about `wanted` of them."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = unit * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def smoothed(points: Points, window: int) -> list[tuple[float, float]]:
    """Exponential mean over about `window` points, without the pull towards zero at the start."""
    keep, mean, weight = 1 - 1 / max(1, window), 0.0, 0.0
    result = []
    for x, y in points:
        if math.isfinite(y):
            mean, weight = keep * mean + (1 - keep) * y, keep * weight + (1 - keep)
            result.append((x, mean / weight))
    return result


def _finite(points: Points) -> list[tuple[float, float]]:
    found = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    chosen = np.linspace(0, len(found) - 1, min(_MAX_POINTS, len(found))).round().astype(int)
    return [found[i] for i in np.unique(chosen)]


def _is_free_at_start(curves: Sequence[Points], x_axis: _Axis, height: float) -> bool:
    """Whether curves keep farther from a height in the left half of the plot than in the right."""
    middle = (x_axis.low + x_axis.high) / 2
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for x, y in (point for points in curves for point in points):
        gaps[x < middle].append(abs(y - height))
    return min(gaps[True], default=math.inf) > min(gaps[False], default=math.inf)


def _line(item: Series, points: Points, x_axis: _Axis, y_axis: _Axis) -> Line:
    placed = [(x_axis(x), min(max(y_axis(y), TOP), HEIGHT - BOTTOM)) for x, y in points]
    path = "M" + " L".join(f"{x} {y}" for x, y in placed)
    dots = []
    if item.dots and len(points) <= _MAX_DOTS:
        dots = [
            Dot(x, y, f"{compact(points[i][0])}: {number(points[i][1])}")
            for i, (x, y) in enumerate(placed)
        ]
    return Line(
        "" if item.faint else item.label,
        f"{item.tone} faint" if item.faint else item.tone,
        path,
        dots,
    )


def _bar(
    place: int,
    num_bins: int,
    below: int,
    value: int,
    label: str,
    tone: str,
    x_axis: _Axis,
    y_axis: _Axis,
) -> Bar:
    left, right = x_axis(place / num_bins), x_axis((place + 1) / num_bins)
    bottom, top = y_axis(math.sqrt(below)), y_axis(math.sqrt(below + value))
    title = f"{label}: {value:,} from {place / num_bins:.2f} to {(place + 1) / num_bins:.2f}"
    return Bar(left + 0.5, top, round(right - left - 1, 1), round(bottom - top, 1), tone, title)
