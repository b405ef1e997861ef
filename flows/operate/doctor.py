"""`ganime doctor`: is everything in place that an unattended ganime needs?"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import anyio
import httpx
from packaging.requirements import Requirement
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType, WorkerStatus
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.operate import server
from flows.operate.automations import missing_automations
from flows.operate.check import check
from flows.operate.limits import missing_limits
from flows.operate.plan import Plan
from flows.operate.up import UpConfig
from ganime.errors import GanimeError, StoreError
from ganime.store.workspace import Workspace

_FREE_BYTES = 5_000_000_000  # a few thousand originals, a dataset and a model
_START = "start it with `ganime up`"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        ok: Whether it is in order.
        found: What there is.
        advice: What to do about it; empty if it is in order.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""


Findings = Iterator[Finding]


def examine(config: UpConfig) -> Findings:
    """Look at everything, from what is installed to what the server does; reads only.

    Args:
        config: As it was given to `ganime up`.

    Yields:
        Findings, each as soon as it is known.
    """
    yield from _versions()
    try:
        plan = config.plan()
    except GanimeError as error:
        yield Finding("deployments", False, str(error), "put this right first")
        return
    yield _deployments(plan)
    yield from _workspace(plan.variables["GANIME_WORKSPACE"])
    yield _device()
    yield _weights(plan)
    yield from _server(config.port)
    if server.healthy(config.port):
        with temporary_settings({PREFECT_API_URL: server.api_url(config.port)}):
            yield from anyio.run(_on_the_server, plan)
    yield _review(config.review_port)


def _versions() -> Findings:
    """What is installed against what pyproject.toml asks for: others fail in silence."""
    try:
        wanted = [Requirement(text) for text in requires("ganime") or []]
    except PackageNotFoundError:
        yield Finding("versions", False, "ganime is not installed", "pip install --editable .")
        return
    wrong = []
    for item in wanted:
        if item.marker is not None and not item.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(item.name)
        except PackageNotFoundError:
            there = ""
        if not there or not item.specifier.contains(there.partition("+")[0], prereleases=True):
            wrong.append(f"{item.name} {there or 'is missing'} (wanted {item.specifier or 'any'})")
    found = ", ".join(wrong) or f"prefect {version('prefect')}, torch {version('torch')}"
    advice = "pip install --requirement requirements.lock" if wrong else ""
    yield Finding("versions", not wrong, found, advice)


def _deployments(plan: Plan) -> Finding:
    problems = check(plan)
    if problems:
        return Finding("deployments", False, "; ".join(map(str, problems)), "correct the file")
    return Finding("deployments", True, f"{len(plan.deployments)} in order ({plan.environment})")


def _workspace(url: str) -> Findings:
    store = Workspace(url)
    try:
        store.check_writable()
        yield Finding("workspace", True, f"{store.describe()} can be written to")
    except StoreError as error:
        yield Finding("workspace", False, str(error), "name another with --workspace")
        return
    if store.is_local:
        free = shutil.disk_usage(_existing(Path(url))).free
        ok = free >= _FREE_BYTES
        advice = "" if ok else f"wanted {_FREE_BYTES / 1e9:.0f} GB: make room, or move it"
        yield Finding("disk", ok, f"{free / 1e9:.0f} GB free", advice)


def _existing(path: Path) -> Path:
    return next(item for item in (path, *path.absolute().parents) if item.exists())


def _device() -> Finding:
    import torch  # here, so that what does not need it is told at once

    if torch.cuda.is_available():
        return Finding("device", True, f"CUDA: {torch.cuda.get_device_name()}")
    threads = torch.get_num_threads()
    return Finding("device", True, f"CPU, {threads} threads: training works, but slowly")


def _weights(plan: Plan) -> Finding:
    """Files of weights that deployments name."""
    named = {
        str(value)
        for item in plan.deployments
        for key, value in _leaves(item.get("parameters") or {})
        if key in ("weights", "inception_weights") and value not in ("", "download", "tags", "none")
    }
    lacking = sorted(name for name in named if not Path(name).expanduser().is_file())
    if lacking:
        return Finding("weights", False, f"no file {', '.join(lacking)}", "give the right path")
    return Finding("weights", True, ", ".join(sorted(named)) or "no deployment names a file")


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, str(name))
    else:
        yield key, value


def _server(port: int) -> Findings:
    if not server.healthy(port):
        yield Finding("server", False, f"nothing answers at {server.api_url(port)}", _START)
        return
    yield Finding("server", True, server.api_url(port))
    try:
        seen = httpx.get(f"{server.api_url(port)}/admin/settings", timeout=10).json()["server"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        yield Finding("settings", False, f"the server does not tell them: {error}", _START)
        return
    wrong = [text for text, is_wrong in _SETTINGS.items() if is_wrong(seen)]
    found = "; ".join(wrong) or "as `ganime up` sets them"
    advice = "start the server with `ganime up`, or from the repository's root" if wrong else ""
    yield Finding("settings", not wrong, found, advice)


_SETTINGS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "it reports usage to an outside host": lambda it: it["analytics_enabled"],
    "its newer pages ask an outside host": lambda it: it["ui"]["v2_enabled"],
    "any web page may start runs (CORS is *)": lambda it: "*" in it["api"]["cors_allowed_origins"],
    "it records task runs one by one": lambda it: (
        it["services"]["task_run_recorder"]["batch_size"] < 10
    ),
}


async def _on_the_server(plan: Plan) -> list[Finding]:
    async with get_client() as client:
        return [
            *[await _pool(client, name) for name in plan.pools],
            _present("limits", await missing_limits(client)),
            _present("automations", await missing_automations(client)),
            *[item for name in _ids(plan) if (item := await _deployed(client, plan, name))],
        ]


def _present(name: str, missing: list[str]) -> Finding:
    if missing:
        return Finding(name, False, f"missing: {', '.join(missing)}", "apply them: `ganime deploy`")
    return Finding(name, True, "all present")


async def _pool(client: PrefectClient, name: str) -> Finding:
    try:
        pool = await client.read_work_pool(name)
    except ObjectNotFound:
        return Finding(f"pool {name}", False, "missing", "apply it: `ganime deploy`")
    workers = await client.read_workers_for_work_pool(name)
    online = [item.name for item in workers if item.status == WorkerStatus.ONLINE]
    if pool.is_paused:
        return Finding(f"pool {name}", False, "paused", f"prefect work-pool resume {name}")
    if not online:
        start = f"start one: prefect worker start --pool {name}"
        return Finding(f"pool {name}", False, "no worker is online: runs wait", start)
    return Finding(f"pool {name}", True, f"workers online: {', '.join(online)}")


def _ids(plan: Plan) -> list[str]:
    return [str(item["name"]) for item in plan.deployments if item.get("name")]


async def _deployed(client: PrefectClient, plan: Plan, name: str) -> Finding:
    """Whether a deployment is there and, if it has a schedule, whether runs come of it."""
    found = [item for item in await client.read_deployments() if item.name == name]
    title = f"deployment {name}"
    if not found:
        return Finding(title, False, "missing", "apply it: `ganime deploy`")
    if not any(schedule.active for schedule in found[0].schedules):
        return Finding(title, True, "present, starts on demand")
    if found[0].paused:
        return Finding(title, False, "paused: its schedule is idle", "resume it on its page")
    runs = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found[0].id])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
        ),
    )
    times = [run.expected_start_time for run in runs if run.expected_start_time]
    coming = sorted(time for time in times if time > datetime.now(UTC))
    if not coming:
        # What a release of SQLAlchemy that Prefect cannot use does, and a server just started.
        advice = "wait a minute, then compare versions with requirements.lock"
        return Finding(title, False, "its schedule makes no runs", advice)
    return Finding(title, True, f"next run {coming[0]:%Y-%m-%d %H:%M} UTC")


def _review(port: int) -> Finding:
    url = f"http://{server.HOST}:{port}"
    try:
        status = httpx.get(url, timeout=10).status_code
    except httpx.HTTPError:
        return Finding("review page", False, f"nothing answers at {url}", "`ganime review`")
    ok = status < httpx.codes.INTERNAL_SERVER_ERROR
    return Finding("review page", ok, f"{url} (status {status})", "" if ok else "see its log")
