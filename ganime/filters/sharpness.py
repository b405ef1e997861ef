"""Blurred pictures: enlarged from small ones, or saved too often."""

from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, below


@FILTERS.register("sharpness")
class Sharpness(Filter):
    """Keep images whose small copy has edges; soft shading on a plain ground has few of them."""

    variance: float = Field(
        60.0,
        ge=0,
        description="Wanted variance of the Laplacian of the grey image at 256 px. Drawings of "
        "whole figures have 900 and more, soft portraits 300; those enlarged from 128 px 160 to "
        "390, from 96 px less than 200, from 64 px less than 75.",
    )

    QUESTION = "blurred"

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        return below(facts.columns["sharpness"], self.variance, "blurred")
