"""The server that a command brings along, started while the command still imports.

Prefect starts one by itself when the first flow begins, and only then: its four seconds, and those
in which torch is imported, would pass one after the other.
"""

import atexit
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flows.operate import ServiceError, server
from flows.operate.leash import leashed

Ready = Callable[[], None]
# What Prefect gives its own: no pages, no services that a run does not need, settings read once.
_EMBEDDED = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


@contextmanager
def embedded_server() -> Iterator[Ready]:
    """Start the server that flows of this process will ask, if they are to have one of their own.

    Where Prefect's settings name a server, nothing is started. A server that does not come up is
    left to Prefect, which then starts another one.

    Yields:
        To be called before the first flow: waits for the server, and hands it to Prefect, which
        ends it with the process. Without that call it ends with the block.
    """
    from prefect.settings import (
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        get_current_settings,
        temporary_settings,
    )

    current = get_current_settings()
    if current.api.url or not current.server.ephemeral.enabled:
        yield lambda: None
        return
    port = server.free_port()
    given = current.to_environment_variables(exclude_unset=True)
    process = _start(port, {**os.environ, **_EMBEDDED, **given})
    is_handed_over = False

    def ready() -> None:
        nonlocal is_handed_over
        is_handed_over = is_handed_over or _hand_over(
            process, port, current.server.ephemeral.startup_timeout_seconds
        )

    try:
        # Nobody here looks for runs that fell silent, and every flow's end waits up to a second
        # for the thread that speaks for it.
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield ready
    finally:
        if not is_handed_over:
            process.kill()  # it has nothing to save
            process.wait()


def _start(port: int, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        leashed(server.command(port)), env=environment, stdin=subprocess.DEVNULL
    )


def _hand_over(process: "subprocess.Popen[bytes]", port: int, timeout_s: float) -> bool:
    """Let Prefect take the server for the one that it would have started."""
    from prefect.server.api.server import SubprocessASGIServer

    theirs = SubprocessASGIServer()
    if theirs.running:  # asked for a block meanwhile, Prefect has started its own
        return False
    try:
        if not server.wait_until_healthy(port, timeout_s, lambda: process.poll() is None):
            return False
    except ServiceError:
        return False
    theirs.port, theirs.server_process, theirs.running = port, process, True
    atexit.register(theirs.stop)
    return True
