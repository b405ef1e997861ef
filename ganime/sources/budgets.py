"""Budgets of hosts, shared by all threads of the process."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ganime.sources import Budget

_POLL_S = 0.02  # of a full host; files take longer than this


class HostBudget:
    """What one host may still be asked: evenly spaced starts, bounded requests in flight.

    Args:
        budget: The site's facts.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._next_start = 0.0  # of time.monotonic
        self._paused_until = 0.0
        self._in_flight = 0

    def pause(self, seconds: float) -> None:
        """Ask nothing for a while: the host said so."""
        with self._lock:
            self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Wait for one's turn; the block is the request."""
        while not self._take_slot():
            await asyncio.sleep(_POLL_S)
        try:
            while (wait := self._reserve()) > 0:
                await asyncio.sleep(wait)
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def _take_slot(self) -> bool:
        with self._lock:
            if self._in_flight >= self._budget.in_flight:
                return False
            self._in_flight += 1
            return True

    def _reserve(self) -> float:
        """Claim the next start if it is due, else say how long to wait before asking again [s]."""
        with self._lock:
            now = time.monotonic()
            due = max(self._next_start, self._paused_until)
            if now < due:
                return due - now
            self._next_start = now + 1 / self._budget.rate_per_s
            return 0.0


_BUDGETS: dict[tuple[str, str], HostBudget] = {}
_BUDGETS_LOCK = threading.Lock()


def budget_of(host: str, purpose: str, budget: Budget) -> HostBudget:
    """The process-wide budget of a host for lists or for files; the first caller's facts count."""
    with _BUDGETS_LOCK:
        return _BUDGETS.setdefault((host, purpose), HostBudget(budget))
