"""Two people at once, a server that is killed, and how fast one person can be."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx import Client, HTTPError

from ganime.store.labels import LabelLog
from ganime.store.workspace import Workspace

_POST = "document.querySelector('#stage bdi')?.textContent"
_SAVED = "document.getElementById('saving').textContent"
_SERVER = """
import sys
from ganime.review.serve import ReviewConfig, serve
from ganime.store.workspace import Workspace
serve(Workspace(sys.argv[1]), ReviewConfig(port=0), lambda url: print(url, flush=True))
"""


@pytest.mark.slow
def test_two_people_in_one_queue_see_different_images_and_lose_no_answer(
    serve_with: Callable[..., Any],
    service: Any,
    visit_page: Callable[..., Any],
    workspace: Workspace,
) -> None:
    shown: dict[str, list[str]] = {"ann": [], "bob": []}

    def work(person: str, url: str) -> None:
        async def visit(tab: Any) -> None:
            await tab.open("?view=queue&queue=random-audit")
            for _ in range(6):
                await tab.until(f"!!{_POST}")
                before = await tab.value(_POST)
                shown[person].append(before)
                await tab.press("k")
                await tab.until(f"{_POST} !== {before!r}")
            await tab.until(_SAVED, "")

        visit_page(url, visit, before=f"localStorage.setItem('ganime.person', '{person}')")

    with serve_with(service) as url, ThreadPoolExecutor(2) as pool:
        # Two names of one server, so that the browser keeps the two people apart.
        addresses = [url, url.replace("127.0.0.1", "localhost")]
        list(pool.map(work, ("ann", "bob"), addresses))
    assert len(set(shown["ann"])) == len(set(shown["bob"])) == 6
    assert not set(shown["ann"]) & set(shown["bob"])
    said = LabelLog(workspace).events()
    assert sorted(row.by for row in said) == ["ann"] * 6 + ["bob"] * 6
    assert len({row.image_id for row in said}) == 12


@pytest.mark.slow
def test_no_acknowledged_answer_is_lost_when_the_server_is_killed(workspace: Workspace) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, workspace.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = []
    try:
        url = process.stdout.readline().strip()
        with Client(base_url=url, headers={"X-Ganime": "review"}, timeout=60) as client:
            ids = [one["id"] for one in client.get("/api/images").json()["items"]]
            for place in range(100):
                one = {"image_id": ids[place % len(ids)], "answer": True, "expected": None}
                one |= {"question": f"q{place // len(ids)}"}
                if place == 80:  # in the middle of the work
                    os.kill(process.pid, signal.SIGKILL)
                try:
                    answer = client.post("/api/labels", json={"by": "ann", "labels": [one]})
                except HTTPError:
                    break
                assert answer.status_code == 200
                acknowledged += [event["label_id"] for event in answer.json()["events"]]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert len(acknowledged) >= 80
    assert set(acknowledged) <= {row.label_id for row in LabelLog(workspace).events()}


@pytest.mark.slow
def test_a_person_at_the_keys_answers_more_than_sixty_images_a_minute(
    drive: Any, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each answer waits for the next picture to be on the screen; a reload forgets nothing.

    The quickest quarter counts: what is slower had to wait for others on the machine.
    """
    picture = "document.querySelector('.large img')"
    loaded = f"!{picture} || ({picture}.complete && {picture}.naturalWidth > 0)"
    wanted = 20

    async def visit(tab: Any) -> None:
        await tab.open("?view=queue&queue=random-audit")
        await tab.until(f"!!{_POST} && ({loaded})")
        walls = []
        for _ in range(wanted):
            started = time.monotonic()
            await tab.until(f"!!{_POST}")  # while the next page is fetched none is shown
            before = await tab.value(_POST)
            await tab.press("k")
            await tab.until(f"{_POST} !== {before!r} && ({loaded})")
            walls.append(time.monotonic() - started)
        quick = sorted(walls)[: wanted // 4]
        rate = 60 * len(quick) / sum(quick)
        with capsys.disabled():
            print(f" {rate:.0f} images a minute, {60 * wanted / sum(walls):.0f} in all", end=" ")
        assert rate >= 60
        await tab.until(_SAVED, "")
        after = await tab.value(_POST)
        await tab.reload()
        await tab.until(_POST, after)

    drive(visit)
    assert len(LabelLog(workspace).current()) == wanted
