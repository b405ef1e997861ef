"""`ganime up`: everything that ganime needs to run by itself, on one machine, until Ctrl-C."""

import itertools
import logging
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings
from pydantic import Field

from flows.operate import ServiceError, server
from flows.operate.apply import apply
from flows.operate.automations import SILENCE_S
from flows.operate.check import require_in_order
from flows.operate.plan import ROOT, Plan, load
from flows.operate.processes import Child, Supervisor
from flows.operate.runs import cancel_runs, close_runs
from ganime.config import Config
from ganime.store.lineage import latest, latest_key, models, without_variants
from ganime.store.workspace import Workspace
from ganime.training.keys import snapshots

log = logging.getLogger("ganime.up")
Say = Callable[[str], None]
_CONSOLE_LEVEL = "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"


class UpConfig(Config):
    """What to start, and where."""

    environment: str = Field("local", description="File of deployments/environments/.")
    workspace: str = Field("", description="Folder or fsspec URL; the environment's if empty.")
    port: int = Field(4200, ge=1, le=65535, description="Port of the server and its pages.")
    review_port: int = Field(8400, ge=1, le=65535, description="Port of the review page.")
    studio_port: int = Field(8500, ge=1, le=65535, description="Port of the studio.")
    schedules: bool = Field(True, description="Whether deployments start by the clock.")
    cpu_runs: int = Field(2, ge=1, description="Runs at once in each pool for CPUs.")
    silence_s: int = Field(
        SILENCE_S, ge=40, description="A run that is silent for so long counts as dead [s]."
    )
    start_s: float = Field(180, gt=0, description="How long to wait for the server [s].")
    cancel_s: float = Field(
        60, gt=0, description="How long runs may take to end on Ctrl-C [s]; 30 to save their work."
    )
    root: Path = Field(ROOT, description="Checkout that holds deployments/.")

    def plan(self) -> Plan:
        """What is deployed; the workspace is an absolute path, as workers run elsewhere.

        Raises:
            ConfigError: see `flows.operate.plan.load`.
        """
        there = load(self.root, self.environment).variables.get("GANIME_WORKSPACE", "workspace")
        url, beside = (self.workspace, Path()) if self.workspace else (there, self.root)
        place = url if "://" in url else str((beside / url).resolve())
        given = {"GANIME_WORKSPACE": place}
        return load(self.root, self.environment, variables=given, schedules=self.schedules)


def up(config: UpConfig, say: Say) -> None:
    """Start everything, keep it alive, and end all of it in good order on Ctrl-C or SIGTERM.

    Args:
        config: What to start.
        say: Told the addresses once they answer.

    Raises:
        ConfigError: the deployments are not in order; says all that is wrong with them.
        ServiceError: a port is taken, or a process does not stay alive.
    """
    plan = config.plan()
    server.require_free(config.port, "another program", "--port")
    for page in pages(config):
        server.require_free(page.port, "another program", f"--{page.command}-port")
    require_in_order(plan)
    with _until_stopped(say) as stopped:
        logs = get_current_settings().home / "logs" / "ganime-up"
        supervisor = Supervisor(plan.root, logs, say)
        try:
            _start(config, plan, supervisor, stopped, say)
            for second in itertools.count():
                if stopped.wait(1.0):
                    break
                supervisor.tend()
                if second % 10 == 0:  # it may be an object store that has to be asked
                    for page in _start_pages(config, plan, supervisor):
                        say(f"{page.title}: served from now on at {page.url}")
        finally:
            _wind_down(config, plan, supervisor, say)


def _start(
    config: UpConfig, plan: Plan, supervisor: Supervisor, stopped: threading.Event, say: Say
) -> None:
    environment = _environment(config, plan)
    first = Child("server", server.command(config.port), environment)
    say("starting the server, which takes some 15 s")
    supervisor.start(first)

    def go_on() -> bool:
        if not first.is_alive:
            raise ServiceError(f"the server ended at once: {supervisor.last_words(first)}")
        return not stopped.is_set()

    if not server.wait_until_healthy(config.port, config.start_s, go_on):
        return
    apply(plan, server.api_url(config.port), config.silence_s)
    for child in _workers(config, plan, environment):
        supervisor.start(child)
    started = _start_pages(config, plan, supervisor)
    say(f"runs and schedules: http://{server.HOST}:{config.port}")
    for page in pages(config):
        say(f"{page.title}: {page.url}{'' if page in started else f' (once {page.once})'}")
    say(f"logs: {supervisor.logs}")
    say("Ctrl-C cancels the runs and ends everything")


def _environment(config: UpConfig, plan: Plan) -> dict[str, str]:
    # Our commands keep Prefect's own log from the console; that of children goes to files.
    kept = {name: value for name, value in os.environ.items() if name != _CONSOLE_LEVEL}
    return {
        **kept,
        **server.environment(config.port),
        "GANIME_ROOT": str(plan.root),
        "GANIME_REVIEW_URL": f"http://{server.HOST}:{config.review_port}",
        "PYTHONPATH": _path(plan.root),
    }


