"""Transparent pictures: cut-outs, and overlays with next to nothing on them."""

from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, above


@FILTERS.register("alpha")
class Alpha(Filter):
    """Keep images that are opaque enough; what is transparent becomes white when it is padded."""

    fraction: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Allowed share of pixels that are not fully opaque; 0 keeps opaque images "
        "only. Slender figures that were cut out have up to 0.8.",
    )

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        return above(facts.columns["alpha_fraction"], self.fraction, "transparent")
