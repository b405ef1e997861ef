"""The script that runs first in a container, as a process, without an engine."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
NOBODY = 65534
# Of the system rather than the checkout's: nobody may not look into every home.
PYTHON = next(path for path in ("/usr/bin/python3", sys.executable) if Path(path).exists())
LIMIT_S = 60


def start(*command: str, user: int | None = NOBODY, **environment: str) -> "subprocess.Popen[str]":
    as_user = {"user": user} if os.getuid() == 0 and user is not None else {}
    return subprocess.Popen(
        [PYTHON, "-c", (DOCKER / "entrypoint.py").read_text(), *command],
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        **as_user,  # type: ignore[call-overload]
    )


def run(*command: str, **environment: str) -> tuple[int, str, str]:
    process = start(*command, **environment)
    output, errors = process.communicate(timeout=LIMIT_S)
    return process.returncode, output, errors


@pytest.fixture
def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_the_command_replaces_it_and_its_status_is_the_containers() -> None:
    process = start("sh", "-c", "echo $$; exit 7")
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 7
    assert int(output) == process.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    script = f"trap 'echo heard; exit 3' {number.name[3:]}; echo ready; while :; do sleep 0.1; done"
    process = start("sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    output, _ = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output) == (3, "heard\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can try to run it as root")
def test_root_is_refused() -> None:
    process = start("true", user=None)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    assert "refusing to run as root" in errors


def test_it_says_for_what_it_waits_and_starts_once_it_is_there(free_port: int) -> None:
    process = start("echo", "started", GANIME_WAIT_FOR=f"127.0.0.1:{free_port}")
    assert process.stderr is not None
    assert f"waiting for 127.0.0.1:{free_port} (" in process.stderr.readline()
    with socket.create_server(("127.0.0.1", free_port)):
        output, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output) == (0, "started\n"), errors


def test_waiting_ends_with_a_sentence(free_port: int) -> None:
    began = time.monotonic()
    address = f"127.0.0.1:{free_port}"
    code, output, errors = run("echo", "started", GANIME_WAIT_FOR=address, GANIME_WAIT_S="1")
    assert (code, output) == (1, "")
    assert f"{address} did not answer within 1 s" in errors
    assert time.monotonic() - began < LIMIT_S / 2


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GANIME_WAIT_FOR": "postgres"}, "wanted host:port"),
        ({"GANIME_WAIT_FOR": "a:1", "GANIME_WAIT_S": "soon"}, "wanted a number of seconds"),
        ({"TMPDIR": "/proc/none/tmp"}, "mount a volume there"),
    ],
)
def test_wrong_settings_are_told(environment: dict[str, str], message: str) -> None:
    code, _, errors = run("true", **environment)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


def test_a_command_that_is_not_there_is_named() -> None:
    assert run("no-such-command")[0] == 127
    assert "no command given" in run()[2]


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (403, 0), (503, 1)])
def test_health_is_an_answer_below_500(page: str, status: int, code: int) -> None:
    done = health(f"{page}/{status}")
    assert done.returncode == code, done.stderr
    assert (f"answers {status}" in done.stderr) == bool(code)


def test_no_answer_is_no_health_and_no_page_nothing_to_ask(free_port: int) -> None:
    done = health(f"http://127.0.0.1:{free_port}/")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert health("").returncode == 0


def health(url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PYTHON, DOCKER / "health.py"],
        env={"GANIME_HEALTH_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
