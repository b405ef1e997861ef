"""Labels of the review page: none lost when the server is killed, and from a key to the screen."""

import asyncio
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from ganime.store.labels import LabelLog
from ganime.store.workspace import Workspace

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
# From the key as the browser got it to the moment after the frame that shows its answer.
_WATCH = """
window.times = [];
document.addEventListener("keydown", (event) => {
  const painted = () => times.push(performance.now() - event.timeStamp);
  if (event.key === "k") requestAnimationFrame(() => setTimeout(painted));
}, true);
"""


def label_and_kill(server: str, workspace: Workspace, num: int) -> dict[str, Any]:
    """So many answers, one request each, then SIGKILL: what was acknowledged must be there."""
    before = len(LabelLog(workspace).events())
    process = subprocess.Popen(
        [sys.executable, "-c", server, workspace.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
    connection.request("GET", "/api/images?num=500&sort=oldest")
    ids = [one["id"] for one in json.load(connection.getresponse())["items"]]
    headers = {"X-Ganime": "review", "Content-Type": "application/json"}
    acknowledged, walls = set(), []
    for place in range(num):
        one = {"image_id": ids[place % len(ids)], "answer": True, "expected": None}
        body = {"by": "bob", "labels": [{**one, "question": f"asked-{place // len(ids)}"}]}
        started = time.perf_counter()
        connection.request("POST", "/api/labels", json.dumps(body), headers)
        answer = connection.getresponse()
        told = json.load(answer)
        walls.append(1000 * (time.perf_counter() - started))
        assert answer.status == 200, told
        acknowledged.update(event["label_id"] for event in told["events"])
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    there = {row.label_id for row in LabelLog(workspace).events()[before:]}
    lost = len(acknowledged - there)
    p50, p95 = statistics.median(walls), sorted(walls)[int(0.95 * (num - 1))]
    print(f"label acknowledged (goal <= 50 ms) p50 {p50:.1f} ms   p95 {p95:.1f} ms")
    print(f"killed after {num} acknowledged labels: {lost} lost (goal 0)")
    return {"acknowledged": num, "lost": lost, "p50_ms": p50, "p95_ms": p95}


def press_keys(server: str, workspace: Workspace, num: int) -> dict[str, Any]:
    """From key to paint in a browser, over the gallery; nothing if none is installed."""
    program = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        print(f"no browser: none of {', '.join(_BROWSERS)} is installed")
        return {}
    process = subprocess.Popen(
        [sys.executable, "-c", server, workspace.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        browser = subprocess.Popen(
            [program, *_FLAGS, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = process.stdout.readline().strip()
            times = asyncio.run(_times(Path(profile) / "DevToolsActivePort", url, num))
        finally:
            for one in (browser, process):
                one.terminate()
                one.wait()
            process.stdout.close()
    p50, p95 = statistics.median(times), sorted(times)[int(0.95 * (len(times) - 1))]
    print(f"key to paint (goal <= 33 ms)       p50 {p50:.1f} ms   p95 {p95:.1f} ms")
    return {"p50_ms": p50, "p95_ms": p95, "keys": len(times)}


async def _times(told: Path, url: str, num: int) -> list[float]:
    while not (told.exists() and "\n" in told.read_text()):
        await asyncio.sleep(0.1)
    root = f"http://127.0.0.1:{told.read_text().splitlines()[0]}/json"
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{root}/new?about:blank") as response:
            target = await response.json()
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            page = _Page(socket)
            await page.call("Page.enable")
            named = "localStorage.setItem('ganime.person', 'eve');"
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=named + _WATCH)
            await page.call("Page.navigate", url=f"{url}?question=keep&sort=oldest")
            await page.until("document.querySelectorAll('.card').length > 50")
            await page.press("ArrowRight", 39)
            for done in range(num):
                await page.press("k", 75)
                await page.until(f"times.length > {done}")
                await asyncio.sleep(0.1)  # a quick person; else keys would wait for one another
            return list(await page.value("times"))


class _Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json()).get("id") != self._number:
            pass
        return message["result"]

    async def value(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        deadline = time.monotonic() + 60
        while not await self.value(expression):
            assert time.monotonic() < deadline, expression
            await asyncio.sleep(0.02)

    async def press(self, key: str, code: int) -> None:
        told = {"key": key, "windowsVirtualKeyCode": code}
        text = {"text": key} if len(key) == 1 else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **told)
