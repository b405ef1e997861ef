"""What the studio counts, as Prometheus reads it (text format 0.0.4)."""

import bisect
import itertools
import threading
from collections import Counter
from collections.abc import Iterator

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Count:
    """A number that only grows."""

    def __init__(self, name: str, about: str) -> None:
        self._name, self._about = name, about
        self._lock = threading.Lock()
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        """Count some more."""
        with self._lock:
            self.value += amount

    def lines(self) -> Iterator[str]:
        """As text."""
        yield from _head(self._name, self._about, "counter")
        yield f"{self._name} {self.value:g}"


class Gauge(Count):
    """A number that rises and falls."""

    def set(self, value: float) -> None:
        """Say what it is now."""
        self.value = value

    def lines(self) -> Iterator[str]:
        """As text."""
        yield from _head(self._name, self._about, "gauge")
        yield f"{self._name} {self.value:g}"


class Histogram:
    """How values are spread."""

    def __init__(self, name: str, about: str, limits: tuple[float, ...]) -> None:
        self._name, self._about, self._limits = name, about, limits
        self._lock = threading.Lock()
        self._counts = [0] * (len(limits) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def add(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            self._counts[bisect.bisect_left(self._limits, value)] += 1
            self.sum += value

    def lines(self) -> Iterator[str]:
        """As text."""
        yield from _head(self._name, self._about, "histogram")
        with self._lock:
            below = list(itertools.accumulate(self._counts))
            total = self.sum
        for limit, number in zip((*self._limits, "+Inf"), below, strict=True):
            yield f'{self._name}_bucket{{le="{limit}"}} {number}'
        yield f"{self._name}_sum {total:g}"
        yield f"{self._name}_count {below[-1]}"


class Requests:
    """Answered requests by route and status; routes are few, whatever clients ask for."""

    NAME = "ganime_studio_requests_total"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[tuple[str, int]] = Counter()

    def add(self, route: str, status: int) -> None:
        """Count one."""
        with self._lock:
            self.counts[route, status] += 1

    def lines(self) -> Iterator[str]:
        """As text."""
        yield from _head(self.NAME, "Requests answered.", "counter")
        with self._lock:
            counts = sorted(self.counts.items())
        for (route, status), number in counts:
            yield f'{self.NAME}{{route="{route}",status="{status}"}} {number}'


class Meters:
    """All of them."""

    def __init__(self) -> None:
        self.requests = Requests()
        self.images = Count("ganime_studio_images_total", "Images drawn.")
        self.waiting = Gauge("ganime_studio_queue_images", "Images that wait.")
        self.batches = Histogram("ganime_studio_batch_images", "Images drawn together.", SIZES)
        self.seconds = Histogram(
            "ganime_studio_request_seconds", "From request to answer.", SECONDS
        )

    def text(self) -> str:
        """All as text."""
        all_of_them = (self.requests, self.images, self.waiting, self.batches, self.seconds)
        return "".join(f"{line}\n" for one in all_of_them for line in one.lines())


def _head(name: str, about: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
