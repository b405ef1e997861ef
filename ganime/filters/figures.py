"""Several figures on one ground: groups, views of one character, insets."""

import dataclasses

from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, above, where_clean


@FILTERS.register("figures")
class Figures(Filter):
    """Keep images with few separate figures; those that touch each other count as one.

    It abstains where the ground is not clean, as figures cannot be told from it there.
    """

    most: int = Field(1, ge=1, description="Most large parts that lie apart on the ground.")
    ground: float = Field(
        0.6, ge=0, le=1, description="With less of the border close to its median, it abstains."
    )

    QUESTION = "multiple"

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        figures = where_clean(facts.columns["figures"], facts, self.ground)
        verdicts = above(figures, self.most, "several_figures")
        return dataclasses.replace(verdicts, abstain_reason="no_clean_ground")
