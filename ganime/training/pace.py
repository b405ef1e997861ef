"""How fast a run goes, and how long it has to go."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands.

    Attributes:
        nimg: Real images shown so far, those before a resume included.
        total: Real images to show.
        images_per_second: Real images shown per second, lately.
        eta_s: Time to go [s] at that rate.
        losses: Means of the last row of metrics, by name.
    """

    nimg: int
    total: int
    images_per_second: float
    eta_s: float
    losses: Mapping[str, float] = field(default_factory=dict)


class Pace:
    """Images per second over the last stretch of a run."""

    def __init__(self, nimg: int) -> None:
        self._marks = [(time.perf_counter(), nimg)]

    def progress(self, nimg: int, total: int, losses: Mapping[str, float]) -> Progress:
        """Take note of a step and say where training stands."""
        now = time.perf_counter()
        self._marks = [*self._marks[-50:], (now, nimg)]  # forgets the slow first steps
        start, first = self._marks[0]
        rate = (nimg - first) / max(now - start, 1e-9)
        return Progress(nimg, total, rate, max(total - nimg, 0) / max(rate, 1e-9), losses)
