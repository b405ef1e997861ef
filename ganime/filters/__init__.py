"""Rules that decide: pure functions of facts, on whole columns, so that millions take seconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ganime.duplicates import Duplicate
from ganime.registry import Component, Registry
from ganime.store.word_sets import WordSets

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
DuplicateFinder = Callable[[Sequence[str], float], Mapping[str, Duplicate]]


@dataclass(frozen=True)
class Score:
    """One classifier's answers about all images.

    Attributes:
        values: Calibrated probabilities [N], 0-1; NaN where there is none.
        threshold: The classifier's own choice.
    """

    values: Numbers
    threshold: float


@dataclass(frozen=True)
class Facts:
    """All that the rules may look at, as columns over N images.

    Attributes:
        image_ids: SHA-256 of the originals [N].
        columns: Columns of `ganime.rows.ImageRow` [N]; NaN where an image has no such fact.
        problems: Why an image cannot be used, else None [N].
        tags: Union of the tags of its posts [N].
        scores: By question.
        duplicates: Which of the given ids to drop as near-duplicates, at a similarity.
    """

    image_ids: list[str]
    columns: Mapping[str, Numbers]
    problems: list[str | None]
    tags: WordSets
    scores: Mapping[str, Score]
    duplicates: DuplicateFinder


@dataclass(frozen=True)
class Verdicts:
    """One rule's verdicts on N images.

    Attributes:
        drop: True where the image must go [N].
        abstain: True where the rule cannot tell [N].
        reason: Code for the dropped.
        abstain_reason: Code for those it cannot tell.
        score: What was measured [N], NaN where nothing was.
        threshold: What it was held against.
        reasons: Code of single images where it differs from `reason`, by index.
        evidence: More on single images, by index; becomes JSON.
        decided_by: `rule` or `classifier`.
    """

    drop: Flags
    abstain: Flags
    reason: str
    abstain_reason: str = "no_fact"
    score: Numbers | None = None
    threshold: float | None = None
    reasons: Mapping[int, str] = field(default_factory=dict)
    evidence: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    decided_by: str = "rule"


class Filter(Component):
    """Base of all rules."""

    QUESTION: ClassVar[str] = ""

    @property
    def rule(self) -> str:
        """Name of the rule in decisions."""
        return self.component

    @property
    def question(self) -> str:
        """What a person may be asked instead; yes means drop. Empty if people are not asked."""
        return self.QUESTION

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """Judge all images.

        Args:
            facts: Columns over N images.
            alive: Those that no earlier rule dropped [N]; rules about sets look at these alone.
        """
        raise NotImplementedError


def below(values: Numbers, threshold: float, reason: str) -> Verdicts:
    """Drop where a value is below the threshold; abstain where there is none."""
    unknown = np.isnan(values)
    return Verdicts(
        drop=(values < threshold) & ~unknown,
        abstain=unknown,
        reason=reason,
        score=values,
        threshold=threshold,
    )


def above(values: Numbers, threshold: float, reason: str) -> Verdicts:
    """Drop where a value is above the threshold; abstain where there is none."""
    unknown = np.isnan(values)
    return Verdicts(
        drop=(values > threshold) & ~unknown,
        abstain=unknown,
        reason=reason,
        score=values,
        threshold=threshold,
    )


def where_clean(values: Numbers, facts: Facts, fraction: float) -> Numbers:
    """Values [N] about figures on a ground; NaN where the ground is not clean.

    Args:
        values: What was measured.
        facts: Of the same images.
        fraction: Of the border that must be close to its median, 0-1.
    """
    clean = facts.columns["background_fraction"] >= fraction
    return np.where(clean, values, np.nan)


FILTERS: Registry[Filter] = Registry(Filter, "ganime.filters")
