"""Flashy backgrounds."""

from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, below


@FILTERS.register("background")
class Background(Filter):
    """Keep images whose border is mostly one colour."""

    fraction: float = Field(
        0.7, ge=0, le=1, description="Wanted share of border pixels close to the border's median."
    )

    QUESTION = "background"

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        return below(facts.columns["background_fraction"], self.fraction, "flashy_background")
