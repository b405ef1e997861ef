"""Class-balanced logistic regression by Newton's method, and Platt's calibration."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Answers = npt.NDArray[np.bool_]
_MAX_STEPS = 50
_TOLERANCE = 1e-8  # of the gradient; one more of Newton's steps would square the distance left


@dataclass(frozen=True)
class Linear:
    """A linear score: `features @ weight + bias`."""

    weight: Numbers
    bias: float

    def __call__(self, features: npt.NDArray[np.floating]) -> Numbers:
        """Scores [N] of features [N, D]."""
        scores: Numbers = features @ self.weight + self.bias
        return scores

    def before(self, basis: Numbers) -> "Linear":
        """The same score for features that `basis` [E, D] was applied to."""
        return Linear(basis @ self.weight, self.bias)


def sigmoid(values: Numbers) -> Numbers:
    """1 / (1 + exp(-x)), without overflow."""
    result: Numbers = 0.5 * (1 + np.tanh(0.5 * values))
    return result


def log_losses(scores: Numbers, answers: Answers | Numbers) -> Numbers:
    """-log p(answer) of each, from scores before the sigmoid [..., N]."""
    losses: Numbers = np.logaddexp(0, scores) - scores * answers
    return losses


def log_loss(scores: Numbers, answers: Answers | Numbers, weights: Numbers) -> float:
    """Weighted mean of `log_losses`."""
    return float(np.average(log_losses(scores, answers), weights=weights))


def balanced_weights(answers: Answers) -> Numbers:
    """Weights [N] with mean 1 that give yes and no the same total; equal ones if one is missing."""
    share = answers.mean()
    if share in (0, 1):
        return np.ones(len(answers))
    weights: Numbers = np.where(answers, 0.5 / share, 0.5 / (1 - share))
    return weights


def fit_logistic(
    features: Numbers,
    answers: Answers | Numbers,
    weights: Numbers,
    l2: float,
    start: Linear | None = None,
) -> Linear:
    """Minimise the weighted mean log loss plus l2/2 |w|², the bias being free.

    Newton's method with halved steps: it ends at the one optimum whatever the start, so that
    results repeat to the last digits that matter.

    Args:
        features: float64 [N, D].
        answers: Yes or no, or targets in 0-1 [N].
        weights: Of each example [N].
        l2: Strength of the penalty, > 0.
        start: Where to start, for example the optimum for another l2.
    """
    design = np.column_stack([features, np.ones(len(features))])
    penalty = np.append(np.full(features.shape[1], l2), 0.0)
    share = weights / weights.sum()
    theta = np.append(start.weight, start.bias) if start else np.zeros(design.shape[1])
    targets = answers.astype(np.float64)

    def objective(at: Numbers) -> float:
        return log_loss(design @ at, targets, weights) + 0.5 * float(penalty @ at**2)

    value = objective(theta)
    for _ in range(_MAX_STEPS):
        chance = sigmoid(design @ theta)
        gradient = design.T @ (share * (chance - targets)) + penalty * theta
        if np.abs(gradient).max() < _TOLERANCE:
            break
        curvature = (design.T * (share * chance * (1 - chance))) @ design + np.diag(penalty)
        # The bias is not penalised; the tiny ridge keeps saturated data solvable.
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(theta)), gradient)
        size = 1.0
        while (new := objective(theta - size * step)) > value and size > 1e-6:
            size /= 2
        if new >= value:
            break
        theta, value = theta - size * step, new
    return Linear(theta[:-1], float(theta[-1]))


def fit_platt(scores: Numbers, answers: Answers) -> tuple[float, float]:
    """Slope and offset that turn scores into probabilities, σ(slope · score + offset).

    Platt, Probabilistic outputs for support vector machines (1999), with his smoothed targets:
    nothing is called certain that a few examples cannot show.
    """
    positives, negatives = int(answers.sum()), int((~answers).sum())
    targets = np.where(answers, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    scale = float(scores.std()) or 1.0
    line = fit_logistic((scores / scale)[:, None], targets, np.ones(len(scores)), l2=1e-6)
    # A falling line would turn the head's answer round; without any evidence it is flat.
    return max(float(line.weight[0]) / scale, 0.0), line.bias
