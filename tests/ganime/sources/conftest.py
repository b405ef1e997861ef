"""A scripted web server on loopback: the test says what each path answers."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Serves one handler in a thread and remembers what it was asked."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[web.Request] = []
        self._handler = handler
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> str:
        self._thread.start()
        assert self._started.wait(10)
        return self.url

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await self._handler(request)

    def _serve(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._started.set()
        await self._stopped.wait()
        await runner.cleanup()


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], Server]]:
    servers = []

    def start(handler: Handler) -> Server:
        server = Server(handler)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
