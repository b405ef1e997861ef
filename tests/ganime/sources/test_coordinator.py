import asyncio
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ganime.errors import StoreError
from ganime.sources import Budget
from ganime.sources.budgets import HostBudget
from ganime.sources.coordinator import Coordinator, Flight


@pytest.fixture
def coordinator(tmp_path):
    return Coordinator(tmp_path / "shared")


def test_a_budget_spaces_requests_over_all_threads(coordinator):
    budget = HostBudget(coordinator, "booru", "file", Budget(rate_per_s=20, in_flight=4))
    starts, most, running = [], 0, 0
    lock = threading.Lock()

    async def ask():
        nonlocal most, running
        async with budget.request():
            with lock:
                starts.append(time.monotonic())
                running += 1
                most = max(most, running)
            await asyncio.sleep(0.3)
            with lock:
                running -= 1

    async def several():
        await asyncio.gather(*(ask() for _ in range(4)))

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts.sort()
    assert len(starts) == 12
    assert min(after - before for before, after in itertools.pairwise(starts)) > 0.01
    assert all(later - start >= 0.15 for start, later in zip(starts, starts[4:], strict=False))
    assert most == 4


def _ask_often(folder, times):
    budget = HostBudget(Coordinator.at(folder), "booru", "list", Budget(rate_per_s=10, in_flight=2))

    async def ask():
        async with budget.request():
            times.append(time.time())

    async def several():
        for _ in range(5):
            await ask()

    asyncio.run(several())


def test_processes_share_one_budget(tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        times = manager.list()
        processes = [
            context.Process(target=_ask_often, args=(tmp_path / "shared", times)) for _ in range(3)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        starts = sorted(times)
    assert len(starts) == 15
    # ten a second: no window of one second holds an eleventh
    assert all(later - start >= 1 for start, later in zip(starts, starts[10:], strict=False))


def test_a_paused_host_is_left_alone(coordinator):
    budget = HostBudget(coordinator, "booru", "list", Budget(rate_per_s=100, in_flight=1))
    coordinator.pause("booru", 0.3)

    async def ask():
        async with budget.request():
            return time.monotonic()

    start = time.monotonic()
    assert asyncio.run(ask()) - start >= 0.29


def test_a_clock_that_was_set_back_does_not_stop_the_crawl(coordinator, monkeypatch):
    budget = Budget(rate_per_s=1, in_flight=1)
    tomorrow = time.time() + 86_400
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: tomorrow)
        coordinator.land(coordinator.board("booru", "list", budget))
        coordinator.pause("booru", 1000)
    flight = coordinator.board("booru", "list", budget)
    assert isinstance(flight, Flight)
    assert flight.start < time.time() + 5


def test_the_flights_and_claims_of_a_killed_process_are_taken_back(tmp_path, coordinator):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from ganime.sources import Budget\n"
        "from ganime.sources.coordinator import Coordinator\n"
        "other = Coordinator(Path(sys.argv[1]))\n"
        "other.board('booru', 'file', Budget(rate_per_s=9, in_flight=1))\n"
        "(other.spool() / 'body').write_bytes(b'half')\n"
        "with other.claiming(['post']) as ours:\n"
        "    print(ours, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "shared")], stdout=subprocess.PIPE, text=True
    )
    assert "post" in process.stdout.readline()
    assert not isinstance(
        coordinator.board("booru", "file", Budget(rate_per_s=9, in_flight=1)), Flight
    )
    with coordinator.claiming(["post"]) as ours:
        assert not ours
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with coordinator.claiming(["post"]) as ours:
        assert ours == {"post"}
    assert isinstance(coordinator.board("booru", "file", Budget(rate_per_s=9, in_flight=1)), Flight)
    assert list((tmp_path / "shared").glob("*.spool")) == []


def test_a_claim_is_given_back_even_after_an_error(coordinator):
    with pytest.raises(RuntimeError), coordinator.claiming(["a", "b"]):
        raise RuntimeError
    with coordinator.claiming(["a", "b"]) as ours:
        assert ours == {"a", "b"}


def test_a_refusal_is_remembered_for_a_while_and_for_one_identity(coordinator):
    coordinator.refuse("booru", "me", "answers 401", 0.2)
    assert coordinator.refusal("booru", "me")[0] == "answers 401"
    assert coordinator.refusal("booru", "you") is None
    time.sleep(0.25)
    assert coordinator.refusal("booru", "me") is None


def noted(folder, key, wait_s=5.0):
    """What another process would find, once it has been written."""
    deadline = time.monotonic() + wait_s
    other = Coordinator(folder)
    while not (found := other.notes("crawl", [key])) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def test_notes_outlive_the_process_and_are_forgotten_when_committed(tmp_path):
    Coordinator(tmp_path).note("crawl", "post/1", lambda: "{}")
    assert noted(tmp_path, "post/1") == {"post/1": "{}"}
    again = Coordinator(tmp_path)
    assert again.notes("crawl", ["post/1", "post/2"]) == {"post/1": "{}"}
    again.forget("crawl", ["post/1"])
    assert again.notes("crawl", ["post/1"]) == {}


def test_a_note_that_was_forgotten_at_once_is_never_written(tmp_path):
    coordinator = Coordinator(tmp_path)
    coordinator.note("crawl", "post/1", lambda: "{}")
    coordinator.forget("crawl", ["post/1"])
    assert noted(tmp_path, "post/1", wait_s=0.2) == {}


def test_no_note_is_written_before_what_it_says_is_true(tmp_path):
    coordinator = Coordinator(tmp_path)
    told = []
    with coordinator.noting_after(lambda: told.append(noted(tmp_path, "post/1", wait_s=0))):
        coordinator.note("crawl", "post/1", lambda: "{}")
        assert noted(tmp_path, "post/1") == {"post/1": "{}"}
    assert told == [{}]


def test_after_an_error_all_is_noted_at_once(tmp_path):
    coordinator = Coordinator(tmp_path)
    commits = []

    def settle():
        with coordinator.noting_after(lambda: commits.append(1)):
            coordinator.note("crawl", "post/1", lambda: "{}")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        settle()
    assert commits
    assert noted(tmp_path, "post/1", wait_s=0) == {"post/1": "{}"}


def test_a_note_whose_commit_fails_is_not_written_by_others_either(tmp_path):
    coordinator = Coordinator(tmp_path)

    def fail():
        raise StoreError("the disk is full")

    def settle():
        with coordinator.noting_after(fail):
            coordinator.note("crawl", "post/1", lambda: "{}")
            raise RuntimeError

    with pytest.raises(StoreError):
        settle()
    with pytest.raises(StoreError):
        coordinator.notes("crawl", ["post/1"])
    assert noted(tmp_path, "post/1", wait_s=0.2) == {}


def test_once_the_manifest_is_committed_nothing_keeps_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganime.sources.coordinator._GATHER_S", 3600.0)
    before = set(threading.enumerate())
    coordinator = Coordinator(tmp_path)
    coordinator.note("crawl", "post/1", lambda: "{}")
    coordinator.note("crawl", "post/2", lambda: "{}")
    (timer,) = set(threading.enumerate()) - before
    coordinator.forget("crawl", ["post/1"])
    assert timer.is_alive()
    coordinator.forget("crawl", ["post/2"])
    timer.join(60)
    assert not timer.is_alive()
