"""Figures that the frame cuts off: portraits, cowboy shots, crops."""

import dataclasses
from typing import Literal

import numpy as np
from pydantic import Field

from ganime.filters import FILTERS, Facts, Filter, Flags, Verdicts, above, where_clean

Side = Literal["left", "top", "right", "bottom"]


@FILTERS.register("cut_off")
class CutOff(Filter):
    """Keep images whose figure lies within the frame.

    It abstains where the ground is not clean, as a figure cannot be told from it there.
    """

    share: float = Field(
        0.12,
        ge=0,
        le=1,
        description="Share of a side of the frame that a figure may touch. Hair or petals at the "
        "frame take up to 0.1; of figures whose feet or shins the frame cuts, 92 of 100 more, as "
        "do 12 of 100 whole ones in a picture cropped without any margin.",
    )
    sides: tuple[Side, ...] = Field(
        ("left", "top", "right", "bottom"),
        min_length=1,
        description="The sides that are looked at.",
    )
    ground: float = Field(
        0.6, ge=0, le=1, description="With less of the border close to its median, it abstains."
    )

    QUESTION = "cut_off"

    def judge(self, facts: Facts, alive: Flags) -> Verdicts:
        """See `Filter.judge`."""
        touched = np.stack([facts.columns[f"touched_{side}"] for side in self.sides])
        most = where_clean(touched.max(axis=0), facts, self.ground)
        verdicts = above(most, self.share, "cut_off")
        # The widest touch decides; which side it was is worth knowing.
        return dataclasses.replace(
            verdicts,
            abstain_reason="no_clean_ground",
            evidence={
                int(i): {"side": self.sides[int(touched[:, i].argmax())]}
                for i in np.flatnonzero(verdicts.drop)
            },
        )
