"""A calibrated yes/no head on frozen features, learned from a few sure and many weak answers.

Weak answers come from tags, and tags are incomplete: an image without the tag may well be a yes.
What the held-out scores contradict confidently is set aside and the head refitted, as in confident
learning (Northcutt, Jiang, Chuang, 1911.00068), but with calibrated chances: their threshold, the
mean score of the examples called yes, sets half of the data aside where features say nothing.
People's answers are never set aside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ganime.classifiers.figures import choose_threshold
from ganime.classifiers.folds import assign_folds
from ganime.classifiers.logistic import (
    Answers,
    Linear,
    Numbers,
    balanced_weights,
    fit_logistic,
    fit_platt,
    log_loss,
    sigmoid,
)
from ganime.config import Config

Features = npt.NDArray[np.float32]
_DIGITS = 9  # of stored scores: what differs beyond them is the number of threads


class HeadConfig(Config):
    """How a head is fitted."""

    folds: int = Field(5, ge=2, le=20, description="Parts of the cross-validation.")
    l2: tuple[float, ...] = Field(
        (1.0, 0.3, 0.1, 0.03, 0.01, 0.003),
        min_length=1,
        description="Penalties to choose from by cross-validation.",
    )
    components: int = Field(
        128, ge=1, description="Leading components of the standardised features that are used."
    )
    clean_rounds: int = Field(
        2, ge=0, description="How often weak answers that look wrong are set aside."
    )
    doubt: float = Field(
        0.5,
        ge=0.5,
        le=1,
        description="A weak no is set aside when so many of the images that look like it are yes.",
    )


@dataclass(frozen=True)
class Examples:
    """What a head learns from.

    Attributes:
        keys: Name of each example [N].
        features: float32 [N, D].
        answers: Yes or no [N].
        sure: Said by a person [N].
        groups: Those of one group stay in one fold [N].
    """

    keys: Sequence[str]
    features: Features
    answers: Answers
    sure: Answers
    groups: Sequence[str]


@dataclass(frozen=True)
class Head:
    """Standardise, weigh, calibrate.

    Attributes:
        mean: Of the features [D].
        scale: Their deviation [D].
        linear: On standardised features.
        slope: Of the calibration.
        offset: Of the calibration.
    """

    mean: Numbers
    scale: Numbers
    linear: Linear
    slope: float
    offset: float

    def scores(self, features: Features) -> Numbers:
        """Calibrated probabilities of yes [N] in 0-1."""
        logits = self.linear((features - self.mean) / self.scale)
        return calibrated(logits, self.slope, self.offset)


@dataclass(frozen=True)
class Fitted:
    """A head and how it did on examples while they were held out.

    Attributes:
        head: The head, fitted on all examples but those set aside.
        held_out: Calibrated score of each example by heads that did not see it [N].
        set_aside: Weak answers taken out of the training as probably wrong [N].
        threshold: Yes is above it.
        l2: The penalty that was chosen.
        folds: Fold of each example [N].
    """

    head: Head
    held_out: Numbers
    set_aside: Answers
    threshold: float
    l2: float
    folds: npt.NDArray[np.int64]


def fit_head(
    examples: Examples, config: HeadConfig, *, seed: int, min_precision: float | None = None
) -> Fitted:
    """Fit a head.

    Args:
        examples: At least two of either answer.
        config: How.
        seed: Of the folds.
        min_precision: See `choose_threshold`.
    """
    answers = examples.answers
    folds = assign_folds(examples.keys, answers, examples.groups, folds=config.folds, seed=seed)
    mean, scale, basis = _standardise(examples.features, config.components)
    inputs = ((examples.features - mean) / scale) @ basis
    set_aside = np.zeros(len(answers), bool)
    l2, logits = _cross_validate(inputs, answers, ~set_aside, folds, config.l2)
    for _ in range(config.clean_rounds):
        chance = calibrated(logits, *fit_platt(logits[~set_aside], answers[~set_aside]))
        # Only a no is doubted: a tag is often forgotten, but seldom added by mistake.
        suspects = ~answers & ~examples.sure & (chance >= config.doubt)
        if np.array_equal(suspects, set_aside):
            break
        set_aside = suspects
        l2, logits = _cross_validate(inputs, answers, ~set_aside, folds, (l2,))
    if set_aside.any():  # cleaner answers may bear a weaker penalty
        l2, logits = _cross_validate(inputs, answers, ~set_aside, folds, config.l2)
    used = ~set_aside
    linear = fit_logistic(inputs[used], answers[used], balanced_weights(answers[used]), l2)
    slope, offset = fit_platt(logits[used], answers[used])
    held_out = calibrated(logits, slope, offset)
    return Fitted(
        head=Head(mean, scale, Linear(basis @ linear.weight, linear.bias), slope, offset),
        held_out=held_out,
        set_aside=set_aside,
        threshold=choose_threshold(held_out[used], answers[used], min_precision),
        l2=l2,
        folds=folds,
    )


def calibrated(logits: Numbers, slope: float, offset: float) -> Numbers:
    """Probabilities in 0-1 from a head's raw scores."""
    return np.round(sigmoid(slope * logits + offset), _DIGITS)


def _standardise(features: Features, components: int) -> tuple[Numbers, Numbers, Numbers]:
    """Mean and deviation [D], and the leading directions of the standardised features [D, K]."""
    mean = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-6, scale, 1.0)
    standardised = (features - mean) / scale
    _, directions = np.linalg.eigh(standardised.T @ standardised / len(features))
    # Fewer examples than components span fewer directions.
    return mean, scale, directions[:, ::-1][:, : min(components, len(features))]


def _cross_validate(
    inputs: Numbers,
    answers: Answers,
    used: Answers,
    folds: npt.NDArray[np.int64],
    penalties: Sequence[float],
) -> tuple[float, Numbers]:
    """The penalty with the least held-out loss, and all held-out scores under it [N]."""
    weights = np.zeros(len(answers))
    weights[used] = balanced_weights(answers[used])
    penalties = sorted(penalties, reverse=True)
    held_out = np.zeros((len(penalties), len(answers)))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        learn = used & ~out
        line = None
        for i, l2 in enumerate(penalties):
            balance = balanced_weights(answers[learn])
            line = fit_logistic(inputs[learn], answers[learn], balance, l2, start=line)
            held_out[i, out] = line(inputs[out])
    losses = [log_loss(scores, answers, weights) for scores in held_out]
    best = int(np.argmin(losses))
    return penalties[best], held_out[best]
