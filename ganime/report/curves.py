"""What a training run measured of itself, as plots, each with a sentence on how to read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganime.report.charts import Chart, Series, line_chart, smoothed
from ganime.report.words import count, number
from ganime.rows import MetricRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

Metrics = Mapping[str, Sequence[MetricRow]]
"""Rows by name, each ascending in images shown."""

SPEED, ROLLBACKS, OVERFIT = "images_per_second", "rollbacks", "overfit"
_TONES = "abcd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Metrics that belong together.

    Attributes:
        group: Heading that it stands under.
        title: What it shows.
        names: The metrics; one that ends in `_` stands for all that begin with it.
        reading: How to read it, one sentence.
        y_range: Of the vertical axis; None fits it.
        y_mark: Label and place of a horizontal line.
        snapshots: Whether there is one value per snapshot, to be shown as a dot.
    """

    group: str
    title: str
    names: str
    reading: str
    y_range: tuple[float, float] | None = None
    y_mark: tuple[str, float] | None = None
    snapshots: bool = False

    def has(self, name: str) -> bool:
        """Whether a metric belongs here."""
        return name.startswith(self.names) if self.names.endswith("_") else name == self.names


_DUEL, _HEALTH, _WORK = "The two networks", "Health of the samples", "Augmentation and speed"
PLOTS = (
    Plot(
        group=_DUEL,
        title="Losses",
        names="loss_",
        reading="They pull against each other, so neither falls for long; one that runs away, or "
        "a discriminator's that stays at zero, means that learning has stopped.",
    ),
    Plot(
        group=_DUEL,
        title="Penalties",
        names="penalty_",
        reading="What the penalties add to the losses; a long rise says that a network grows "
        "steeper than its penalty can hold.",
    ),
    Plot(
        group=_DUEL,
        title="Pairs told apart",
        names="told_apart",
        reading="How often the discriminator gives a real image more than a generated one: 0.5 is "
        "guessing, and one that stays at 1 teaches the generator little.",
        y_range=(0, 1),
        y_mark=("guessing", 0.5),
    ),
    Plot(
        group=_HEALTH,
        title="Spread",
        names="spread",
        reading="How far samples lie from each other, against real images: 1 is as varied, and "
        "near 0 they all look alike.",
        y_mark=("as the real ones", 1.0),
        snapshots=True,
    ),
    Plot(
        group=_HEALTH,
        title="Recall at 16 px",
        names="recall_16px",
        reading="Share of the real images that lie among the samples: it rises while more of the "
        "dataset is covered, and a fall means that kinds of images get lost.",
        snapshots=True,
    ),
    Plot(
        group=_HEALTH,
        title="Copied",
        names="copied",
        reading="Share of the samples that are nearly one training image: it shall stay at 0, and "
        "a rise means learning by heart.",
        snapshots=True,
    ),
    Plot(
        group=_HEALTH,
        title="Diversity of a batch",
        names="diversity",
        reading="The same question as spread, asked of every batch and so earlier and noisier: 1 "
        "is as varied as real images.",
        y_mark=("as the real ones", 1.0),
    ),
    Plot(
        group=_HEALTH,
        title="Score",
        names="score",
        reading="The judgement that patience waits for, less being better.",
        snapshots=True,
    ),
    Plot(
        group=_WORK,
        title="Augmentation",
        names="augment_probability",
        reading="How likely each change is before the discriminator looks: it rises while the "
        "discriminator knows the training images too well.",
    ),
    Plot(
        group=_WORK,
        title="Overfitting",
        names=OVERFIT,
        reading="Mean sign of what the discriminator says of real images: 1 is sure of them all, "
        "0 undecided, and adaptive augmentation holds it near its target.",
    ),
    Plot(
        group=_WORK,
        title="Images per second",
        names=SPEED,
        reading="Over the last fifty updates; snapshots make dips, and a fall that lasts means "
        "that something else wants the machine.",
    ),
)


def read_metrics(workspace: Workspace, model_id: str) -> dict[str, list[MetricRow]]:
    """A model's metrics by name, each ascending in images shown."""
    rows = Table(workspace, MetricRow, root=f"models/{model_id}").rows()
    found: dict[str, list[MetricRow]] = {}
    for row in sorted(rows, key=lambda row: row.nimg):
        found.setdefault(row.name, []).append(row)
    return found


def plot_of(name: str) -> Plot | None:
    """Where a metric belongs; None for one that nobody has heard of."""
    return next((plot for plot in PLOTS if plot.has(name)), None)


def chart_groups(metrics: Metrics, target: float | None = None) -> list[tuple[str, list[Chart]]]:
    """Plots of all metrics under their headings; what is not known gets a plot of its own.

    Args:
        metrics: Rows by name.
        target: Where adaptive augmentation wants the overfitting.
    """
    went_back = [row.nimg for row in metrics.get(ROLLBACKS, ())]
    known = [name for name in metrics if plot_of(name) is not None]
    others = sorted(set(metrics) - set(known) - {ROLLBACKS})
    plots = [
        *PLOTS,
        *(Plot(group="Others", title=_plain(name), names=name, reading="") for name in others),
    ]
    groups: dict[str, list[Chart]] = {}
    for plot in plots:
        names = sorted(name for name in metrics if plot.has(name))
        mark = ("target", target) if plot.names == OVERFIT and target is not None else plot.y_mark
        chart = _chart(plot, {name: metrics[name] for name in names}, mark, went_back)
        if chart is not None:
            groups.setdefault(plot.group, []).append(chart)
    return list(groups.items())


def _chart(
    plot: Plot, metrics: Metrics, y_mark: tuple[str, float] | None, went_back: Sequence[int]
) -> Chart | None:
    series, told = [], []
    for (name, rows), tone in zip(metrics.items(), _TONES, strict=False):
        points = [(float(row.nimg), row.value) for row in rows]
        label = _plain(name.removeprefix(plot.names)) if plot.names.endswith("_") else ""
        window = 1 if plot.snapshots else max(1, len(points) // 20)
        soft = smoothed(points, window)
        if window > 1:
            series.append(Series(label, points, tone, faint=True))
        series.append(Series(label, soft, tone, dots=plot.snapshots))
        told += _told(label, soft)
    is_losing = plot.names == "loss_"
    return line_chart(
        plot.title,
        series,
        x_label="images shown",
        summary="; ".join(told) + ".",
        reading=plot.reading,
        y_range=plot.y_range,
        y_mark=y_mark,
        x_mark=("went back", float(went_back[-1])) if went_back and is_losing else None,
    )


def _told(label: str, points: Sequence[tuple[float, float]]) -> list[str]:
    if not points:
        return []
    start, last = points[0], points[-1]
    if len(points) == 1:
        said = f"{number(last[1])} at {count(last[0])} images shown"
    elif len({value for _, value in points}) == 1:
        said = f"{number(last[1])} throughout"
    else:
        said = f"from {number(start[1])} to {number(last[1])}"
    return [f"{label} {said}" if label else said[0].upper() + said[1:]]


def _plain(name: str) -> str:
    return name.replace("_", " ")
