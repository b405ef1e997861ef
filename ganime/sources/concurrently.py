"""Sites side by side, started from code that knows nothing of event loops; and their sudden end."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


_lock = threading.Lock()
_running: dict[asyncio.AbstractEventLoop, "asyncio.Task[Any]"] = {}
_over = threading.Event()


def end_all() -> None:
    """Cut off what runs in any thread of this process, and let nothing more begin.

    For a process that is told to end: its threads would go on until their shards are done. What
    has come is in the journal.
    """
    with _lock:
        _over.set()
        for loop, task in _running.items():
            loop.call_soon_threadsafe(task.cancel)


def run_all(work: Sequence[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """Run all side by side, from any thread, also from one whose event loop runs (notebooks).

    The others are finished before the first error is raised.

    Raises:
        asyncio.CancelledError: by `end_all`.
    """
    if not _has_running_loop():
        return asyncio.run(_all_of(work))
    result: Future[list[ResultT]] = Future()

    def run_apart() -> None:
        try:
            result.set_result(asyncio.run(_all_of(work)))
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            result.set_exception(error)

    threading.Thread(target=run_apart, name="crawl").start()
    return result.result()


async def _all_of(work: Sequence[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    with _known(asyncio.get_running_loop()):
        results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


@contextmanager
def _known(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let `end_all` find the loop while the block runs."""
    task = asyncio.current_task(loop)
    assert task is not None
    with _lock:
        _running[loop] = task
        if _over.is_set():
            task.cancel()
    try:
        yield
    finally:
        with _lock:
            del _running[loop]


def _has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
