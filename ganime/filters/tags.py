"""Tags are free: what they say need not be measured."""

import numpy as np
from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts


@FILTERS.register("tags")
class Tags(Filter):
    """Drop images whose posts carry a tag that rules them out."""

    exclude: tuple[str, ...] = Field(
        (
            "comic",
            "4koma",
            "multiple_views",
            "character_sheet",
            "reference_sheet",
            "chibi_inset",
            "monochrome",
            "greyscale",
            "ai-generated",
        ),
        description="Tags that rule an image out.",
    )

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        excluded = frozenset(self.exclude)
        found = {i: sorted(excluded & tags) for i, tags in enumerate(facts.tags) if excluded & tags}
        drop = np.zeros(len(facts.image_ids), bool)
        drop[list(found)] = True
        return Verdicts(
            drop=drop,
            abstain=np.zeros_like(drop),
            reason="excluded_tag",
            evidence={i: {"tags": tags} for i, tags in found.items()},
        )
