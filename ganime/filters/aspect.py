"""Images so long or so wide that a square holds mostly padding."""

import numpy as np
from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, above


@FILTERS.register("aspect")
class Aspect(Filter):
    """Keep images whose longer side is not too long for the shorter one."""

    ratio: float = Field(5.0, ge=1, description="Longest allowed longer side per shorter side.")

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        width, height = facts.columns["width"], facts.columns["height"]
        ratio = np.maximum(width, height) / np.minimum(width, height)
        return above(ratio, self.ratio, "too_elongated")
