"""The practice booru's HTTP server, on loopback."""

import asyncio
import logging
import socket
import threading
import time
from asyncio.transports import Transport
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ganime.errors import ConfigError, GanimeError
from ganime.practice.answers import not_found
from ganime.practice.collection import Collection
from ganime.practice.corpus import Corpus
from ganime.practice.faults import FaultSchedule, Spoiling
from ganime.practice.protocol import Handler
from ganime.practice.protocols import PROTOCOLS
from ganime.practice.traffic import Traffic

logger = logging.getLogger(__name__)
Fault = Callable[[Request], Response | Spoiling | None]
START_TIMEOUT_S = 10.0


class PracticeSite:
    """The site itself, an ASGI application.

    Args:
        corpus: What it shows.
        protocol: One of `PROTOCOLS`.
        latency_s: Wait before every answer [s].
        page_cap: Most posts of one page, whatever is asked for; the site's own limit if None.
        first_posts: Show only so many of the oldest posts, to let the site grow later; all if None.
        faults: Asked first on every request, whose `state` holds its `kind`, the `protocol` and the
            `site`: what it returns is the answer, or changes the true answer; None means go on.
        users: Accounts that the site knows, name or number to key; None knows everybody.

    Attributes:
        requests: Counts by kind: list, image, thumbnail, page.
        paths: Path and query of every such request, in order.
        traffic: How many requests came, how close together, over how many connections.
        robots: The site's robots.txt; None if it has none.

    Raises:
        ConfigError: there is no such protocol, or a fault makes no sense with it.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        protocol: str = "safebooru",
        latency_s: float = 0.0,
        page_cap: int | None = None,
        first_posts: int | None = None,
        faults: Fault | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        if protocol not in PROTOCOLS:
            raise ConfigError(f"no protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
        if isinstance(faults, FaultSchedule):
            faults.check(protocol)
        spoken = PROTOCOLS[protocol]
        self.corpus = corpus
        self.latency_s = latency_s
        self.faults = faults
        self.collection = Collection(
            corpus, first_posts=first_posts, lists_deleted=spoken.LISTS_DELETED
        )
        self.protocol = spoken(self.collection, page_cap=page_cap, users=users)
        self.robots: str | None = None
        self.traffic = Traffic()
        self.requests: Counter[str] = Counter()
        self.paths: list[str] = []

    def show(self, first_posts: int | None) -> None:
        """Let the site have only its oldest posts, or all (None)."""
        self.collection.show(first_posts)

    def change(self, post_id: int, tags: Iterable[str]) -> None:
        """Give a post other tags; see `Collection.change`."""
        self.collection.change(post_id, tags)

    def replace(self, post_id: int, file: Path) -> None:
        """Give a post another file; see `Collection.replace`."""
        self.collection.replace(post_id, file)

    def delete(self, post_id: int) -> None:
        """Take a post away; see `Collection.delete`."""
        self.collection.delete(post_id)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        request = Request(scope, receive)
        is_robots = request.url.path == "/robots.txt"
        route = ("robots", self._robots) if is_robots else self.protocol.route(request)
        kind, handler = route or ("", _missing)
        self._note(request, kind)
        self.traffic.arrive(kind or "page")
        try:
            answer = await self._answer(request, kind, handler)
            await answer(scope, receive, send)
        except Exception:
            logger.exception("practice booru: no answer to %s", request.url.path)
            raise
        finally:
            self.traffic.leave(kind or "page")

    def _note(self, request: Request, kind: str) -> None:
        if kind and kind != "robots":
            self.requests["image" if kind == "file" else kind] += 1
            query = f"?{request.url.query}" if request.url.query else ""
            self.paths.append(request.url.path + query)

    async def _answer(
        self,
        request: Request,
        kind: str,
        handler: Handler,
    ) -> Response:
        began = time.monotonic()
        while (left := began + self.latency_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.1))  # it may be changed meanwhile
        fault = self._fault(request, kind)
        if isinstance(fault, Response):
            return fault
        answer = handler(request)
        if not isinstance(answer, Response):
            answer = await answer
        return answer if fault is None else fault(answer)

    def _fault(self, request: Request, kind: str) -> Response | Spoiling | None:
        if self.faults is None:
            return None
        request.state.kind = kind
        request.state.protocol = self.protocol.NAME
        request.state.site = self
        return self.faults(request)

    def _robots(self, request: Request) -> Response:
        return not_found() if self.robots is None else PlainTextResponse(self.robots)


def _missing(request: Request) -> Response:
    return not_found()


class PracticeServer(PracticeSite):
    """The site on a port of this machine, in a thread, as long as the `with` block runs.

    Args:
        corpus: What it shows.
        port: 0 takes a free one.
        host: Loopback unless said otherwise.
        protocol: See `PracticeSite`, as for the others.
    """

    def __init__(
        self,
        corpus: Corpus,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        protocol: str = "safebooru",
        latency_s: float = 0.0,
        page_cap: int | None = None,
        first_posts: int | None = None,
        faults: Fault | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            corpus,
            protocol=protocol,
            latency_s=latency_s,
            page_cap=page_cap,
            first_posts=first_posts,
            faults=faults,
            users=users,
        )
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """Root of the site, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._socket = listen(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(_settings(self))
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="practice-booru", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self._close()
                raise GanimeError(f"the practice booru did not start at {self.url}")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._server.should_exit = True
        self._thread.join(START_TIMEOUT_S)
        self._socket.close()


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Raises:
        GanimeError: it is taken already, or the host is not ours.
    """
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it, every answer
    # would wait 40 ms for an acknowledgement.
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(512)
    except OSError as error:
        taken.close()
        raise GanimeError(f"cannot serve at {host}:{port}: {error.strerror or error}") from error
    return taken


def serve(
    corpus: Corpus, host: str = "127.0.0.1", port: int = 8300, *, protocol: str = "safebooru"
) -> None:
    """Serve until interrupted.

    Raises:
        GanimeError: the port is taken.
        ConfigError: there is no such protocol.
    """
    site = PracticeSite(corpus, protocol=protocol)
    with listen(host, port) as taken:
        logger.info("practice booru: http://%s:%d", host, taken.getsockname()[1])
        try:
            uvicorn.Server(_settings(site)).run([taken])
        except KeyboardInterrupt:
            logger.info("practice booru: stopped")


def _settings(site: PracticeSite) -> uvicorn.Config:
    class Counted(H11Protocol):
        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            site.traffic.connect()
            super().connection_made(transport)

    return uvicorn.Config(
        site.app,
        interface="asgi3",
        http=Counted,
        ws="none",
        log_config=None,
        log_level="critical",  # it calls the answers that we break off errors
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