def _path(root: Path) -> str:
    """Import path for children that start in other folders."""
    return os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))


def _workers(config: UpConfig, plan: Plan, environment: dict[str, str]) -> Iterator[Child]:
    """One worker for each pool.

    That of a pool for GPUs is started where there is none as well: retraining then takes longer,
    but it does not wait for ever.
    """
    for pool in filter(None, plan.pools.values()):
        limit = 1 if pool.name.startswith("gpu") else config.cpu_runs
        name = f"{pool.name}-{platform.node() or 'here'}"
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool.name]
        more = ["--type", pool.kind, "--name", name, "--limit", str(limit)]
        kept = ["--install-policy", "never", "--no-create-pool-if-not-found"]
        yield Child(f"worker-{pool.name}", [*command, *more, *kept], environment)


@dataclass(frozen=True)
class Page:
    """A page of ours that is served once the workspace has something to show.

    Attributes:
        title: What people call it.
        command: Of `ganime`.
        port: Where it listens.
        is_due: Whether there is something to show.
        once: The same in words.
        what: Arguments of the command that say what to show.
    """

    title: str
    command: str
    port: int
    is_due: Callable[[Workspace], bool]
    once: str
    what: Callable[[Workspace], Sequence[str]] = lambda _: ()

    @property
    def url(self) -> str:
        """Its address on this machine."""
        return f"http://{server.HOST}:{self.port}"

    @property
    def heading(self) -> str:
        """What its text has and that of other programs has not."""
        return f"<title>ganime {self.command}</title>"


def pages(config: UpConfig) -> list[Page]:
    """The pages that are served beside the server's own."""
    return [
        Page(
            *("review page", "review", config.review_port),
            *(_has_posts, "something has been crawled", _last_dataset),
        ),
        Page("studio", "studio", config.studio_port, _has_model, "a generator has been trained"),
    ]


def _start_pages(config: UpConfig, plan: Plan, supervisor: Supervisor) -> list[Page]:
    """Start those that have something to show by now, and give them."""
    started = {child.name for child in supervisor.children}
    missing = [page for page in pages(config) if page.command not in started]
    url = plan.variables["GANIME_WORKSPACE"]
    store = Workspace(url)
    due = [page for page in missing if page.is_due(store)]
    for page in due:
        where = ["--workspace", url, "--port", str(page.port)]
        command = [sys.executable, "-m", "flows.cli", page.command, *page.what(store), *where]
        supervisor.start(Child(page.command, command, _environment(config, plan), is_vital=False))
    return due


def _has_posts(workspace: Workspace) -> bool:
    return workspace.exists("manifests")


def _last_dataset(workspace: Workspace) -> list[str]:
    """The dataset that was made last; nothing where the page has no choice."""
    names = without_variants(workspace, dict(latest(workspace)))
    made = {name: workspace.modified(latest_key(name)) for name in names}
    return [max(names, key=lambda name: made[name])] if len(names) > 1 else []


def _has_model(workspace: Workspace) -> bool:
    return any(snapshots(workspace, model) for model in models(workspace))


def _wind_down(config: UpConfig, plan: Plan, supervisor: Supervisor, say: Say) -> None:
    """Runs first, while their workers live to end them; the server last, to be told of it."""
    url, pools = server.api_url(config.port), list(plan.pools)
    by_name = {child.name: child for child in supervisor.children}
    # Patient with a busy server: what is not cancelled now is killed.
    is_served = "server" in by_name and server.healthy(config.port, timeout_s=30)
    if is_served and (number := _ask(url, cancel_runs, pools, config.cancel_s)):
        say(f"{number} run{'s' * (number > 1)} cancelled")
    for child in [item for name, item in by_name.items() if name != "server"]:
        supervisor.stop(child, patience_s=20)
    if is_served:
        _ask(url, close_runs, pools)
    if "server" in by_name:
        supervisor.stop(by_name["server"], patience_s=30)


def _ask(url: str, question: Callable[..., Any], *arguments: object) -> int:
    """Ask the server; one that has gone meanwhile must not keep the rest from ending."""

    async def ask() -> int:
        client: PrefectClient
        async with get_client() as client:
            return int(await question(client, *arguments))

    try:
        with temporary_settings({PREFECT_API_URL: url}):
            return anyio.run(ask)
    except (httpx.HTTPError, OSError) as error:
        log.warning("the server does not answer: %s", error)
        return 0


@contextmanager
def _until_stopped(say: Say) -> Iterator[threading.Event]:
    """Set by SIGINT or SIGTERM; both again only say that it is being done."""
    stopped = threading.Event()

    def stop(number: int, _frame: object) -> None:
        is_known = stopped.is_set()
        say("ending already" if is_known else "ending: runs are given time to save their work")
        stopped.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
