"""What runs first in a container: check who we are, wait for what we need, become the command.

GANIME_WAIT_FOR="server:4200 postgres:5432" names addresses that must answer first, and
GANIME_WAIT_S how long that may take. The command then replaces this process, so that signals reach
it, and its exit status is the container's.
"""

import os
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

TELL_EVERY_S = 5.0
TRY_EVERY_S = 0.5
TRY_FOR_S = 2.0  # a packet that a firewall swallows is never refused


def main(command: list[str]) -> None:
    """Become the command, or say in one sentence why not (status 2; 1 where waiting ended)."""
    if not command:
        fail("no command given: try `ganime --help`", 2)
    if os.getuid() == 0:
        fail("refusing to run as root: leave out --user, or name one that is not 0", 2)
    make_folders()
    wait_for(os.environ.get("GANIME_WAIT_FOR", ""), os.environ.get("GANIME_WAIT_S", "120"))
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        fail(f"cannot start {command[0]}: {error.strerror}", 127)


def make_folders() -> None:
    """Have the temporary folder that TMPDIR names; a new volume is empty."""
    folder = os.environ.get("TMPDIR")
    if folder:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fail(
                f"cannot make {folder}: {error.strerror}; mount a volume there that user "
                f"{os.getuid()} may write to",
                2,
            )


def wait_for(addresses: str, limit: str) -> None:
    """Wait until every address takes a connection, and say for which."""
    try:
        until = time.monotonic() + float(limit)
    except ValueError:
        fail(f"GANIME_WAIT_S is {limit!r}: wanted a number of seconds", 2)
    for address in addresses.split():
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            fail(f"GANIME_WAIT_FOR has {address!r}: wanted host:port, blanks between", 2)
        wait_for_one(host, int(port), until, limit)


def wait_for_one(host: str, port: int, until: float, limit: str) -> None:
    """Wait for one address; the last reason is told now and then, and at the end."""
    told = 0.0
    while (why := refusal(host, port)) is not None:
        now = time.monotonic()
        if now >= until:
            fail(f"{host}:{port} did not answer within {limit} s ({why}); is it running?", 1)
        if now - told >= TELL_EVERY_S:
            told = now
            say(f"waiting for {host}:{port} ({why})")
        time.sleep(TRY_EVERY_S)


def refusal(host: str, port: int) -> str | None:
    """Why it takes no connection; None if it does."""
    try:
        socket.create_connection((host, port), timeout=TRY_FOR_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def say(message: str) -> None:
    """Tell whoever reads the container's log."""
    sys.stderr.write(f"ganime: {message}\n")
    sys.stderr.flush()


def fail(message: str, status: int) -> NoReturn:
    """Tell it, and end."""
    say(message)
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
