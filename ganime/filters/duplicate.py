"""Near-duplicates: the best of each group stays."""

from collections import Counter
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ganime.duplicates import Duplicate
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
    variants: Literal["drop", "keep"] = Field(
        "drop",
        description="What becomes of other states of one drawing on the same canvas (expressions, "
        "small recolourings): drop counts them as copies, keep keeps the best of each state.",
    )
    max_group: int = Field(
        100,
        ge=2,
        description="A larger group is no group of copies but of pictures too plain to tell apart; "
        "all of it is kept, with the group as evidence.",
    )

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        living = [facts.image_ids[i] for i in np.flatnonzero(alive)]
        duplicates = self._duplicates(facts, living)
        sizes = Counter(duplicate.kept for duplicate in duplicates.values())
        index = {image_id: i for i, image_id in enumerate(facts.image_ids)}
        drop = np.zeros(len(facts.image_ids), bool)
        score = np.full(len(facts.image_ids), np.nan)
        evidence: dict[int, dict[str, Any]] = {}
        for image_id, duplicate in duplicates.items():
            i = index[image_id]
            score[i] = duplicate.similarity
            size = sizes[duplicate.kept] + 1
            if size > self.max_group:
                evidence[i] = {"large_group_of": duplicate.kept, "size": size}
                continue
            drop[i] = True
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

    def _duplicates(self, facts: Facts, image_ids: list[str]) -> dict[str, Duplicate]:
        """Which to drop; variants, where they are to be kept, are grouped among themselves."""
        duplicates: dict[str, Duplicate] = {}
        while image_ids:
            found = facts.duplicates(image_ids, self.similarity)
            # Of every group the best is no variant, so that each round has fewer.
            image_ids = sorted(
                image_id
                for image_id, duplicate in found.items()
                if duplicate.variant and self.variants == "keep"
            )
            states = set(image_ids)
            duplicates |= {k: v for k, v in found.items() if k not in states}
        return duplicates
