"""Pictures without colours: greyscale, sepia, one ink, line art."""

from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, below


@FILTERS.register("monochrome")
class Monochrome(Filter):
    """Keep images of more than one hue; not every monochrome one is tagged so."""

    spread: float = Field(
        0.8,
        ge=0,
        le=128,
        description="Wanted standard deviation of chroma across its main axis, levels of 255. Grey "
        "and yellowed paper stay below 0.8, sepia and single inks below 1.6; but so does 1 of 40 "
        "drawings, of grey clothes and brown hair, with less than 1.4.",
    )

    QUESTION = "monochrome"

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        return below(facts.columns["colour_spread"], self.spread, "monochrome")
