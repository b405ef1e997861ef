"""Runs a program that is told to end as soon as the process that started it has gone.

`kill -9` leaves a supervisor no moment to end its children: they would hold the ports, and workers
would go on starting runs that nobody watches. Linux's kernel sends a signal in its stead
(PR_SET_PDEATHSIG), which outlives `exec`. It is SIGTERM, on which workers end their runs; killed at
once they would leave them. Other systems have no such thing: there the children live on.

A program of its own, since what runs between fork and exec in a process with threads may hang.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def leashed(command: Sequence[str]) -> list[str]:
    """The command that runs `command` so that it does not outlive this process."""
    if not sys.platform.startswith("linux"):
        return list(command)
    # Without the site's packages, which it does not need, Python starts in 15 ms.
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), *command]


def main(parent: int, command: Sequence[str]) -> None:
    """Become `command`, unless the parent has gone meanwhile."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the kernel was asked to watch it
        sys.exit(1)
    os.execvp(command[0], list(command))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
