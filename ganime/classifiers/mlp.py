"""A network of one hidden layer as a head, where no plane parts yes from no."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganime.classifiers.logistic import Answers, Numbers, balanced_weights, sigmoid

_HIDDEN = 32  # units; a head has far fewer examples than a network
_STEPS = 150
_BATCH = 256  # examples per step; fewer than that are all shown in each
_RATE = 0.01  # peak, falling to nothing along a cosine
_DECAYS = (0.9, 0.999)  # of Adam's two means (Kingma, Ba 2014, 1412.6980)


@dataclass(frozen=True)
class Mlp:
    """A score by hidden units: `tanh(features @ hidden_weight + hidden_bias) @ weight + bias`.

    Attributes:
        hidden_weight: [D, U].
        hidden_bias: [U].
        weight: [U].
        bias: One number.
    """

    hidden_weight: Numbers
    hidden_bias: Numbers
    weight: Numbers
    bias: float

    def __call__(self, features: npt.NDArray[np.floating]) -> Numbers:
        """Scores [N] of features [N, D]."""
        hidden = np.tanh(features @ self.hidden_weight + self.hidden_bias)
        scores: Numbers = hidden @ self.weight + self.bias
        return scores

    def before(self, basis: Numbers) -> "Mlp":
        """The same network for features that `basis` [E, D] was applied to."""
        return Mlp(basis @ self.hidden_weight, self.hidden_bias, self.weight, self.bias)


def fit_mlp(features: Numbers, answers: Answers, l2: float, seed: int) -> Mlp:
    """Minimise the class-balanced log loss plus l2/2 |weights|² by Adam.

    Equal arguments give equal networks: start and batches come from the seed.

    Args:
        features: float64 [N, D], centred.
        answers: Yes or no, both among them [N].
        l2: Strength of the penalty; the biases are free.
        seed: Of the start and of the batches.
    """
    rng = np.random.default_rng(seed)
    # Steps have one size in all directions: the inputs are brought near 1, and the change of
    # scale goes into the weights at the end.
    scale = float(np.sqrt(np.mean(features**2))) or 1.0
    dim = features.shape[1]
    values = [
        rng.normal(size=(dim, _HIDDEN)) / np.sqrt(dim),
        np.zeros(_HIDDEN),
        rng.normal(size=_HIDDEN) / np.sqrt(_HIDDEN),
        np.zeros(1),
    ]
    means = [np.zeros_like(value) for value in values]
    squares = [np.zeros_like(value) for value in values]
    weights = balanced_weights(answers)
    for step in range(_STEPS):
        few = len(features) <= _BATCH
        chosen = slice(None) if few else rng.integers(0, len(features), _BATCH)
        slopes = _gradient(values, features[chosen] / scale, answers[chosen], weights[chosen], l2)
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * step / _STEPS))
        for value, slope, mean, square in zip(values, slopes, means, squares, strict=True):
            mean += (1 - _DECAYS[0]) * (slope - mean)
            square += (1 - _DECAYS[1]) * (slope**2 - square)
            middle = mean / (1 - _DECAYS[0] ** (step + 1))
            spread = np.sqrt(square / (1 - _DECAYS[1] ** (step + 1)))
            value -= rate * middle / (spread + 1e-8)
    return Mlp(values[0] / scale, values[1], values[2], float(values[3][0]))


def _gradient(
    values: list[Numbers], inputs: Numbers, answers: Answers, weights: Numbers, l2: float
) -> list[Numbers]:
    """Of the penalised loss of one batch, for each of the network's arrays."""
    first, first_bias, second, bias = values
    hidden = np.tanh(inputs @ first + first_bias)
    error = weights * (sigmoid(hidden @ second + bias) - answers) / len(inputs)
    back = np.outer(error, second) * (1 - hidden**2)
    return [
        inputs.T @ back + l2 * first,
        back.sum(axis=0),
        hidden.T @ error + l2 * second,
        error.sum(keepdims=True),
    ]
