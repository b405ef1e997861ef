import asyncio
import threading

import pytest

from ganime.sources import concurrently
from ganime.sources.concurrently import end_all, run_all


@pytest.fixture(autouse=True)
def _another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrently, "_over", threading.Event())


async def succeed(value: int) -> int:
    return value


async def fail() -> int:
    raise ValueError("this one")


def test_results_come_in_order_also_from_inside_a_running_loop() -> None:
    async def notebook() -> list[int]:
        return run_all([succeed(1), succeed(2)])

    assert run_all([succeed(1), succeed(2)]) == asyncio.run(notebook()) == [1, 2]


def test_the_others_are_finished_before_an_error_is_raised() -> None:
    finished = []

    async def slow() -> int:
        await asyncio.sleep(0.01)
        finished.append(1)
        return 1

    with pytest.raises(ValueError, match="this one"):
        run_all([fail(), slow()])
    assert finished == [1]


def test_what_runs_in_threads_is_cut_off_and_nothing_more_begins() -> None:
    begun, ended = threading.Event(), []

    async def endless() -> int:
        begun.set()
        await asyncio.sleep(3600)
        return 1

    def work() -> None:
        for _ in range(3):
            try:
                run_all([endless()])
            except asyncio.CancelledError:
                ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    end_all()
    thread.join(60)
    assert ended == [True] * 3
