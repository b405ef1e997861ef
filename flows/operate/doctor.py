"""`ganime doctor`: is everything in place that an unattended ganime needs?"""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.operate import drift, server
from flows.operate.automations import missing_automations
from flows.operate.check import check
from flows.operate.findings import Finding, Findings
from flows.operate.limits import missing_limits
from flows.operate.packages import missing_extras, wrong_packages
from flows.operate.plan import ROOT, Plan
from flows.operate.served import examine_page
from flows.operate.up import UpConfig, pages
from ganime.errors import ConfigError, GanimeError
from ganime.promotion import current
from ganime.store.lineage import models
from ganime.store.workspace import Workspace

_FREE_BYTES = 5_000_000_000  # a few thousand originals, a dataset and a model
_START = "start it with `ganime up`"


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
    if (yield from _server(config.port)):
        with temporary_settings({PREFECT_API_URL: server.api_url(config.port)}):
            yield from anyio.run(_on_the_server, plan)
    for page in pages(config):
        yield examine_page(page, plan)


def _versions() -> Findings:
    try:
        wrong, lacking = wrong_packages(ROOT), missing_extras(ROOT)
    except ConfigError as error:
        yield Finding("versions", False, str(error), "run ganime from a checkout")
        return
    found = ", ".join(wrong) or f"prefect {version('prefect')}, torch {version('torch')}"
    advice = "pip install --requirement requirements.lock" if wrong else ""
    yield Finding("versions", not wrong, found, advice)
    each = [f"{name} (pip install 'ganime[{name}]')" for name in lacking]
    yield Finding("extras", True, f"not installed: {', '.join(each)}" if each else "all installed")


def _deployments(plan: Plan) -> Finding:
    problems = check(plan)
    if problems:
        return Finding("deployments", False, "; ".join(map(str, problems)), "correct the file")
    return Finding("deployments", True, f"{len(plan.deployments)} in order ({plan.environment})")


def _workspace(url: str) -> Findings:
    store = Workspace(url)
    try:
        there = _existing(Path(url)) if store.is_local else None
        store.check_writable()
        yield Finding("workspace", True, f"{store.describe()} can be written to")
    except GanimeError as error:
        yield Finding("workspace", False, str(error), "name another with --workspace")
        return
    if there is not None:  # the folder that was made for the sake of asking
        for folder in itertools.takewhile(lambda item: item != there, _upwards(Path(url))):
            with contextlib.suppress(OSError):  # somebody has put something there meanwhile
                folder.rmdir()
    yield _model(store)
    if store.is_local:
        free = shutil.disk_usage(_existing(Path(url))).free
        ok = free >= _FREE_BYTES
        advice = "" if ok else f"wanted {_FREE_BYTES / 1e9:.0f} GB: make room, or move it"
        yield Finding("disk", ok, f"{free / 1e9:.0f} GB free", advice)


def _model(store: Workspace) -> Finding:
    """What the studio shows and a retraining must beat."""
    try:
        there, chosen = models(store), current(store)
    except GanimeError as error:
        return Finding("model", False, str(error), "restore it, or choose: `ganime models promote`")
    if chosen is None:
        return Finding("model", True, f"{len(there)} trained, none promoted")
    if chosen not in there:
        advice = "choose another: `ganime models promote`"
        return Finding("model", False, f"the current one, {chosen}, is gone", advice)
    return Finding("model", True, f"{len(there)} trained, {chosen} is the current one")


def _existing(path: Path) -> Path:
    return next(item for item in _upwards(path) if item.exists())


def _upwards(path: Path) -> tuple[Path, ...]:
    return (path.absolute(), *path.absolute().parents)


def _device() -> Finding:
    import torch  # here, so that what does not need it is told at once

    if torch.cuda.is_available():
        return Finding("device", True, f"CUDA: {torch.cuda.get_device_name()}")
    threads = torch.get_num_threads()
    count = f"{threads} thread{'s' * (threads != 1)}"
    return Finding("device", True, f"CPU, {count}: training works, but slowly")


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


def _server(port: int) -> Generator[Finding, None, bool]:
    """Gives whether there is one to ask further."""
    if not server.healthy(port):
        yield Finding("server", False, f"nothing answers at {server.api_url(port)}", _START)
        return False
    yield Finding("server", True, server.api_url(port))
    yield _settings(port)
    return True


def _settings(port: int) -> Finding:
    try:
        seen = httpx.get(f"{server.api_url(port)}/admin/settings", timeout=10).json()["server"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Finding("settings", False, f"the server does not tell them: {error}", _START)
    wrong = [text for text, is_wrong in _SETTINGS.items() if is_wrong(seen)]
    found = "; ".join(wrong) or "as `ganime up` sets them"
    advice = "start the server with `ganime up`, or from the repository's root" if wrong else ""
    return Finding("settings", not wrong, found, advice)


_SETTINGS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "it reports usage to an outside host": lambda it: it["analytics_enabled"],
    "its newer pages ask an outside host": lambda it: it["ui"]["v2_enabled"],
    "any web page may start runs (CORS is *)": lambda it: "*" in it["api"]["cors_allowed_origins"],
    "it records task runs one by one": lambda it: (
        it["services"]["task_run_recorder"]["batch_size"] < 10
    ),
}


async def _on_the_server(plan: Plan) -> list[Finding]:
    named = [item for item in plan.deployments if item.get("name")]
    async with get_client() as client:
        there = {item.name: item for item in await client.read_deployments()}
        return [
            *[await _pool(client, name) for name in plan.pools],
            _present("limits", await missing_limits(client)),
            _present("automations", await missing_automations(client)),
            *[await _deployed(client, plan, item, there) for item in named],
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


async def _deployed(
    client: PrefectClient,
    plan: Plan,
    item: Mapping[str, Any],
    there: Mapping[str, DeploymentResponse],
) -> Finding:
    """Whether a deployment is as planned and, if it has a schedule, whether runs come of it."""
    title, found = f"deployment {item['name']}", there.get(item["name"])
    if found is None:
        return Finding(title, False, "missing", "apply it: `ganime deploy`")
    if changed := "; ".join(drift.changes(item, found, plan.variables)):
        return Finding(title, False, changed, drift.ADVICE)
    if not any(schedule.active for schedule in found.schedules):
        starts = "its schedule is switched off" if found.schedules else "starts on demand"
        return Finding(title, True, f"present, {starts}")
    if found.paused:
        return Finding(title, False, "paused: its schedule is idle", "resume it on its page")
    runs = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found.id])),
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
