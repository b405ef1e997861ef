"""Prefect's broker in memory, which loses no event to a database that is busy.

An automation hears of an event by a message, whose work is a transaction; where SQLite is busy it
fails. Prefect then tries again at once, three times within a second or two, and lays the message
aside for good: a run that died would stay dead, as nobody heard that it had. `serving` has the
server use this module instead.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from prefect.server.utilities.messaging import Message, MessageHandler, memory
from prefect.server.utilities.messaging.memory import (
    Publisher,
    break_topic,
    ephemeral_subscription,
)
from sqlalchemy.exc import OperationalError

__all__ = ["Consumer", "Publisher", "break_topic", "ephemeral_subscription"]

TRIES = 40
PAUSE_S = 0.5  # at most, between two tries: ten seconds in all


class Consumer(memory.Consumer):
    """Handles messages until it is stopped; one that finds the database busy waits a moment."""

    async def run(self, handler: MessageHandler) -> None:
        """See `prefect.server.utilities.messaging.Consumer.run`."""
        await super().run(_patient(handler))


def _patient(handler: MessageHandler) -> Callable[[Message], Awaitable[Any]]:
    async def handle(message: Message) -> None:
        for _ in range(TRIES - 1):
            try:
                return await handler(message)
            except OperationalError:
                await asyncio.sleep(random.uniform(0, PAUSE_S))
        return await handler(message)

    return handle
