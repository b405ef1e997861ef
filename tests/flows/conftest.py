import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

import ganime.rows
from flows.operate import server
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.server import PracticeServer
from ganime.rows import Row
from ganime.store.manifest import read_footer, read_part, stable_columns
from ganime.store.workspace import Workspace

ROOT = Path(__file__).parents[2]
NUM_POSTS = 160


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.build(PracticeConfig(posts=NUM_POSTS, seed=3), tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def booru(corpus: Corpus) -> Iterator[PracticeServer]:
    with PracticeServer(corpus) as server:
        yield server


@dataclass(frozen=True)
class Command:
    """The `ganime` command as a user has it: a process of its own.

    Attributes:
        home: Prefect's folder.
        api_url: Of a server that runs already; without one each command brings its own.
    """

    home: Path
    api_url: str = ""

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        env = {**os.environ, "PREFECT_HOME": str(self.home), "COLUMNS": "200", **environment}
        env.pop("PREFECT_API_URL", None)
        asked = {"PREFECT_API_URL": self.api_url, **environment}
        env.update({key: value for key, value in asked.items() if value})
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments],
            cwd=ROOT,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=400)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("prefect-home"))


@pytest.fixture(scope="session")
def served_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The command beside a running server, as teams have it; it starts sooner."""
    home = tmp_path_factory.mktemp("served-prefect-home")
    port = server.free_port()
    environment = {**os.environ, **server.environment(port), "PREFECT_HOME": str(home)}
    log = home / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            server.command(port), cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        is_up = server.wait_until_healthy(port, 300, lambda: process.poll() is None)
        assert is_up, log.read_text()
        yield Command(home, server.api_url(port))
    finally:
        process.terminate()
        process.wait(60)


def committed_rows(url: str) -> dict[str, list[str]]:
    """All manifests below a workspace: their rows without the volatile columns, sorted."""
    workspace = Workspace(url)
    classes = {item.__name__: item for item in vars(ganime.rows).values() if _is_row(item)}
    found: dict[str, list[str]] = {}
    for key in workspace.list("", ".parquet"):
        row = classes.get(read_footer(workspace, key)["row"])
        if row is not None:
            table: pa.Table = read_part(workspace, key, row, stable_columns(row))
            folder = key.rsplit("/", 1)[0]
            rows = [item for item in table.to_pylist() if item.get("name") != "images_per_second"]
            found.setdefault(folder, []).extend(map(str, rows))
    return {folder: sorted(rows) for folder, rows in found.items()}


def _is_row(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, Row) and item is not Row


@pytest.fixture(scope="session")
def rows_of() -> object:
    return committed_rows


def smoke(url: str, workspace: Path, *more: str, tags: str = "full_body standing") -> Sequence[str]:
    """Arguments of the smallest whole run."""
    where = ["--url", url, "--tags", tags, "--workspace", str(workspace)]
    return ["run", "--preset", "smoke", *where, *more]


@pytest.fixture(scope="session")
def smoke_arguments() -> object:
    return smoke


@pytest.fixture(scope="session")
def artifact() -> Callable[[str], str]:
    """Reads what the newest artifact of a key says, from the server that the tests run on."""
    from prefect.client.orchestration import get_client

    async def read(key: str) -> str:
        async with get_client() as client:
            found = [item for item in await client.read_artifacts() if item.key == key]
            return str(max(found, key=lambda item: str(item.created)).data)

    return lambda key: asyncio.run(read(key))
