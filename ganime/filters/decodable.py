"""Files that do not decode whole cannot be used."""

import numpy as np

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts


@FILTERS.register("decodable")
class Decodable(Filter):
    """Keep what decodes whole; the reason is the decoder's."""

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        problems = {i: problem for i, problem in enumerate(facts.problems) if problem}
        drop = np.zeros(len(facts.image_ids), bool)
        drop[list(problems)] = True
        return Verdicts(
            drop=drop, abstain=np.zeros_like(drop), reason="undecodable", reasons=problems
        )
