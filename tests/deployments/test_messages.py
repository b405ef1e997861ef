"""Messages whose handler found the database busy, through Prefect's own topics."""

import asyncio

import pytest
from prefect.server.utilities.messaging import Message, StopConsumer, create_consumer, memory
from prefect.settings import PREFECT_MESSAGING_BROKER, temporary_settings
from sqlalchemy.exc import OperationalError

from flows.operate import messages

BROKER = "flows.operate.messages"


class Handler:
    """Finds the database busy a few times before each message."""

    def __init__(self, num_busy: int) -> None:
        self.num_busy = num_busy
        self.tried: list[bytes | str] = []

    async def __call__(self, message: Message) -> None:
        self.tried.append(message.data)
        if message.data == b"end":
            raise StopConsumer(ack=True)
        if self.num_busy:
            self.num_busy -= 1
            raise OperationalError("UPDATE", {}, Exception("database is locked"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "PAUSE_S", 0.001)


def consume(handler: Handler) -> None:
    async def run() -> None:
        with temporary_settings({PREFECT_MESSAGING_BROKER: BROKER}):
            consumer = create_consumer("test", concurrency=1)
        async with messages.Publisher("test", memory.Cache()) as publisher:
            for data in (b"crashed", b"end"):
                await publisher.publish_data(data, {})
        await consumer.run(handler)
        await consumer.cleanup()

    asyncio.run(run())


def test_a_message_waits_until_the_database_has_time() -> None:
    handler = Handler(num_busy=10)  # more often than Prefect would try
    consume(handler)
    assert handler.tried == [b"crashed"] * 11 + [b"end"]


def test_a_database_that_stays_busy_does_not_stop_the_other_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory.Subscription, "send_to_dead_letter_queue", laid_aside := LaidAside())
    consume(Handler(num_busy=4 * messages.TRIES))
    assert laid_aside.data == [b"crashed"]


class LaidAside:
    """In place of the folder of messages that nobody could handle."""

    def __init__(self) -> None:
        self.data: list[bytes | str] = []

    async def __call__(self, message: Message) -> None:
        self.data.append(message.data)
