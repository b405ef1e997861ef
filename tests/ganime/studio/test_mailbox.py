import asyncio
import threading
from concurrent.futures import Future

import pytest

from ganime.studio.mailbox import Mailbox


async def in_another_thread(work: object) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_what_arrives_together_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def played() -> tuple[list[int], int]:
        loop = asyncio.get_running_loop()
        calls = []
        wake = loop.call_soon_threadsafe
        monkeypatch.setattr(
            loop, "call_soon_threadsafe", lambda *args: (calls.append(args), wake(*args))
        )
        mailbox = Mailbox(loop)
        sources: list[Future[int]] = [Future() for _ in range(8)]
        targets = [mailbox.awaited(one) for one in sources]
        await in_another_thread(lambda: [one.set_result(n) for n, one in enumerate(sources)])
        return await asyncio.gather(*targets), len(calls)

    assert asyncio.run(played()) == ([*range(8)], 1)


def test_errors_and_cancellations_arrive_as_well() -> None:
    async def played() -> list[object]:
        mailbox = Mailbox(asyncio.get_running_loop())
        wrong, stopped, unwanted = Future[int](), Future[int](), Future[int]()
        targets = [mailbox.awaited(one) for one in (wrong, stopped, unwanted)]
        targets[2].cancel()
        await asyncio.sleep(0)  # what is cancelled here is told there
        assert unwanted.cancelled()
        wrong.set_exception(ValueError("no"))
        stopped.cancel()
        return await asyncio.gather(*targets, return_exceptions=True)

    error, *others = asyncio.run(played())
    assert isinstance(error, ValueError)
    assert all(isinstance(one, asyncio.CancelledError) for one in others)


def test_nobody_is_woken_when_all_have_gone_home() -> None:
    async def begun() -> Future[int]:
        source = Future[int]()
        Mailbox(asyncio.get_running_loop()).awaited(source)
        return source

    asyncio.run(begun()).set_result(1)
