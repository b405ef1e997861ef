"""The page in a real browser, driven by the DevTools protocol: keys are keys, clicks are clicks."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from ganime.review.service import Service
from ganime.store.labels import Answer, LabelLog
from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--remote-debugging-port=0",
]
_CODES = {
    "ArrowRight": 39,
    "ArrowLeft": 37,
    "ArrowDown": 40,
    "ArrowUp": 38,
    "Enter": 13,
    "Escape": 27,
}
_NAMED = "localStorage.setItem('ganime.person', 'ann')"
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_CARDS = "document.querySelectorAll('.card').length"
_TOTAL = "document.getElementById('total')?.textContent"
_SAID = "document.querySelectorAll('.card .said').length"
_MARKED = "document.activeElement.dataset.id"
_TITLE = "document.querySelector('main h1')?.textContent"


class Tab:
    """One page in the browser: what it asked for and what it complained about."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, url: str) -> None:
        self._socket = socket
        self._number = 0
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await asyncio.wait_for(self._socket.receive_json(), 30)
            if message.get("id") == self._number:
                assert "result" in message, message
                return message["result"]
            self._note(message)

    async def value(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, wanted: Any = True) -> None:
        """Wait until an expression has a value."""
        deadline = time.monotonic() + 20
        while (found := await self.value(expression)) != wanted:
            assert time.monotonic() < deadline, (expression, found, wanted, self.complaints)
            await asyncio.sleep(0.05)

    async def open(self, path: str = "") -> None:
        """Go to an address of the page; `until` says when it is drawn."""
        await self.call("Page.navigate", url=f"{self.url}/{path}")

    async def reload(self) -> None:
        """Load the same address again; the old page answers no more."""
        await self.value("window.isOld = true")
        await self.call("Page.reload")
        await self.until("!window.isOld && document.readyState === 'complete'")

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key; a letter also types it."""
        code = _CODES.get(key, ord(key[0].upper()))
        told = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        text = {"text": key} if len(key) == 1 else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    async def click(self, selector: str) -> None:
        """Click an element."""
        quoted = json.dumps(selector)
        await self.until(f"!!document.querySelector({quoted})")
        await self.value(f"document.querySelector({quoted}).click()")

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.complaints.append(json.dumps(told))


@pytest.fixture(scope="module")
def browser_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    profile = tmp_path_factory.mktemp("browser") / "profile"
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


Drive = Callable[[Callable[[Tab], Awaitable[None]]], Tab]


@pytest.fixture
def drive(browser_port: int, service: Service, serve_with: Callable[..., Any]) -> Iterator[Drive]:
    """Runs a visit by someone who said a name before; nothing outside is asked, nothing fails."""
    with serve_with(service) as url:

        def run(visit: Callable[[Tab], Awaitable[None]], **how: Any) -> Tab:
            return asyncio.run(_visited(browser_port, url, visit, **how))

        yield run


async def _visited(
    port: int,
    url: str,
    visit: Callable[[Tab], Awaitable[None]],
    *,
    width: int = 1280,
    dark: bool = False,
    before: str = _NAMED,
) -> Tab:
    async with _tab(port, url) as tab:
        for domain in ("Page", "Network", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await tab.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await tab.call("Emulation.setEmulatedMedia", features=[scheme])
        if before:
            await tab.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        await visit(tab)
        assert [one for one in tab.requests if not one.startswith((url, "data:"))] == []
        return tab


@asynccontextmanager
async def _tab(port: int, url: str) -> AsyncIterator[Tab]:
    """A new page, closed afterwards."""
    root = f"http://127.0.0.1:{port}/json"
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{root}/new?about:blank") as response:
            target = await response.json()
        async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            yield Tab(socket, url)
        async with session.get(f"{root}/close/{target['id']}"):
            pass


def said(workspace: Workspace) -> list[tuple[str, bool | None, str]]:
    """What the label log holds: question, answer, who."""
    return [(one.question, one.answer, one.by) for one in LabelLog(workspace).current()]


VIEWS = ("", "?view=queue", "?view=thresholds", "?view=funnel", "?view=models")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_every_page_renders_without_errors_or_sideways_scrolling(
    drive: Any, width: int, dark: bool
) -> None:
    async def visit(tab: Tab) -> None:
        for view in VIEWS:
            await tab.open(view)
            await tab.until(
                f"!!{_TITLE} && !document.querySelector('main').textContent.includes('Loading')"
            )
            assert await tab.value(_OVERFLOW) <= 0, view
            assert await tab.value("[...document.images].every(one => one.hasAttribute('alt'))")
            color = await tab.value("getComputedStyle(document.body).backgroundColor")
            assert (color == "rgb(18, 22, 31)") == dark
        assert tab.complaints == []

    drive(visit, width=width, dark=dark)


def test_a_facet_narrows_the_gallery_and_back_widens_it(drive: Any) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 0 && !!{_TOTAL}")
        every = await tab.value(_CARDS)
        label = "document.getElementById('f-status-dropped').closest('label')"
        await tab.until(f"!!{label}")
        num = int(await tab.value(f"{label}.querySelector('.num').textContent"))
        await tab.click("#f-status-dropped")
        await tab.until(_CARDS, num)
        await tab.until(f"{_TOTAL}.startsWith('{num} of ')")
        assert 0 < num < every
        asked = "[...document.querySelector('.orders').lastChild.querySelector('select').options]"
        assert await tab.value(f"{asked}.map(one => one.value).join()") == "keep,chibi"
        assert "status=dropped" in await tab.value("location.search")
        assert await tab.value("document.querySelectorAll('.card .badge.dropped').length") == num
        await tab.value("history.back()")
        await tab.until(_CARDS, every)

    drive(visit)


def test_a_reload_keeps_filters_order_and_question(drive: Any) -> None:
    address = "?status=dropped&sort=lowest&by=min_side&question=chibi"

    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.until(f"{_CARDS} > 0 && !!{_TOTAL}")
        ids = "[...document.querySelectorAll('.card')].map(one => one.dataset.id).join()"
        before = await tab.value(ids)
        await tab.reload()
        await tab.until(f"{_CARDS} > 0 && !!document.getElementById('f-status-dropped')?.checked")
        assert await tab.value(ids) == before
        assert await tab.value("location.search") == address
        values = "[...document.querySelectorAll('.orders select')].map(one => one.value).join()"
        assert await tab.value(values) == "lowest,min_side,chibi"

    drive(visit)


def test_search_suggests_tags_and_takes_one(drive: Any) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 0")
        await tab.press("/")
        await tab.until("document.activeElement.id", "tag-search")
        for letter in "full":
            await tab.press(letter)
        await tab.until("document.querySelector('#tag-list li bdi')?.textContent", "full_body")
        await tab.press("ArrowDown")
        await tab.press("Enter")
        await tab.until("location.search", "?tag=full_body")
        await tab.until(
            "document.querySelector('#chips .chip')?.textContent.startsWith('full_body')"
        )
        for letter in "no_such_tag":
            await tab.press(letter)
        await tab.press("Enter")
        await tab.until(
            "document.querySelector('.toast.refused')?.textContent.includes('no_such_tag')"
        )
        assert await tab.value("location.search") == "?tag=full_body"

    drive(visit)


def test_keys_move_answer_and_undo(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 2")
        first, second = await tab.value(
            "[...document.querySelectorAll('.card')].slice(0, 2).map(one => one.dataset.id)"
        )
        await tab.press("ArrowRight")
        assert await tab.value(_MARKED) == first
        await tab.press("d")
        assert await tab.value(_SAID) == 1
        assert await tab.value(_MARKED) == second  # on to the next
        await tab.until("document.getElementById('saving').textContent", "")
        assert said(workspace) == [("keep", False, "ann")]
        await tab.press("z")
        await tab.until(_SAID, 0)
        await tab.until("document.getElementById('saving').textContent", "")
        assert [answer for _, answer, _ in said(workspace)] in ([], [None])

    drive(visit)


def test_shift_and_arrows_select_many_and_one_key_answers_all(
    drive: Any, workspace: Workspace
) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open("?question=chibi")
        await tab.until(f"{_CARDS} > 3")
        await tab.press("ArrowRight")
        await tab.press("ArrowRight", shift=True)
        await tab.press("ArrowRight", shift=True)
        assert await tab.value("document.querySelectorAll('.card[aria-selected=true]').length") == 3
        await tab.press("k")  # says keep, which is not the question
        await tab.press("1")
        await tab.until(_SAID, 3)
        await tab.until("document.querySelectorAll('.card[aria-selected=true]').length", 0)
        assert said(workspace) == [("chibi", True, "ann")] * 3
        await tab.press("z")
        await tab.until(_SAID, 0)

    drive(visit)


def test_the_buttons_answer_without_taking_the_focus_away(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 2")
        await tab.press("ArrowRight")
        await tab.value("document.querySelector('.bar .to-true').focus()")
        for num in (1, 2):
            await tab.value("document.activeElement.click()")
            await tab.until(_SAID, num)
        await tab.until("document.getElementById('saving').textContent", "")
        assert said(workspace) == [("keep", True, "ann")] * 2

    drive(visit)


def test_a_refused_answer_says_so_and_shows_what_is_there(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 0")
        await tab.press("ArrowRight")
        image = await tab.value(_MARKED)
        bob = Answer(image_id=image, question="keep", answer=True)
        LabelLog(workspace).append([bob], by="bob", how="by hand")
        await tab.press("d")
        await tab.until("document.querySelector('.toast.refused')?.textContent.includes('bob')")
        badge = "document.querySelector('.card .said')?.title"
        await tab.until(badge, "bob said so")

    drive(visit)


def test_who_answers_is_asked_once(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open()
        await tab.value("localStorage.clear()")
        await tab.until(f"{_CARDS} > 0")
        await tab.press("ArrowRight")
        await tab.press("k")
        await tab.until("document.activeElement.id", "person")
        for letter in "eve":
            await tab.press(letter)
        await tab.value("document.querySelector('dialog form').requestSubmit()")
        await tab.until("document.getElementById('who').textContent", "eve")
        await tab.until(_SAID, 1)
        await tab.until("document.getElementById('saving').textContent", "")
        assert said(workspace) == [("keep", True, "eve")]
        await tab.press("d")
        await tab.until(_SAID, 2)

    drive(visit, before="")


def test_the_image_page_tells_the_story_and_goes_back_to_the_same_place(drive: Any) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open("?status=dropped&rule=duplicate")
        await tab.until(f"{_CARDS} > 0")
        await tab.press("ArrowRight")
        image = await tab.value(_MARKED)
        await tab.press("Enter")
        await tab.until(f"document.title.includes('/') && !!{_TITLE}")
        assert f"id={image}" in await tab.value("location.search")
        headings = await tab.value(
            "[...document.querySelectorAll('main h2')].map(one => one.textContent)"
        )
        assert headings[:3] == ["Decisions", "Near-duplicates", "What people said"]
        assert await tab.value("document.querySelectorAll('.decisions tbody tr').length") >= 5
        assert await tab.value("document.querySelectorAll('.decisions .gauge').length") >= 2
        assert await tab.value("document.querySelector('.members .stays')?.textContent") == "✓ kept"
        title = await tab.value("document.title")
        await tab.press("d")
        await tab.until(f"document.title === {json.dumps(title)}", False)  # on to the next
        await tab.press("ArrowLeft")
        await tab.until("document.querySelector('#history td:nth-child(4)')?.textContent", "drop")
        await tab.press("Escape")
        await tab.until(f"{_CARDS} > 0")
        assert await tab.value(_MARKED) == image
        assert "rule=duplicate" in await tab.value("location.search")

    drive(visit)


def test_a_queue_goes_on_after_each_answer_and_undo_comes_back(
    drive: Any, workspace: Workspace
) -> None:
    post = "document.querySelector('#stage bdi')?.textContent"
    waiting = "document.getElementById('left')?.textContent"

    async def visit(tab: Tab) -> None:
        await tab.open("?view=queue&queue=random-audit")
        await tab.until(f"!!{post}")
        first, num = await tab.value(post), int((await tab.value(waiting)).split()[0])
        await tab.press("k")
        await tab.until(waiting, f"{num - 1} waiting")
        assert await tab.value(post) != first
        await tab.until("document.getElementById('audit').textContent.startsWith('100.0 % right')")
        assert LabelLog(workspace).current()[0].how == "random-audit"
        await tab.press("z")
        await tab.until(post, first)
        await tab.press("u")  # unsure: on to the next, and not back at once
        await tab.until(waiting, f"{num - 1} waiting")
        await tab.until("document.getElementById('saving').textContent", "")
        assert await tab.value(post) != first

    drive(visit)


@pytest.mark.parametrize("queue", ["most-uncertain", "suspects", "duplicates"])
def test_every_queue_shows_an_image_to_answer(drive: Any, queue: str) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open(f"?view=queue&queue={queue}&question=chibi")
        await tab.until("document.querySelectorAll('#stage .answer').length", 3)
        assert await tab.value("document.querySelectorAll('#stage .shot').length") >= 1
        assert (
            await tab.value("document.querySelectorAll('#stage .answer')[0].dataset.answer")
            == "true"
        )

    drive(visit)


def test_the_slider_counts_flips_and_saves_a_proposal(drive: Any, workspace: Workspace) -> None:
    tile = "Number(document.querySelector('#flip-drop dd')?.textContent)"
    move = """(() => {
      const slider = document.getElementById("slider");
      slider.value = slider.max; slider.dispatchEvent(new Event("input"));
      return Number(slider.value);
    })()"""

    async def visit(tab: Tab) -> None:
        await tab.open("?view=thresholds&rule=background")
        await tab.until(tile, 0)
        await tab.value(move)
        await tab.until(f"{tile} > 0")
        await tab.until("document.querySelectorAll('.strips .member').length > 0")
        flips = await tab.value(tile)
        await tab.reload()
        await tab.until(tile, flips)
        await tab.click("#save")
        await tab.until(
            "document.querySelector('#saved pre')?.textContent.startsWith('ganime curate')"
        )

    drive(visit)
    name = workspace.list("datasets", "proposed_thresholds.json")
    assert len(name) == 1


def test_hostile_tags_run_nothing_and_links_lead_to_the_web_only(drive: Any) -> None:
    async def visit(tab: Tab) -> None:
        await tab.open("?tag=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&view=gallery")
        await tab.until("document.querySelectorAll('#chips .chip').length", 1)
        assert await tab.value("document.querySelectorAll('#chips img').length") == 0
        schemes = "[...new Set([...document.links].map(one => one.protocol))].join()"
        assert await tab.value(schemes) == "http:"
        assert not any("x-onerror" in one or "alert" in one for one in tab.complaints)

    drive(visit)
