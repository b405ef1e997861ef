"""Which kind of head and which penalty, by the loss on examples that were held out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ganime.classifiers.logistic import (
    Answers,
    Linear,
    Numbers,
    balanced_weights,
    fit_logistic,
    log_losses,
)
from ganime.classifiers.mlp import Mlp, fit_mlp

Folds = npt.NDArray[np.int64]
Kind = Literal["linear", "mlp"]
Scorer = Linear | Mlp


@dataclass(frozen=True)
class Selected:
    """A kind of head and a penalty.

    Attributes:
        kind: linear or mlp.
        l2: The penalty.
        logits: Held-out scores of all examples under them [N].
        losses: Class-balanced log loss of each of these, zero where the example was not used [N].
    """

    kind: Kind
    l2: float
    logits: Numbers
    losses: Numbers


def learn(
    kind: Kind, penalties: Sequence[float], inputs: Numbers, answers: Answers, seed: int
) -> list[Scorer]:
    """A scorer for each penalty; one that says nothing where only one answer is there.

    Args:
        kind: linear or mlp.
        penalties: From strong to weak, so that each starts near the last one's optimum.
        inputs: [N, D], centred.
        answers: Yes or no [N].
        seed: Of a network's start.
    """
    if answers.all() or not answers.any():
        return [Linear(np.zeros(inputs.shape[1]), 0.0) for _ in penalties]
    if kind == "mlp":
        return [fit_mlp(inputs, answers, l2, seed) for l2 in penalties]
    weights = balanced_weights(answers)
    found: list[Scorer] = []
    line = None
    for l2 in penalties:
        line = fit_logistic(inputs, answers, weights, l2, start=line)
        found.append(line)
    return found


def cross_validate(
    kind: Kind,
    penalties: Sequence[float],
    inputs: Numbers,
    answers: Answers,
    used: Answers,
    folds: Folds,
    seed: int,
) -> Selected:
    """The penalty with the least held-out loss.

    Args:
        kind: linear or mlp.
        penalties: To choose from.
        inputs: [N, D], centred.
        answers: Yes or no [N].
        used: Which are learned from and count in the loss [N].
        folds: Fold of each, from 0 [N].
        seed: Of a network's start.
    """
    ordered = sorted(penalties, reverse=True)
    logits = np.zeros((len(ordered), len(answers)))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        among = used & ~out
        scorers = learn(kind, ordered, inputs[among], answers[among], seed)
        for i, scorer in enumerate(scorers):
            logits[i, out] = scorer(inputs[out])
    weights = np.zeros(len(answers))
    weights[used] = balanced_weights(answers[used])
    losses = weights * log_losses(logits, answers)
    best = int(np.argmin(losses.sum(axis=1)))
    return Selected(kind, ordered[best], logits[best], losses[best])


def better(simple: Selected, other: Selected) -> Selected:
    """The other only where it is clearly better: by more than the standard error of the gain.

    The rule of one standard error (Breiman, Friedman, Olshen, Stone, "Classification and
    Regression Trees", 1984, 3.4.3), on paired differences.
    """
    gains = simple.losses - other.losses
    error = float(gains.std(ddof=1)) / np.sqrt(len(gains))
    return other if float(gains.mean()) > error else simple
