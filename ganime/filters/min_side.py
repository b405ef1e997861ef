"""Images too small to train on."""

import numpy as np
from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, below


@FILTERS.register("min_side")
class MinSide(Filter):
    """Keep images whose longer side is long enough: it is the one that padding scales."""

    pixels: int = Field(128, gt=0, description="Wanted length of the longer side [px].")

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        side = np.maximum(facts.columns["width"], facts.columns["height"])
        return below(side, self.pixels, "too_small")
