"""`ganime review` as a person starts it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ganime.config import Config
from ganime.rows import ImageRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A crawl that found nothing: even then there is something to look at."""
    store = Workspace(str(tmp_path / "workspace"))
    origin = Provenance(stage="crawl", revision=1, config=Config(), run_id="run")
    Table(store, ImageRow, "crawl").write("images", [], origin)
    return tmp_path / "workspace"


def start(workspace: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.cli", "review", "--workspace", str(workspace)]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": str(workspace.parent / "prefect")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )


def test_it_says_where_the_page_is_serves_it_and_ends_when_interrupted(workspace: Path) -> None:
    token = "a-token-that-nobody-guesses"
    process = start(workspace, "--port", "0", "--token", token)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        assert address.endswith(f"/?token={token}")
        with httpx.Client(follow_redirects=True) as client:
            page = client.get(address)
            assert "<title>ganime review</title>" in page.text
            assert token not in str(page.url)
        assert httpx.get(address.partition("?")[0]).status_code == 401
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_a_token_that_can_be_guessed_is_refused(workspace: Path) -> None:
    process = start(workspace, "--token", "secret")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "at least 16" in error


def test_the_whole_net_needs_names_to_be_called_by(workspace: Path) -> None:
    process = start(workspace, "--host", "0.0.0.0")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "hosts" in error
