"""Prefect's server, which tries again by itself where SQLite was busy, and never stands still.

A transaction that has read and now wants to write fails at once if somebody else wrote in between
(SQLITE_BUSY_SNAPSHOT, https://www.sqlite.org/isolation.html). The server then answers 503, having
changed nothing, and leaves it to its clients to ask again. Its own pages do not: who presses
"Submit" would read of an error.
"""

import asyncio
import gc
import itertools
import os
import random
import sys
import threading
import time
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TRIES = 60  # who pressed "Submit" would rather wait for a while than read of an error
PAUSE_S = 0.25  # at most, between two tries: longer than most transactions


class RetryWhenBusy:
    """ASGI middleware: a change that is answered with 503 is asked for again.

    Args:
        app: What answers.
        tries: How often it is asked at most.
    """

    def __init__(self, app: ASGIApp, tries: int = TRIES) -> None:
        self._app, self._tries = app, tries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what only reads, and what is no request, is passed on as it is."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        for _ in range(self._tries - 1):
            answer = _Answer(send)
            try:
                await self._app(dict(scope), _replayed(body, receive), answer)
            except Exception:
                # Starlette answers, and then raises again for the server's log.
                if not answer.is_withheld:
                    raise
            if not answer.is_withheld:
                return
            await asyncio.sleep(random.uniform(0, PAUSE_S))
        await self._app(scope, _replayed(body, receive), send)


async def _body(receive: Receive) -> list[Message]:
    """What was sent, up to its end or until the client went away."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _replayed(body: list[Message], receive: Receive) -> Receive:
    rest = iter(body)

    async def next_message() -> Message:
        return next(rest, None) or await receive()

    return next_message


class _Answer:
    """Passes an answer on as it comes, unless it says that the server was busy."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.is_withheld = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_withheld = message["status"] == HTTPStatus.SERVICE_UNAVAILABLE
        if not self.is_withheld:
            await self._send(message)


def _collect_garbage() -> None:
    """In place of the automatic collection, which would run in the event loop's thread.

    There it may find a cursor that an error has left behind, and waits to reset it until its
    connection is free; that one waits up to a minute for the lock of another, which the event loop
    would have to tell to commit. Here only this thread waits.
    """
    for second in itertools.count():
        time.sleep(1)
        gc.collect(2 if second % 30 == 29 else 1)


def serve(host: str, port: int) -> None:
    """Run the server until it is told to end, as `prefect server start` would."""
    os.environ.setdefault("PREFECT_MESSAGING_BROKER", "flows.operate.messages")
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    settings = get_current_settings().server
    app = RetryWhenBusy(create_app(final=True))
    gc.disable()
    gc.freeze()
    threading.Thread(target=_collect_garbage, name="garbage", daemon=True).start()
    uvicorn.run(
        app,
        host=host,
        port=port,
        lifespan="on",  # a start that fails ends it
        timeout_keep_alive=settings.api.keepalive_timeout,
        log_level=settings.logging_level.lower(),
    )


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
