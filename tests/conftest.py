import asyncio
import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn

# Before torch and numpy are imported, here and in what tests start: small tensors gain nothing from
# more threads, and threads that wait for each other crawl where other tests use the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_BETWEEN_PAGES = (  # what Chromium says of a page that is just being left
    "Inspected target navigated or closed",
    "Execution context was destroyed.",
    "Cannot find default execution context",
)
Serving = Callable[[uvicorn.Server, socket.socket], AbstractContextManager[str]]
ROOT = Path(__file__).parents[1]
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
    "Tab": 9,
}


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights that are never part of the project; tests skip without them."""
    folder = Path(os.environ.get("GANIME_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real images or weights at {folder}; GANIME_SHARED names their folder")
    return folder


@pytest.fixture(scope="session")
def write_version() -> Callable[..., None]:
    """Makes a whole version of the dataset `girls`: `num` discs on white, 32 px a side, by hand.

    It becomes the latest one, in a workspace that bears the mark of a backbone of random weights.
    """
    import numpy as np

    from ganime.backbones import BackboneConfig
    from ganime.rows import DecisionRow, FeatureRow, MemberRow
    from ganime.stages.curate import CurateConfig
    from ganime.store.lineage import point_to_latest
    from ganime.store.manifest import Provenance, Table
    from ganime.store.pixels import write_shard

    def write(store: Any, version: str, num: int) -> None:
        root = f"datasets/girls/{version}"
        made = Provenance(
            stage="curate", revision=1, config=CurateConfig(name="girls", resolution=32), run_id="r"
        )
        ids = [f"{number:064x}" for number in range(num)]
        members = [
            MemberRow(image_id=item, shard=f"{root}/images.npy", offset=i, split="train", tags=[])
            for i, item in enumerate(ids)
        ]
        decisions = [
            DecisionRow(
                **{"image_id": item, "rule": "person", "order": 0, "reason": None, "score": None},
                **{"threshold": None, "evidence": None, "decided_by": "rule", "verdict": "keep"},
            )
            for item in ids
        ]
        Table(store, MemberRow, root=root).write("members", members, made)
        Table(store, DecisionRow, root=root).write("decisions", decisions, made)
        rng = np.random.default_rng(0)
        y, x = np.mgrid[:32, :32]
        images = np.full((num, 32, 32, 3), 255, np.uint8)
        for image in images:
            centre, radius = rng.integers(12, 20, 2), rng.integers(5, 11)
            image[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = rng.integers(0, 200, 3)
        write_shard(store, f"{root}/images.npy", images)
        store.write_text(f"{root}/card.md", "made by hand")
        point_to_latest(store, "girls", version)
        backbone = BackboneConfig(weights="none", size=32, device="cpu")
        measured = Provenance(stage="classify", revision=1, config=backbone, run_id="r")
        Table(store, FeatureRow, "scope").write("a", [], measured)

    return write


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """URL of an empty bucket on a local S3 server, which the environment points to."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()  # those of other tests have other credentials
        # A name of its own: what a machine copies for an address must not outlive the server.
        name = f"ganime-{secrets.token_hex(4)}"
        s3fs.S3FileSystem().mkdir(name)
        yield f"s3://{name}"
    server.stop()


@pytest.fixture(scope="session")
def serving() -> Serving:
    """Runs a page's server at its socket while a block lasts; gives its address."""

    @contextmanager
    def run(server: uvicorn.Server, listener: socket.socket) -> Iterator[str]:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server ended before it began"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
            listener.close()

    return run


class Navigated(Exception):  # noqa: N818 - no error where a page is waited for
    """The page that was asked is there no more, and the next one not yet."""


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
            message = await asyncio.wait_for(self._socket.receive_json(), 180)
            if message.get("id") == self._number:
                if message.get("error", {}).get("message") in _BETWEEN_PAGES:
                    raise Navigated(message["error"]["message"])
                assert "result" in message, message
                answer: dict[str, Any] = message["result"]
                return answer
            self._note(message)

    async def value(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, wanted: Any = True) -> None:
        """Wait until an expression has a value."""
        deadline = time.monotonic() + 180  # others may be at work on this machine
        while True:
            try:
                found = await self.value(expression)
            except Navigated as error:
                found = error
            if found == wanted:
                return
            assert time.monotonic() < deadline, "\n".join(
                [f"{expression} is {found!r}, not {wanted!r}", *self.complaints]
            )
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
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    async def click(self, selector: str) -> None:
        """Click an element."""
        quoted = json.dumps(selector)
        await self.until(f"!!document.querySelector({quoted})")
        await self.value(f"document.querySelector({quoted}).click()")

    async def picture(self) -> bytes:
        """What is to be seen, as PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.complaints.append(json.dumps(told))
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {told['message']}")


@pytest.fixture(scope="session")
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
        deadline = time.monotonic() + 180  # others may be at work on this machine
        while not (told.exists() and "\n" in told.read_text()):
            assert time.monotonic() < deadline, "the browser does not start"
            time.sleep(0.1)
        yield int(told.read_text().splitlines()[0])
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def visit_page(browser_port: int) -> Callable[..., Tab]:
    """Runs a visit to a server's pages in a browser; nothing outside of it is asked."""

    def run(url: str, visit: Callable[[Tab], Awaitable[None]], **how: Any) -> Tab:
        return asyncio.run(_visited(browser_port, url, visit, **how))

    return run


async def _visited(
    port: int,
    url: str,
    visit: Callable[[Tab], Awaitable[None]],
    *,
    width: int = 1280,
    height: int = 900,
    dark: bool = False,
    before: str = "",
) -> Tab:
    async with _tab(port, url) as tab:
        for domain in ("Page", "Network", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await tab.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await tab.call("Emulation.setEmulatedMedia", features=[scheme])
        if before:
            await tab.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        await visit(tab)
        assert [
            one for one in tab.requests if not one.startswith((url, f"blob:{url}", "data:"))
        ] == []
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
