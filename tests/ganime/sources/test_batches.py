import asyncio
import threading
from contextlib import suppress

import pytest

from ganime.sources.batches import Batches


def test_work_that_comes_together_is_done_together_and_in_order() -> None:
    told: list[str] = []

    async def ask_for_all() -> list[int]:
        batches = Batches()

        def work(number: int) -> int:
            told.append(f"done {number}")
            return 10 * number

        async def ask(number: int) -> int:
            told.append(f"came {number}")
            return await batches.do(1, work, number)

        return await asyncio.gather(*(ask(number) for number in range(3)))

    assert asyncio.run(ask_for_all()) == [0, 10, 20]
    assert told == ["came 0", "came 1", "came 2", "done 0", "done 1", "done 2"]


@pytest.mark.parametrize(
    ("num_tasks", "num_bytes"), [pytest.param(16, 1, id="many"), pytest.param(2, 300_000, id="big")]
)
def test_enough_work_waits_no_longer(
    monkeypatch: pytest.MonkeyPatch, num_tasks: int, num_bytes: int
) -> None:
    monkeypatch.setattr("ganime.sources.batches._QUIET_S", 3600.0)

    async def ask_for_all() -> list[int]:
        batches = Batches()
        asked = [batches.do(num_bytes, int, str(number)) for number in range(num_tasks)]
        return await asyncio.wait_for(asyncio.gather(*asked), timeout=60)

    assert asyncio.run(ask_for_all()) == list(range(num_tasks))


def test_while_more_comes_it_is_waited_for_but_not_for_ever() -> None:
    done: list[int] = []

    async def ask_one_after_another() -> None:
        loop, batches, now = asyncio.get_running_loop(), Batches(), 0.0
        loop.time = lambda: now  # type: ignore[method-assign]  # no machine is too busy for it
        asked = []
        for number in range(12):  # one each 10 ms
            asked.append(asyncio.create_task(batches.do(1, done.append, number)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if number == 8:
                assert done == []
            now += 0.01
        assert done == list(range(11))
        now += 0.03
        await asyncio.gather(*asked)

    asyncio.run(ask_one_after_another())
    assert done == list(range(12))


def test_an_error_reaches_only_whoever_asked_for_that_work() -> None:
    async def ask_for_all() -> list[int | BaseException]:
        batches = Batches()
        asked = [batches.do(1, int, text) for text in ("1", "no number", "3")]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, third = asyncio.run(ask_for_all())
    assert (first, third) == (1, 3)
    assert isinstance(second, ValueError)


def test_who_is_cancelled_has_the_work_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganime.sources.batches._QUIET_S", 3600.0)
    done: list[str] = []

    async def ask_and_give_up() -> None:
        batches = Batches()
        asked = [asyncio.create_task(batches.do(1, done.append, name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        asked[1].cancel()
        with suppress(asyncio.CancelledError):
            await asked[1]
        await asyncio.wait_for(asked[0], timeout=60)  # was done with it

    asyncio.run(ask_and_give_up())
    assert done == ["a", "b"]


def test_work_is_done_in_the_thread_of_its_event_loop() -> None:
    async def ask() -> int:
        return await Batches().do(1, threading.get_ident)

    assert asyncio.run(ask()) == threading.get_ident()
