"""Budgets of hosts: evenly spaced starts and bounded requests in flight, for all processes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ganime.sources import Budget
from ganime.sources.coordinator import Coordinator, Flight

_LATE_S = 0.04  # a start so late would crowd the next one


class HostBudget:
    """What one host may still be asked for one purpose.

    Args:
        coordinator: Of the workspace.
        host: With its port.
        purpose: `list` or `file`.
        budget: The site's facts.
    """

    def __init__(self, coordinator: Coordinator, host: str, purpose: str, budget: Budget) -> None:
        self._coordinator = coordinator
        self._host = host
        self._purpose = purpose
        self._budget = budget

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Wait for one's turn; the block is the request."""
        flight = await self._board()
        try:
            yield
        finally:
            self._coordinator.land(flight)

    async def _board(self) -> Flight:
        while True:
            answer = self._coordinator.board(self._host, self._purpose, self._budget)
            if not isinstance(answer, Flight):
                await asyncio.sleep(answer)
                continue
            try:
                await asyncio.sleep(max(0.0, answer.start - time.time()))
            except BaseException:
                self._coordinator.land(answer)
                raise
            in_time = time.time() - answer.start <= _LATE_S
            if in_time and not self._coordinator.paused_for(self._host):
                return answer
            self._coordinator.land(answer)
