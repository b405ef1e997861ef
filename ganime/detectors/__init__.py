"""Networks and cascades that find faces: pixels in, boxes out."""

from collections.abc import Callable
from typing import NamedTuple

from pydantic import Field

from ganime.images import Pixels
from ganime.registry import Component, Registry


class Box(NamedTuple):
    """A rectangle of pixels; right and bottom are the first column and row outside of it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


Find = Callable[[Pixels], list[Box]]


class Detector(Component):
    """Base of all detectors."""

    side: int = Field(
        512,
        ge=64,
        le=4096,
        description="Larger images are searched at this length of their longer side [px].",
    )

    def identity(self) -> str:
        """All that decides its boxes, as text: detectors of equal identity find the same.

        Raises:
            WeightsError: its weights are missing; says how to give them.
        """
        return self.canonical()

    def load(self) -> Find:
        """Make ready to search.

        Returns:
            A function that finds the boxes, in any order, in uint8 sRGB [H, W, 3], in pixels of
            that image. Many threads may call it at once; equal pixels give equal boxes.

        Raises:
            WeightsError: its weights are missing or do not fit; says how to give them.
        """
        raise NotImplementedError


DETECTORS: Registry[Detector] = Registry(Detector, "ganime.detectors")
