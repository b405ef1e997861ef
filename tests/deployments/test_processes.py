"""Children are kept alive, and none outlives its parent's wish."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.operate import ServiceError, server
from flows.operate.plan import ROOT
from flows.operate.processes import MAX_STARTS, Child, Supervisor, descendants

# Starts a grandchild in a session of its own, as workers start runs, and prints its number.
FAMILY = (
    "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', "
    "'import time; time.sleep(600)'], start_new_session=True); print(child.pid, flush=True); "
    "time.sleep(600)"
)


def python(name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", code], dict(os.environ))


def wait_for(question: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not question():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_stopping_a_child_ends_what_it_started(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, tmp_path / "logs", print)
    child = python("family", FAMILY)
    supervisor.start(child)
    said = tmp_path / "logs" / "family.log"
    wait_for(lambda: said.read_text().endswith("\n"))
    grandchild = int(said.read_text())
    assert child.process is not None
    assert descendants(child.process.pid) == {grandchild}
    supervisor.stop(child, patience_s=30)
    assert not child.is_alive
    wait_for(lambda: not is_running(grandchild))


SUPERVISED = (
    "import os, sys, time; from pathlib import Path; "
    "from flows.operate.processes import Child, Supervisor; here = Path(sys.argv[1]); "
    "supervisor = Supervisor(here, here / 'logs', print); code = 'import time; time.sleep(600)'; "
    "child = Child('patient', [sys.executable, '-c', code], dict(os.environ)); "
    "supervisor.start(child); print(child.process.pid, flush=True); time.sleep(600)"
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux's kernel does this")
def test_a_child_does_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISED, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        # Past the leash's own start, which a signal would end as well.
        wait_for(lambda: b"leash" not in Path(f"/proc/{child}/cmdline").read_bytes())
        supervisor.kill()
        wait_for(lambda: not is_running(child))


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, tmp_path / "logs", print)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); "
    child = python("deaf", deaf + "time.sleep(600)")
    supervisor.start(child)
    wait_for(lambda: "up" in (tmp_path / "logs" / "deaf.log").read_text())
    supervisor.stop(child, patience_s=0.2)
    assert not child.is_alive


def test_a_dead_child_is_started_again_and_at_last_named_with_its_last_words(
    tmp_path: Path,
) -> None:
    supervisor = Supervisor(tmp_path, tmp_path / "logs", print)
    die_too_often(supervisor, is_vital=True)
    with pytest.raises(ServiceError) as error:
        supervisor.tend()
    assert f"poorly ended {MAX_STARTS} times within 10 minutes" in str(error.value)
    assert "status 3: it said 'no such database'; all of it is in" in str(error.value)


def test_a_child_that_is_not_vital_is_given_up_while_all_else_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path, tmp_path / "logs", said.append)
    die_too_often(supervisor, is_vital=False)
    supervisor.tend()
    assert "it said 'no such database'" in said[-1]
    assert said[-1].endswith("it is not started again, all else goes on")
    supervisor.tend()
    assert len(said) == MAX_STARTS
    supervisor.stop(supervisor.children[0], patience_s=1)
    assert supervisor.children == []


def die_too_often(supervisor: Supervisor, *, is_vital: bool) -> None:
    child = python("poorly", "print('no such database'); raise SystemExit(3)")
    child.is_vital = is_vital
    supervisor.start(child)
    for _ in range(MAX_STARTS - 1):
        wait_for(lambda: not child.is_alive)
        supervisor.tend()
    wait_for(lambda: not child.is_alive)


def test_a_port_that_another_program_has_is_named() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind((server.HOST, 0))
        listener.listen()
        # It never answers, so that asking whether it is a server must come to an end by itself.
        port = listener.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"port {port} is taken by another program"):
            server.require_free(port, "another program", "--port")


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
