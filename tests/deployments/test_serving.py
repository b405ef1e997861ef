"""A server that asks again where its database was busy, over HTTP."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from flows.operate.serving import RetryWhenBusy

TRIES = 4


class BusyError(Exception):
    """What the database raises."""


@dataclass
class Database:
    """Refuses the next few transactions, and counts those that were tried."""

    refusals: int = 0
    tried: list[str] = field(default_factory=list)

    def write(self, what: str) -> None:
        self.tried.append(what)
        if self.refusals:
            self.refusals -= 1
            raise BusyError


Ask = Callable[..., httpx.Response]


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def ask(
    database: Database,
    serving: Callable[[uvicorn.Server, socket.socket], AbstractContextManager[str]],
) -> Iterator[Ask]:
    app = FastAPI()

    async def busy(request: Request, error: Exception) -> JSONResponse:
        is_busy = isinstance(error, BusyError)
        return JSONResponse({"exception_message": "…"}, status_code=503 if is_busy else 500)

    # As Prefect does: for `Exception`, so that Starlette raises again after the answer.
    app.add_exception_handler(Exception, busy)

    @app.api_route("/runs", methods=["GET", "POST", "PATCH"])
    async def runs(request: Request) -> dict[str, int]:
        text = (await request.body()).decode()
        database.write(text)
        return {"length": len(text)}

    @app.post("/broken")
    async def broken() -> None:
        database.write("broken")
        raise ValueError("not for want of trying")

    with _served(RetryWhenBusy(app, TRIES), serving) as url, httpx.Client(base_url=url) as client:
        yield client.request


@contextmanager
def _served(
    app: RetryWhenBusy, serving: Callable[..., AbstractContextManager[str]]
) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    with serving(uvicorn.Server(uvicorn.Config(app, log_level="critical")), listener) as url:
        yield url


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("refusals", range(TRIES))
def test_a_change_is_asked_for_until_the_database_takes_it(
    ask: Ask, database: Database, method: str, refusals: int
) -> None:
    database.refusals = refusals
    text = "a run" * 100_000  # arrives in several parts
    answer = ask(method, "/runs", content=text)
    assert (answer.status_code, answer.json()) == (200, {"length": len(text)})
    assert database.tried == [text] * (refusals + 1)


def test_a_database_that_stays_busy_is_told_of(ask: Ask, database: Database) -> None:
    database.refusals = 100
    assert ask("POST", "/runs").status_code == 503
    assert len(database.tried) == TRIES


def test_other_failures_are_not_tried_again(ask: Ask, database: Database) -> None:
    assert ask("POST", "/broken").status_code == 500
    assert database.tried == ["broken"]


def test_what_only_reads_is_not_tried_again(ask: Ask, database: Database) -> None:
    database.refusals = 1
    assert ask("GET", "/runs").status_code == 503
    assert len(database.tried) == 1
