"""Tags are free: what they say need not be measured."""

import numpy as np
from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts

# What `solo` and `1girl` do not rule out, or does move.
PITFALLS = (
    "comic",
    "4koma",
    "multiple_views",
    "character_sheet",
    "reference_sheet",
    "chibi_inset",
    "monochrome",
    "greyscale",
    "ai-generated",
    "animated",
)


@FILTERS.register("tags")
class Tags(Filter):
    """Drop images whose posts carry a tag that rules them out.

    Sites spell differently: case does not count, and spaces, hyphens and underscores are equal.
    """

    exclude: tuple[str, ...] = Field(PITFALLS, description="Tags that rule an image out.")
    also: tuple[str, ...] = Field((), description="More of them, beside those of `exclude`.")

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        excluded = {_plain(tag) for tag in (*self.exclude, *self.also)}
        # Millions of images share some thousands of tags: each is spelt plainly once.
        found = facts.tags.holding({tag for tag in facts.tags.words if _plain(tag) in excluded})
        drop = np.zeros(len(facts.image_ids), bool)
        drop[list(found)] = True
        return Verdicts(
            drop=drop,
            abstain=np.zeros_like(drop),
            reason="excluded_tag",
            evidence={i: {"tags": tags} for i, tags in found.items()},
        )


def _plain(tag: str) -> str:
    return tag.casefold().replace(" ", "_").replace("-", "_")
