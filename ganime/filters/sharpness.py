"""Blurred pictures: enlarged from small ones, or saved too often."""

from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, below


@FILTERS.register("sharpness")
class Sharpness(Filter):
    """Keep images whose small copy has edges; soft shading on a plain ground has few of them."""

    variance: float = Field(
        60.0,
        ge=0,
        description="Wanted variance of the Laplacian of the grey image at 256 px. Drawings have "
        "1000 and more, those enlarged from 128 px some 200, from 64 px less than 60.",
    )

    QUESTION = "blurred"

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        return below(facts.columns["sharpness"], self.variance, "blurred")
