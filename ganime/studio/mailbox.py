"""Brings what other threads have done to the thread that answers."""

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Mailbox:
    """What `asyncio.wrap_future` does, but one wake-up brings all that has arrived by then.

    Each wake-up costs two system calls and a change of threads; under load, a batch costs one.

    Args:
        loop: Whose thread waits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._lock = threading.Lock()
        self._arrived: list[tuple[asyncio.Future[Any], Future[Any]]] = []

    def awaited(self, source: "Future[T]") -> "asyncio.Future[T]":
        """What another thread will do, to be awaited on the loop; cancelling it cancels that."""
        target: asyncio.Future[T] = self.loop.create_future()
        target.add_done_callback(lambda done: source.cancel() if done.cancelled() else None)
        source.add_done_callback(partial(self._arrive, target))
        return target

    def _arrive(self, target: "asyncio.Future[T]", source: "Future[T]") -> None:
        with self._lock:
            self._arrived.append((target, source))
            is_first = len(self._arrived) == 1
        if is_first and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        with self._lock:
            arrived, self._arrived = self._arrived, []
        for target, source in arrived:
            if target.done():  # nobody waits any longer
                continue
            if source.cancelled():
                target.cancel()
            elif error := source.exception():
                target.set_exception(error)
            else:
                target.set_result(source.result())
