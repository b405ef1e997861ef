"""A calibrated yes/no head on frozen features, learned from a few sure and many weak answers.

Held-out scores are nested: for each fold all of the fitting (standardisation, kind and penalty,
doubts, calibration) is done again without it, so that its figures owe nothing to its answers.

Weak answers come from tags, and tags are incomplete: an image without the tag may well be a yes.
What the held-out scores contradict confidently is set aside and the head refitted, as in confident
learning (Northcutt, Jiang, Chuang, 1911.00068), but with calibrated chances: their threshold, the
mean score of the examples called yes, sets half of the data aside where features say nothing.
People's answers are never set aside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ganime.classifiers.folds import assign_folds
from ganime.classifiers.logistic import Answers, Numbers, fit_platt, sigmoid
from ganime.classifiers.selection import (
    Folds,
    Kind,
    Scorer,
    Selected,
    better,
    cross_validate,
    learn,
)
from ganime.config import Config

Features = npt.NDArray[np.float32]
_DIGITS = 9  # of stored scores: what differs beyond them is the number of threads


class HeadConfig(Config):
    """How a head is fitted."""

    kind: Literal["auto", "linear", "mlp"] = Field(
        "auto",
        description="auto takes the network of one hidden layer where its held-out loss is clearly "
        "lower than that of the line.",
    )
    folds: int = Field(5, ge=2, le=20, description="Parts of the cross-validation.")
    l2: tuple[float, ...] = Field(
        (1.0, 0.3, 0.1, 0.03, 0.01, 0.003),
        min_length=1,
        description="Penalties to choose from by cross-validation, of a linear head.",
    )
    mlp_l2: tuple[float, ...] = Field((0.003,), min_length=1, description="The same of a network.")
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
        scorer: On standardised features.
        slope: Of the calibration.
        offset: Of the calibration.
    """

    mean: Numbers
    scale: Numbers
    scorer: Scorer
    slope: float
    offset: float

    def scores(self, features: Features) -> Numbers:
        """Calibrated probabilities of yes [N] in 0-1."""
        logits = self.scorer((features - self.mean) / self.scale)
        return calibrated(logits, self.slope, self.offset)


@dataclass(frozen=True)
class Fitted:
    """A head and how it did on examples while they were held out.

    Attributes:
        head: The head, fitted on all examples but those set aside.
        held_out: Score of each example by a head fitted and calibrated without its fold [N].
        set_aside: Weak answers taken out of the training as probably wrong [N].
        kind: Of the head.
        l2: The penalty that was chosen.
        folds: Fold of each example [N].
    """

    head: Head
    held_out: Numbers
    set_aside: Answers
    kind: Kind
    l2: float
    folds: Folds


def fit_head(examples: Examples, config: HeadConfig, *, seed: int) -> Fitted:
    """Fit a head, and one more for each fold to judge it by.

    Args:
        examples: At least two of either answer.
        config: How.
        seed: Of the folds, and of a network's start.
    """
    # A network's steps follow the order of the examples: they are taken by their keys.
    order = np.argsort(np.array(examples.keys), kind="stable")
    ordered = _subset(examples, order)
    folds = _folds(ordered, config, seed)
    whole, set_aside, selected = _fit(ordered, folds, config, seed)
    held_out = np.empty(len(order))
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        others = _subset(ordered, np.flatnonzero(~out))
        head, _, _ = _fit(others, _folds(others, config, seed), config, seed)
        held_out[out] = head.scores(ordered.features[out])
    back = np.argsort(order)
    return Fitted(
        head=whole,
        held_out=held_out[back],
        set_aside=set_aside[back],
        kind=selected.kind,
        l2=selected.l2,
        folds=folds[back],
    )


