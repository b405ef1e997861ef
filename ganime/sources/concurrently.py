"""Sites side by side, started from code that knows nothing of event loops."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


def run_all(work: Sequence[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """Run all side by side, from any thread, also from one whose event loop runs (notebooks).

    The others are finished before the first error is raised.
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
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
