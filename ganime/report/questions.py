"""What the classifiers were asked, how good they are, and which labels they doubt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ganime.report.charts import Chart, Series, histogram_chart, line_chart
from ganime.report.examples import Card, Cards
from ganime.report.words import number, share
from ganime.rows import ScoreRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

_SUSPECTS_SHOWN = 12
_BINS = 20
Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question's classifier.

    Attributes:
        question: What was asked.
        classifier_id: Who answered; empty if nobody could.
        threshold: Yes is a score above it.
        confusion: Counts `tp fp fn tn` of held-out answers.
        rates: Name, value and 95 % interval.
        labels: Counts `positive people`, `negative people`, `positive tags`, `negative tags`.
        charts: Precision and recall; scores.
        suspects: Labels that the held-out score contradicts, the worst first.
        num_suspects: How many there are in all.
        num_set_aside: How many of them were left out of training.
        wish: The precision or recall that the threshold was chosen for, and what came of it, in
            words; empty without one.
        by_people: Precision and recall on people's answers alone, in words; empty without any.
    """

    question: str
    classifier_id: str
    threshold: float | None = None
    confusion: dict[str, int] | None = None
    rates: list[tuple[str, str, str]]
    labels: dict[str, int] | None = None
    charts: list[Chart]
    suspects: list[Card]
    num_suspects: int = 0
    num_set_aside: int = 0
    wish: str = ""
    by_people: str = ""


def read_questions(
    workspace: Workspace, classifiers: Mapping[str, str], cards: Cards
) -> list[Question]:
    """The classifiers of a run; one whose figures are missing is told by its id alone."""
    return [_read(workspace, *item, cards) for item in sorted(classifiers.items())]


def _read(workspace: Workspace, question: str, classifier_id: str, cards: Cards) -> Question:
    figures = _figures(workspace, classifier_id)
    threshold = figures.get("threshold")
    suspects = figures.get("suspects") or []
    charts = [
        _precision_recall(figures, threshold),
        _histogram(workspace, question, classifier_id, threshold),
    ]
    return Question(
        question=question,
        classifier_id=classifier_id,
        threshold=threshold,
        confusion=_counts(figures.get("confusion"), ("tp", "fp", "fn", "tn")),
        rates=_rates(figures),
        labels=_labels(figures),
        charts=[chart for chart in charts if chart is not None],
        suspects=[_suspect(item, cards) for item in suspects[:_SUSPECTS_SHOWN]],
        num_suspects=len(suspects),
        num_set_aside=int(figures.get("num_set_aside") or 0),
        wish=_wish(figures),
        by_people=_by_people(figures),
    )


def _figures(workspace: Workspace, classifier_id: str) -> Figures:
    key = f"classifiers/{classifier_id}/figures.json"
    if not workspace.exists(key):
        return {}
    try:
        found = json.loads(workspace.read_bytes(key))
    except ValueError:  # the page is worth having without it
        return {}
    return found if isinstance(found, dict) else {}


def _counts(found: Any, names: Sequence[str]) -> dict[str, int] | None:
    """The named counts, or None if one is missing: an older classifier may not have them."""
    if not isinstance(found, Mapping) or any(name not in found for name in names):
        return None
    return {name: int(found[name]) for name in names}


def _labels(figures: Figures) -> dict[str, int] | None:
    labels = figures.get("labels")
    if not isinstance(labels, Mapping):
        return None
    flat = {
        f"{answer} {by}": number
        for answer, counts in labels.items()
        if isinstance(counts, Mapping)
        for by, number in counts.items()
    }
    names = [f"{answer} {by}" for answer in ("positive", "negative") for by in ("people", "tags")]
    return _counts(flat, names)


def _rates(figures: Figures) -> list[tuple[str, str, str]]:
    names = {
        "precision": "Precision",
        "recall": "Recall",
        "f1": "F1",
        "average_precision": "Average precision",
        "roc_auc": "ROC AUC",
        "calibration_error": "Calibration error",
    }
    rates = []
    for name, title in names.items():
        if (value := figures.get(name)) is not None:
            interval = figures.get(f"{name}_interval")
            around = f"{interval[0]:.3f} – {interval[1]:.3f}" if interval else ""
            rates.append((title, f"{value:.3f}", around))
    return rates


def _wish(figures: Figures) -> str:
    found = figures.get("wish")
    if not isinstance(found, Mapping):
        return ""
    wished = [
        f"{name.capitalize()} {found[name]:.3f}"
        for name in ("precision", "recall")
        if name in found
    ]
    came = "reached" if found.get("reached") else "out of reach, so the best F1 was taken"
    return f"{', '.join(wished)} was wanted: {came}, {_rate('it is', found, 'value', 'interval')}"


def _by_people(figures: Figures) -> str:
    found = figures.get("people")
    if not isinstance(found, Mapping):
        return ""
    told = [
        _rate(name, found, name, f"{name}_interval")
        for name in ("precision", "recall")
        if found.get(name) is not None
    ]
    return ", ".join(told)


def _rate(title: str, found: Mapping[str, Any], value: str, interval: str) -> str:
    if found.get(value) is None:
        return f"{title} unknown"
    around = found.get(interval)
    return f"{title} {found[value]:.3f}" + (
        f" ({around[0]:.3f} – {around[1]:.3f})" if around else ""
    )


def _precision_recall(figures: Figures, threshold: float | None) -> Chart | None:
    points = figures.get("curve") or []
    said = [f"{name} {figures[name]:.2f}" for name in ("precision", "recall") if figures.get(name)]
    at = f" at the threshold {number(threshold)}" if threshold is not None else ""
    return line_chart(
        "Precision and recall by threshold",
        [
            Series(name, [(point["threshold"], point[name]) for point in points], tone)
            for name, tone in (("precision", "a"), ("recall", "b"))
        ],
        x_label="threshold",
        summary=f"Held out: {' and '.join(said) or 'no figure'}{at}.",
        x_range=(0, 1),
        y_range=(0, 1),
        x_mark=None if threshold is None else (f"threshold {number(threshold)}", threshold),
    )


def _histogram(
    workspace: Workspace, question: str, classifier_id: str, threshold: float | None
) -> Chart | None:
    table = Table(workspace, ScoreRow, question).read(["revision", "score"])
    scores = np.asarray(table.filter(pc.equal(table["revision"], classifier_id))["score"])
    yes = scores > (1.0 if threshold is None else threshold)
    groups = [
        (label, tone, np.histogram(scores[chosen], _BINS, (0, 1))[0].tolist())
        for label, tone, chosen in (("no", "keep", ~yes), ("yes", "drop", yes))
    ]
    return histogram_chart(
        "Scores of all images (square-root scale)",
        groups,
        x_label=f"score for “{question}”",
        summary=f"{int(yes.sum()):,} of {len(scores):,} images score above the threshold "
        f"({share(float(yes.sum()), len(scores))}).",
        threshold=threshold,
    )


def _suspect(item: Mapping[str, Any], cards: Cards) -> Card:
    answer = {True: "yes", False: "no"}.get(item.get("answer"), "unknown")  # type: ignore[arg-type]
    by = "a person says" if item.get("by") == "person" else "tags say"
    aside = ", set aside" if item.get("set_aside") else ""
    score = float(item.get("score") or 0.0)
    return cards.image(
        str(item.get("image_id", "")), note=f"{by} {answer}{aside}; score {score:.2f}"
    )