def standardise(features: Features, components: int) -> tuple[Numbers, Numbers, Numbers]:
    """What brings features to one scale, and the directions in which they then differ most.

    Args:
        features: float32 [N, D].
        components: How many directions; no more than there are.

    Returns:
        Mean and deviation [D], and the leading directions of the standardised features [D, K].
    """
    mean = features.mean(axis=0, dtype=np.float64)
    scale = features.std(axis=0, dtype=np.float64)
    scale = np.where(scale > 1e-6, scale, 1.0)
    standardised = (features - mean) / scale
    num, dim = features.shape
    if num < dim:  # the same directions from the smaller matrix of the examples' products
        values, members = np.linalg.eigh(standardised @ standardised.T)
        # Centred examples span one direction less than there are of them.
        real = values > 1e-9 * float(values[-1])
        real[-1] = True  # equal examples have one direction too, if a useless one
        directions = standardised.T @ (members[:, real] / np.sqrt(np.maximum(values[real], 1e-9)))
    else:
        _, directions = np.linalg.eigh(standardised.T @ standardised)
    return mean, scale, directions[:, ::-1][:, :components]


def calibrated(logits: Numbers, slope: float, offset: float) -> Numbers:
    """Probabilities in 0-1 from a head's raw scores."""
    return np.round(sigmoid(slope * logits + offset), _DIGITS)


def _fit(
    examples: Examples, folds: Folds, config: HeadConfig, seed: int
) -> tuple[Head, Answers, Selected]:
    """A head of all examples but those set aside, calibrated on their scores held out."""
    answers = examples.answers
    mean, scale, basis = standardise(examples.features, config.components)
    inputs = ((examples.features - mean) / scale) @ basis
    used = ~_doubtful(examples, inputs, folds, config, seed)
    selected = _select(inputs, answers, used, folds, config, seed)
    scorer = learn(selected.kind, [selected.l2], inputs[used], answers[used], seed)[0]
    slope, offset = fit_platt(selected.logits[used], answers[used])
    return Head(mean, scale, scorer.before(basis), slope, offset), ~used, selected


def _doubtful(
    examples: Examples, inputs: Numbers, folds: Folds, config: HeadConfig, seed: int
) -> Answers:
    """Weak answers to set aside [N]: what a linear head, held out, contradicts."""
    answers = examples.answers
    weak_no = ~answers & ~examples.sure
    set_aside = np.zeros(len(answers), bool)
    if not weak_no.any():
        return set_aside
    penalties: tuple[float, ...] = config.l2
    for _ in range(config.clean_rounds):
        used = ~set_aside
        found = cross_validate("linear", penalties, inputs, answers, used, folds, seed)
        penalties = (found.l2,)
        chance = calibrated(found.logits, *fit_platt(found.logits[used], answers[used]))
        # Only a no is doubted: a tag is often forgotten, but seldom added by mistake.
        suspects = weak_no & (chance >= config.doubt)
        if np.array_equal(suspects, set_aside):
            break
        set_aside = suspects
    return set_aside


def _select(
    inputs: Numbers, answers: Answers, used: Answers, folds: Folds, config: HeadConfig, seed: int
) -> Selected:
    """Kind and penalty; cleaner answers may bear a weaker one than the doubts were found with."""
    if config.kind == "mlp":
        return cross_validate("mlp", config.mlp_l2, inputs, answers, used, folds, seed)
    line = cross_validate("linear", config.l2, inputs, answers, used, folds, seed)
    if config.kind == "linear":
        return line
    network = cross_validate("mlp", config.mlp_l2, inputs, answers, used, folds, seed)
    return better(line, network)


def _folds(examples: Examples, config: HeadConfig, seed: int) -> Folds:
    return assign_folds(
        examples.keys, examples.answers, examples.groups, folds=config.folds, seed=seed
    )


def _subset(examples: Examples, chosen: npt.NDArray[np.int64]) -> Examples:
    return Examples(
        [examples.keys[i] for i in chosen],
        examples.features[chosen],
        examples.answers[chosen],
        examples.sure[chosen],
        [examples.groups[i] for i in chosen],
    )
