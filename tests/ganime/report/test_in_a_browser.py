"""The page in a real browser, driven by the DevTools protocol."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ganime.report import build_report

pytestmark = pytest.mark.slow
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--remote-debugging-port=0",
]
_HANDLERS = 'count(//@*[starts-with(name(), "on")])'
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Tab:
    """One page in the browser: what it asked for, what it complained about, what it says."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await asyncio.wait_for(self._socket.receive_json(), 30)
            if message.get("id") == self._number:
                return message["result"]
            self._note(message)

    async def value(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.complaints.append(json.dumps(told))
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {told['message']}")


@pytest.fixture
def browser_port(tmp_path: Path) -> Iterator[int]:
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    profile = tmp_path / "profile"
    process = subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 30
        while not (told.exists() and "\n" in told.read_text()):
            assert time.monotonic() < deadline, "the browser does not start"
            time.sleep(0.1)
        yield int(told.read_text().splitlines()[0])
    finally:
        process.terminate()
        process.wait(timeout=20)


async def visit(
    port: int, page: Path, width: int, expressions: dict[str, str], *, dark: bool = False
) -> tuple[Tab, dict[str, Any]]:
    """Open the page at a width, let it settle, evaluate the expressions."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as response:
            target = next(item for item in await response.json() if item["type"] == "page")
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Network", "Runtime", "Log"):
                await tab.call(f"{domain}.enable")
            await tab.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=width < 600,
            )
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            await tab.call("Emulation.setEmulatedMedia", features=[scheme])
            await tab.call("Page.navigate", url=page.as_uri())
            for _ in range(100):
                if await tab.value("document.readyState") == "complete":
                    break
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)  # what a late request or error would need
            return tab, {name: await tab.value(text) for name, text in expressions.items()}


def page_of(made: Any) -> Path:
    return Path(made.workspace.describe(build_report(made.workspace, made.inputs)))


@pytest.mark.parametrize(
    ("width", "dark"), [(1400, False), (1400, True), (390, False), (320, True)]
)
def test_it_renders_without_errors_outside_requests_or_sideways_scrolling(
    made: Any, browser_port: int, width: int, dark: bool
) -> None:
    page = page_of(made)
    asked = {
        "sections": "[...document.querySelectorAll('section')].map(s => s.id).join(' ')",
        "broken": "[...document.images].filter(i => i.src && i.naturalWidth === 0).length",
        "images": "document.images.length",
        "overflow": _OVERFLOW,
        "background": "getComputedStyle(document.body).backgroundColor",
        "alts": "[...document.images].filter(i => !i.hasAttribute('alt')).length",
    }
    tab, said = asyncio.run(visit(browser_port, page, width, asked, dark=dark))
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith(("data:", "file:"))] == []
    assert [url for url in tab.requests if url.startswith("file:")] == [page.as_uri()]
    assert said["sections"] == (
        "result funnel examples duplicates classifiers training metric provenance settings"
    )
    assert said["images"] > 50
    assert said["broken"] == said["alts"] == 0
    assert said["overflow"] <= 0
    assert (said["background"] == "rgb(18, 22, 31)") == dark


def test_the_slider_shows_another_snapshot(made: Any, browser_port: int) -> None:
    move = """(() => {
      const viewer = document.getElementById("viewer"), slider = viewer.querySelector("input");
      const before = viewer.querySelector("img").src;
      slider.value = 0; slider.dispatchEvent(new Event("input"));
      const caption = viewer.querySelector("figcaption").textContent;
      return [viewer.hidden, viewer.querySelector("img").src !== before, caption].join("|");
    })()"""
    tab, said = asyncio.run(visit(browser_port, page_of(made), 1400, {"moved": move}))
    assert tab.complaints == []
    assert said["moved"] == "false|true|After 4,000 images shown"


def test_a_click_on_a_snapshot_shows_it(made: Any, browser_port: int) -> None:
    click = """(() => {
      document.querySelectorAll("#film img")[1].click();
      const viewer = document.getElementById("viewer");
      const marked = [...document.querySelectorAll("#film .shown span")].map(s => s.textContent);
      return [viewer.querySelector("input").value, marked].join("|");
    })()"""
    tab, said = asyncio.run(visit(browser_port, page_of(made), 390, {"clicked": click}))
    assert tab.complaints == []
    assert said["clicked"] == "1|8,000"


def test_a_hostile_tag_runs_nothing_and_links_nowhere(made: Any, browser_port: int) -> None:
    asked = {
        "scripts": "document.scripts.length",
        "schemes": "[...new Set([...document.links].map(a => a.protocol))].sort().join(' ')",
        "handlers": f"document.evaluate('{_HANDLERS}', document).numberValue",
    }
    tab, said = asyncio.run(visit(browser_port, page_of(made), 1400, asked))
    assert tab.complaints == []
    assert said["scripts"] == 1
    assert said["schemes"] == "file: http: https:"  # file: are the page's own anchors
    assert said["handlers"] == 0
