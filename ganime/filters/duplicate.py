"""Near-duplicates: the best of each group stays."""

import numpy as np
from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts


@FILTERS.register("duplicate")
class DuplicateOf(Filter):
    """Keep the best image of each group of near-duplicates.

    It looks only at images no earlier rule dropped, so what is kept instead really is in the
    dataset; put it last.
    """

    similarity: float = Field(
        0.85, ge=0, le=1, description="Wanted similarity of the thumbnails to call it the same."
    )

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        index = {image_id: i for i, image_id in enumerate(facts.image_ids)}
        living = [facts.image_ids[i] for i in np.flatnonzero(alive)]
        duplicates = facts.duplicates(living, self.similarity)
        drop = np.zeros(len(facts.image_ids), bool)
        score = np.full(len(facts.image_ids), np.nan)
        evidence = {}
        for image_id, duplicate in duplicates.items():
            i = index[image_id]
            drop[i] = True
            score[i] = duplicate.similarity
            evidence[i] = {
                "kept": duplicate.kept,
                "hamming": duplicate.hamming,
                "mirrored": duplicate.mirrored,
            }
        return Verdicts(
            drop=drop,
            abstain=~alive,
            reason="near_duplicate",
            abstain_reason="dropped_before",
            score=score,
            threshold=self.similarity,
            evidence=evidence,
        )
