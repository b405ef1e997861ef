"""What a classifier says: chibi, more than one character, odd viewpoint."""

import numpy as np
from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, above


@FILTERS.register("classified")
class Classified(Filter):
    """Drop images for which a classifier answers yes to a question."""

    ask: str = Field(description="The question, for example chibi.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="Drop above this score; empty takes the classifier's own."
    )

    @property
    def rule(self) -> str:
        """The question is the rule's name."""
        return self.ask

    @property
    def question(self) -> str:
        """People are asked what the classifier is asked."""
        return self.ask

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        score = facts.scores.get(self.ask)
        if score is None:
            nothing = np.zeros(len(facts.image_ids), bool)
            return Verdicts(
                drop=nothing,
                abstain=~nothing,
                reason=self.ask,
                abstain_reason="no_classifier",
                decided_by="classifier",
            )
        threshold = score.threshold if self.threshold is None else self.threshold
        by_score = above(score.values, threshold, self.ask)
        return Verdicts(
            drop=by_score.drop,
            abstain=by_score.abstain,
            reason=self.ask,
            abstain_reason="no_score",
            score=by_score.score,
            threshold=threshold,
            decided_by="classifier",
        )
