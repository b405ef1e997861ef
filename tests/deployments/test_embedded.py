"""The server that a command brings along: started early, used by Prefect, gone with the command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.operate.plan import ROOT

pytestmark = pytest.mark.slow
BEGIN = """
from flows import settings
settings.apply(debug=False)
import os, signal
from flows.operate.embedded import embedded_server
from flows.operate.processes import descendants
"""
RUN = """
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

@flow
def told() -> str:
    with get_client(sync_client=True) as client:
        assert get_current_settings().flows.heartbeat_frequency is None
        return client.server_type.value
"""
USED = """
with embedded_server() as ready:
    (early,) = descendants(os.getpid())
    ready()
    ready()
    kind = told()
    print(kind, early, *descendants(os.getpid()))
"""
DEAD = """
with embedded_server() as ready:
    (early,) = descendants(os.getpid())
    os.kill(early, signal.SIGKILL)
    ready()
    print(told(), early, *descendants(os.getpid()))
"""
FAILED = """
try:
    with embedded_server():
        (early,) = descendants(os.getpid())
        raise ValueError("a wrong setting")
except ValueError:
    print(early, *descendants(os.getpid()))
"""
NAMED = """
with embedded_server() as ready:
    ready()
    print(*descendants(os.getpid()))
"""


def said(code: str, home: Path, **environment: str) -> list[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        cwd=ROOT,
        env={**clean, "PREFECT_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def is_running(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_flows_use_the_server_that_was_started_before_them(tmp_path: Path) -> None:
    kind, early, *servers = said(RUN + USED, tmp_path)
    assert kind == "EPHEMERAL"
    assert servers == [early]
    assert not is_running(early)


def test_a_server_that_died_is_left_to_prefect(tmp_path: Path) -> None:
    kind, early, *servers = said(RUN + DEAD, tmp_path)
    assert kind == "EPHEMERAL"
    (other,) = servers
    assert other != early
    assert not is_running(other)


def test_a_wrong_setting_leaves_no_server(tmp_path: Path) -> None:
    early, *servers = said(FAILED, tmp_path)
    assert servers == []
    assert not is_running(early)


def test_none_is_started_where_the_settings_name_one(tmp_path: Path) -> None:
    assert said(NAMED, tmp_path, PREFECT_API_URL="http://127.0.0.1:9/api") == []
