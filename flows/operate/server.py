"""Prefect's server: its settings, its address, whether it answers."""

import socket
import sys
import time
from collections.abc import Callable

import httpx

from flows import settings
from flows.operate import ServiceError

HOST = "127.0.0.1"  # without a login whoever reaches the server can start runs


def api_url(port: int) -> str:
    """Where clients find the server."""
    return f"http://{HOST}:{port}/api"


def command(port: int) -> list[str]:
    """What starts a server that tries again where SQLite is busy."""
    # -P: what the current folder holds is not meant.
    return [sys.executable, "-P", "-m", "flows.operate.serving", HOST, str(port)]


def environment(port: int) -> dict[str, str]:
    """Settings of the server and of all that talk to it, beside those of `flows.settings`."""
    return {
        **settings.DEFAULTS,
        "PREFECT_API_URL": api_url(port),
        # `*`, the default, lets any page open in a browser on this machine start runs.
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": (
            f"http://{HOST}:{port},http://localhost:{port}"
        ),
        # What `ganime` silences for its own console belongs into the logs of a service.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
    }


def free_port() -> int:
    """A port where nobody listens; somebody else may take it before it is used."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def require_free(port: int, what: str, option: str) -> None:
    """Nobody listens there yet.

    Raises:
        ServiceError: somebody does; says who, as far as that can be told.
    """
    with socket.socket() as listener:
        # As servers do: a port whose last user has just gone is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            who = "a Prefect server, probably of another `ganime up`" if healthy(port) else what
            raise ServiceError(
                f"port {port} is taken by {who} ({error.strerror}): stop that one, or choose "
                f"another port with {option}"
            ) from error


def healthy(port: int, timeout_s: float = 5) -> bool:
    """Whether a Prefect server answers there, within this time [s]."""
    try:
        # Plain HTTP: to read the certificates first would take 50 times as long as to ask.
        answer = httpx.get(f"{api_url(port)}/health", timeout=timeout_s, verify=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK and answer.text.strip() == "true"


def wait_until_healthy(port: int, timeout_s: float, go_on: Callable[[], bool]) -> bool:
    """Wait for the server; a new database takes it 10 s, a busy machine longer.

    Args:
        port: Where it will answer.
        timeout_s: How long to wait [s].
        go_on: Asked between two tries; False ends the waiting.

    Returns:
        Whether it answers; False only if `go_on` said so.

    Raises:
        ServiceError: it did not answer in time.
    """
    end = time.monotonic() + timeout_s
    while not healthy(port):
        if not go_on():
            return False
        if time.monotonic() > end:
            raise ServiceError(f"the server at port {port} did not answer within {timeout_s:.0f} s")
        time.sleep(0.1)
    return True
