"""What goes wrong, as `application/problem+json` (RFC 9457)."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ganime.errors import ConfigError, GanimeError, StoreError, WeightsError
from ganime.studio.batching import BusyError
from ganime.studio.models import UnknownModelError
from ganime.studio.schemas import Problem

KIND = "application/problem+json"
RETRY_S = 5  # when to ask again what was too slow
_WAIT = {"description": "When to ask again [s].", "schema": {"type": "integer", "minimum": 1}}


def _described(about: str, *, comes_again: bool = False) -> dict[str, Any]:
    found = {"description": about, "content": {KIND: {"schema": Problem.model_json_schema()}}}
    return {**found, "headers": {"Retry-After": _WAIT}} if comes_again else found


# In the API's description, instead of what FastAPI says there by itself.
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: _described("The body cannot be read."),
    401: _described("The token is missing or wrong."),
    403: _described("A POST from another site, or not application/json."),
    404: _described("There is no such model or address."),
    405: _described("The address is not asked so; Allow says how."),
    413: _described("The body is too long."),
    421: _described("The server does not answer to that host name."),
    422: _described("The wishes are wrong, or the model cannot do them."),
    429: _described("Too much is asked for at once.", comes_again=True),
    500: _described("Something went wrong in the server."),
    503: _described("The model cannot be read.", comes_again=True),
    504: _described("It took too long.", comes_again=True),
}
log = logging.getLogger(__name__)


def tell(status: int, detail: str) -> tuple[bytes, bytes]:
    """A problem as content type and body."""
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return KIND.encode(), json.dumps(problem.model_dump()).encode()


def _told(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    kind, body = tell(status, detail)
    return Response(body, status, headers, kind.decode())


def _again(seconds: int) -> dict[str, str]:
    return {"retry-after": str(seconds)}


def add_problems(app: FastAPI) -> None:
    """Answer errors so."""

    @app.exception_handler(BusyError)
    def busy(request: Request, error: BusyError) -> Response:
        return _told(429, str(error), _again(error.retry_after_s))

    @app.exception_handler(TimeoutError)
    def slow(request: Request, error: TimeoutError) -> Response:
        return _told(504, "it took too long: ask for fewer or smaller images", _again(RETRY_S))

    @app.exception_handler(UnknownModelError)
    def unknown(request: Request, error: UnknownModelError) -> Response:
        return _told(404, str(error))

    @app.exception_handler(ConfigError)
    def wrong(request: Request, error: ConfigError) -> Response:
        return _told(422, str(error))

    @app.exception_handler(WeightsError)
    @app.exception_handler(StoreError)
    def unusable(request: Request, error: GanimeError) -> Response:
        log.warning("%s: %s", request.url.path, error)
        return _told(503, "the model cannot be read; the server's log says why", _again(RETRY_S))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        found = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return _told(422, "; ".join(found)[:2000])

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        return _told(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return _told(500, "something went wrong; the server's log says what")
