"""The pipeline where nothing lies on a disk: Prefect on PostgreSQL, the workspace on S3."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.operate.server import free_port
from ganime.practice.corpus import Corpus
from ganime.practice.server import PracticeServer
from ganime.store.labels import Answer, LabelLog
from ganime.store.lineage import datasets
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NOBODY = 65534  # PostgreSQL refuses to run as root
PATIENCE_S = 300.0


def wait_until(is_there: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_there():
        assert process.poll() is None, "it ended before it answered"
        assert time.monotonic() < until, "it did not answer in time"
        time.sleep(0.2)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(timeout=PATIENCE_S)


def binaries() -> Path:
    """Where Debian, or the path, has PostgreSQL."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (found := shutil.which("initdb")) is not None:
        places.append(Path(found).parent)
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    pytest.skip("no PostgreSQL: apt-get install postgresql")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of an empty database, for Prefect."""
    programs, port = binaries(), free_port()
    # Not below pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="ganime-postgres-") as name:
        folder = Path(name)
        who: Any = {"user": NOBODY, "group": NOBODY} if os.getuid() == 0 else {}
        if who:
            os.chown(folder, NOBODY, NOBODY)
        data = folder / "data"
        create = [programs / "initdb", "--auth=trust", "--username=prefect", "--no-sync", data]
        subprocess.run(create, check=True, stdout=subprocess.DEVNULL, cwd=folder, **who)
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", folder]
        command = [programs / "postgres", "-D", data, "-p", str(port), *settings]
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, **who)
        ready = [programs / "pg_isready", "--host=127.0.0.1", f"--port={port}", "--quiet"]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, process)
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
        end(process)


@pytest.fixture(scope="module")
def server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the API of a Prefect server on that database."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path_factory.mktemp("server")),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres,
    }
    prefect = Path(sys.executable).parent / "prefect"
    command = [prefect, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def is_there() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                return answer.read() == b"true"
        except OSError:
            return False

    wait_until(is_there, process)
    yield url
    end(process)


@pytest.fixture(scope="module")
def finished(
    server: str,
    bucket: str,
    corpus: Corpus,
    command: Any,
    smoke_arguments: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, str, str]:
    """The same run on S3 and on a disk: both workspaces, and what the first one printed."""
    local = str(tmp_path_factory.mktemp("local"))
    remote = f"{bucket}/whole"
    output, port = [], 0
    for url in (remote, local):
        with PracticeServer(corpus, port) as booru:  # it remembers which faults it has shown
            port = int(booru.url.rsplit(":", 1)[1])
            done = command.run(*smoke_arguments(booru.url, url), PREFECT_API_URL=server)
        assert done.returncode == 0, done.stderr
        output.append(done.stdout)
    return remote, local, output[0]


def test_the_whole_run_works_without_a_disk(finished: tuple[str, str, str]) -> None:
    remote, _, output = finished
    store = Workspace(remote)
    ((name, version),) = datasets(store)
    assert Dataset(store, name, version).members
    assert store.list("models", ".safetensors")
    (report,) = store.list("reports", "index.html")
    assert f"report: {store.describe(report)}" in output
    assert store.read_bytes(report).rstrip().endswith(b"</html>")


def test_every_row_is_as_on_a_disk(finished: tuple[str, str, str], rows_of: Any) -> None:
    remote, local, _ = finished
    assert rows_of(remote) == rows_of(local)


def test_runs_are_in_postgres(finished: tuple[str, str, str], server: str) -> None:
    request = urllib.request.Request(f"{server}/flow_runs/count", b"{}", method="POST")
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert int(answer.read()) >= 2


def test_a_label_given_on_one_machine_counts_in_the_run_of_another(
    finished: tuple[str, str, str], server: str, command: Any, tmp_path: Path
) -> None:
    remote = finished[0]
    store = Workspace(remote)
    ((name, version),) = datasets(store)
    image_id = Dataset(store, name, version).members[0].image_id
    answer = Answer(image_id=image_id, question="keep", answer=False)
    LabelLog(store).append([answer], by="ann", how="by hand")
    # The temporary folder is all that a machine of its own would not have.
    (tmp_path / "elsewhere").mkdir()
    done = command.run(
        *("curate", name, "--workspace", remote),
        PREFECT_API_URL=server,
        TMPDIR=str(tmp_path / "elsewhere"),
    )
    assert done.returncode == 0, done.stderr
    versions = {found for _, found in datasets(store)} - {version}
    assert len(versions) == 1
    members = Dataset(store, name, versions.pop()).members
    assert image_id not in {row.image_id for row in members}
