"""What was asked of the practice booru, and how hurriedly: politeness as numbers for tests."""

import time
from array import array
from collections import Counter, defaultdict

KINDS = ("list", "file", "robots", "page", "thumbnail")


class Traffic:
    """Counts of one site, by kind of request (`KINDS`).

    Attributes:
        counts: Requests so far.
        in_flight: Requests that are being answered now.
        most_in_flight: The most that were at the same time.
        num_connections: TCP connections opened so far.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight: Counter[str] = Counter()
        self.num_connections = 0
        self._arrivals: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))

    def connect(self) -> None:
        """A connection was opened."""
        self.num_connections += 1

    def arrive(self, kind: str) -> None:
        """A request came."""
        self.counts[kind] += 1
        self._arrivals[kind].append(time.monotonic())
        self.in_flight[kind] += 1
        if self.in_flight[kind] > self.most_in_flight[kind]:
            self.most_in_flight[kind] = self.in_flight[kind]

    def leave(self, kind: str) -> None:
        """Its answer was sent, or its connection is lost."""
        self.in_flight[kind] -= 1

    def arrivals(self, kind: str) -> list[float]:
        """When the requests came, seconds of `time.monotonic`, in order."""
        return list(self._arrivals[kind]) if kind in self._arrivals else []

    def busiest(self, kind: str, seconds: float = 1.0) -> int:
        """Most arrivals within any stretch of time that is shorter than `seconds`."""
        times = self.arrivals(kind)
        most = first = 0
        for last, moment in enumerate(times):
            while moment - times[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most
