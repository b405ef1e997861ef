"""A small checkout of its own: two pools, and flows that end in seconds; `ganime up` over it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows.operate.processes import descendants
from flows.operate.server import free_port
from ganime.store.workspace import Workspace

ROOT = Path(__file__).parents[2]

JOBS = '''
"""Flows that behave like ours and take seconds."""
import os, time
from dataclasses import dataclass, field
from pathlib import Path

from prefect import flow
from pydantic import Field, SecretStr

from ganime.config import Config
from tasks.policies import refuse_after


class Work(Config):
    """What to do."""

    seconds: float = Field(0.0, ge=0, description="How long it takes [s].")
    note: str = Field("", description="What to write down.")


def note(workspace: str, line: str) -> None:
    Path(workspace).mkdir(parents=True, exist_ok=True)
    with (Path(workspace) / "notes.txt").open("a") as file:
        file.write(f"{line} {os.getpid()} {time.time()}\\n")


@flow(name="work")
def work(workspace: str, work: Work = Work()) -> None:
    refuse_after(3)
    note(workspace, f"begin {work.note}")
    for _ in range(int(work.seconds * 10)):
        if (Path(workspace) / "enough").exists():
            break
        time.sleep(0.1)
    note(workspace, f"end {work.note}")


@dataclass
class Ref:
    name: str


@flow(name="needy")
def needy(workspace: str, dataset: Ref) -> None: ...


@flow(name="telling")
def telling(workspace: str, password: SecretStr = SecretStr("")) -> None: ...
'''

PREFECT_YAML = """
name: tiny
definitions:
  here: &here
    - prefect.deployments.steps.set_working_directory:
        directory: "{{ $GANIME_ROOT }}"
  common: &common
    entrypoint: jobs/jobs.py:work
    pull: *here
    work_pool: {name: cpu}
    parameters: {workspace: "{{ $GANIME_WORKSPACE }}"}
deployments:
  - <<: *common
    name: nightly
    tags: [cpu, autoresume]
    concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW}
    schedules:
      - {slug: nightly, cron: "0 3 * * *", timezone: Etc/UTC}
  - <<: *common
    name: on-demand
  - <<: *common
    name: resumed
    tags: [cpu, autoresume]
  - <<: *common
    name: train
    work_pool: {name: gpu}
"""


RETRAIN = """  - <<: *common
    name: retrain
    entrypoint: flows/retrain.py:retrain
    work_pool: {name: gpu}
    parameters: {workspace: "WHERE"}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


def make_checkout(root: Path) -> Path:
    (root / "jobs").mkdir(parents=True)
    (root / "jobs" / "jobs.py").write_text(JOBS)
    deployments = root / "deployments"
    shutil.copytree(ROOT / "deployments" / "pools", deployments / "pools")
    (deployments / "environments").mkdir()
    (deployments / "prefect.yaml").write_text(PREFECT_YAML)
    (deployments / "environments" / "local.yaml").write_text(
        "variables: {GANIME_WORKSPACE: workspace}\n"
    )
    return root


@pytest.fixture
def change(checkout: Path) -> Any:
    """Change one deployment of the small checkout."""

    def change(name: str, **values: Any) -> Path:
        file = checkout / "deployments" / "prefect.yaml"
        document = yaml.safe_load(file.read_text())
        for item in document["deployments"]:
            if item["name"] == name:
                item.update(values)
        file.write_text(yaml.safe_dump(document))
        return checkout

    return change


PATIENCE_S = 600  # of a busy machine; nothing waits so long unless something is wrong
START = "import sys; from flows.operate.up import UpConfig, up\n" + (
    "up(UpConfig.model_validate_json(sys.argv[1]), lambda line: print(line, flush=True))"
)


def wait_until(question: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"waited in vain for {what}")


@dataclass
class Service:
    """A running `ganime up` and its API."""

    checkout: Path
    settings: dict[str, Any]
    environment: dict[str, str]
    output: Path
    process: "subprocess.Popen[str]" = field(init=False)
    patience_s: float = PATIENCE_S

    def launch(self) -> None:
        """Start it, and wait until all of it answers."""
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.checkout,
                env=self.environment,
                text=True,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(lambda: "Ctrl-C" in self.output.read_text() or self.process.poll(), "the start")
        assert self.process.poll() is None, self.output.read_text()

    def command(self) -> list[str]:
        """What started it."""
        return [sys.executable, "-c", START, json.dumps(self.settings)]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{self.settings['port']}/api/{path}"

        def asked() -> tuple[httpx.Response, ...]:
            answer = httpx.request(method, url, json=body, timeout=PATIENCE_S)
            # SQLite on a busy disk: Prefect's own client asks again as well.
            return () if answer.is_server_error else (answer,)

        (answer,) = wait_until(asked, f"{method} {path}")
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployment(self, name: str, flow: str = "work") -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"deployments/name/{flow}/{name}")
        return found

    def start(self, name: str, **work: Any) -> str:
        """Start a run as the form of the page does."""
        workspace = str(self.checkout / "workspace")
        given = {"parameters": {"workspace": workspace, "work": work}}
        path = f"deployments/{self.deployment(name)['id']}/create_flow_run"
        return str(self.ask("POST", path, {**given, "state": {"type": "SCHEDULED"}})["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"flow_runs/{run_id}")
        return found

    def wait(self, run_id: str, state: str) -> dict[str, Any]:
        def there() -> Any:
            run = self.run(run_id)
            return run if run["state_name"] == state else None

        found: dict[str, Any] = wait_until(there, f"{state}; it is {self.run(run_id)['state']}")
        return found

    def notes(self, note: str) -> list[str]:
        file = self.checkout / "workspace" / "notes.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if f" {note} " in line]

    def worker(self, pool: str) -> int | None:
        for pid in descendants(self.process.pid):
            command = Path(f"/proc/{pid}/cmdline")
            if command.exists() and f"worker\0start\0--pool\0{pool}\0" in command.read_text():
                return pid
        return None


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., Any]:
    """Waits until a question has an answer."""
    return wait_until


@pytest.fixture(scope="module")
def service(only_service: Service) -> Service:
    """A running `ganime up`; a file may end it."""
    if only_service.process.poll() is not None:
        only_service.launch()
    return only_service


@pytest.fixture(scope="session")
def only_service(tmp_path_factory: pytest.TempPathFactory, write_version: Any) -> Iterator[Service]:
    """One `ganime up` for all files: its start takes longer than most tests."""
    checkout = make_checkout(tmp_path_factory.mktemp("checkout") / "checkout")
    # Elsewhere than the others' workspace, where nothing is to be seen, and so no review page.
    girls = tmp_path_factory.mktemp("girls")
    write_version(Workspace(str(girls)), "v1", 64)
    with (checkout / "deployments" / "prefect.yaml").open("a") as file:
        file.write(RETRAIN.replace("WHERE", str(girls)))
    for folder in ("flows", "tasks", "ganime"):  # `retrain` is the real one
        (checkout / folder).symlink_to(ROOT / folder)
    home = tmp_path_factory.mktemp("prefect-home")
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
    }
    environment.pop("PREFECT_API_URL", None)
    settings = {
        "root": str(checkout),
        "port": free_port(),
        "review_port": free_port(),
        "studio_port": free_port(),
        "silence_s": 40,
        "cpu_runs": 3,
        "start_s": PATIENCE_S,
    }
    service = Service(checkout, settings, environment, home / "up.log")
    try:
        service.launch()
        yield service
    finally:
        family = descendants(service.process.pid)
        service.process.kill()
        service.process.wait()
        for pid in family:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)
