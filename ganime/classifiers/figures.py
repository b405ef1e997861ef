"""How good a classifier is: figures from scores of examples it did not learn from."""

import math
from typing import Any

import numpy as np

from ganime.classifiers.logistic import Answers, Numbers

_MAX_POINTS = 200  # of a curve: finer than a plot can show
_BINS = 20


def confusion(scores: Numbers, answers: Answers, threshold: float | Numbers) -> dict[str, int]:
    """Counts of true and false, positive and negative; yes is a score above the threshold.

    Args:
        scores: [N].
        answers: Yes or no [N].
        threshold: One for all, or one for each [N].
    """
    said = scores > threshold
    return {
        "tp": int((said & answers).sum()),
        "fp": int((said & ~answers).sum()),
        "fn": int((~said & answers).sum()),
        "tn": int((~said & ~answers).sum()),
    }


def at_threshold(scores: Numbers, answers: Answers, threshold: float | Numbers) -> dict[str, Any]:
    """Confusion, precision, recall and F1 with 95 % intervals; null where nothing was counted.

    Args:
        scores: [N].
        answers: Yes or no [N].
        threshold: One for all, or one for each [N].
    """
    counts = confusion(scores, answers, threshold)
    tp, said, yes = counts["tp"], counts["tp"] + counts["fp"], counts["tp"] + counts["fn"]
    return {
        "confusion": counts,
        "precision": tp / said if said else None,
        "precision_interval": wilson(tp, said),
        "recall": tp / yes if yes else None,
        "recall_interval": wilson(tp, yes),
        "f1": 2 * tp / (said + yes) if said + yes else None,
        "average_precision": average_precision(scores, answers),
        "roc_auc": roc_auc(scores, answers),
    }


def wilson(hits: int, count: int, z: float = 1.959964) -> list[float] | None:
    """Wilson's interval of a share (1927); 95 % unless told otherwise."""
    if count == 0:
        return None
    share = hits / count
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return [max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)]


def curve(scores: Numbers, answers: Answers) -> list[dict[str, float]]:
    """Precision and recall against the threshold, from the lowest threshold to the highest."""
    cuts, tp, said = cuts_of(scores, answers)
    keep = np.unique(np.linspace(0, len(cuts) - 1, min(_MAX_POINTS, len(cuts))).round().astype(int))
    yes = int(answers.sum())
    return [
        {
            "threshold": float(cuts[i]),
            "precision": float(tp[i] / said[i]),
            "recall": float(tp[i] / yes),
        }
        for i in keep[::-1]
    ]


def average_precision(scores: Numbers, answers: Answers) -> float | None:
    """Area under precision against recall, as a sum of steps; null without a yes."""
    yes = int(answers.sum())
    if yes == 0:
        return None
    _, tp, said = cuts_of(scores, answers)
    return float(np.sum(np.diff(tp, prepend=0) / yes * tp / said))


def roc_auc(scores: Numbers, answers: Answers) -> float | None:
    """Chance that a yes scores above a no, ties counting half; null without both."""
    yes, no = int(answers.sum()), int((~answers).sum())
    if yes == 0 or no == 0:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[answers].sum() - yes * (yes + 1) / 2) / (yes * no))


def histogram(scores: Numbers, answers: Answers) -> dict[str, list[int]]:
    """Counts of scores in 20 equal bins of 0-1, for yes and for no."""
    return {
        "positive": np.histogram(scores[answers], _BINS, (0, 1))[0].tolist(),
        "negative": np.histogram(scores[~answers], _BINS, (0, 1))[0].tolist(),
    }


def calibration_error(scores: Numbers, answers: Answers) -> float:
    """Mean distance of score and share of yes, over 10 bins of equal counts."""
    bins = np.array_split(np.argsort(scores, kind="stable"), 10)
    gaps = [abs(scores[b].mean() - answers[b].mean()) * len(b) for b in bins if len(b)]
    return float(sum(gaps) / len(scores))


def cuts_of(scores: Numbers, answers: Answers) -> tuple[Numbers, Numbers, Numbers]:
    """All cuts from the highest down: where, yes above it, all above it [M] each."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(answers[order])
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    below = np.append(ranked[last[1:]], 0.0)
    return (ranked[last] + below) / 2, hits[last].astype(np.float64), (last + 1).astype(np.float64)
