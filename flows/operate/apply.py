"""Bring a plan to a server: pools, limits, automations, deployments."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
import yaml  # type: ignore[import-untyped]
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import settings
from flows.operate import ServiceError
from flows.operate.automations import SILENCE_S, apply_automations
from flows.operate.limits import apply_limits
from flows.operate.plan import WORKER_VARIABLES, Plan
from flows.operate.pools import apply_pool


def apply(plan: Plan, url: str, silence_s: int = SILENCE_S) -> None:
    """Make a server what the plan says; applying it again changes nothing.

    Args:
        plan: A plan that `flows.operate.check.check` finds nothing wrong with.
        url: The server's API.
        silence_s: How long a run may give no sign of life [s].

    Raises:
        ConfigError: the server has a pool of that name for other workers.
        ServiceError: Prefect refused a deployment; repeats what it said.
    """
    with temporary_settings({PREFECT_API_URL: url}):
        anyio.run(_apply_objects, plan, silence_s)
    _deploy(plan, url)


async def _apply_objects(plan: Plan, silence_s: int) -> None:
    async with get_client() as client:
        for pool in filter(None, plan.pools.values()):
            await apply_pool(client, pool)
        await apply_limits(client)
        await apply_automations(client, silence_s)


def _deploy(plan: Plan, url: str) -> None:
    """`prefect deploy` on the plan's document: entrypoints are relative to the root."""
    given = {**os.environ, **settings.DEFAULTS, **plan.variables, "PREFECT_API_URL": url}
    environment = {key: text for key, text in given.items() if key not in WORKER_VARIABLES}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump(plan.document, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        done = subprocess.run(
            [*command, "--prefect-file", str(file)],
            cwd=plan.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to answer
        )
    if done.returncode != 0:
        said = _last_lines((done.stdout + done.stderr).splitlines())
        raise ServiceError(f"prefect deploy failed (status {done.returncode}): {said}")


def _last_lines(lines: Sequence[str]) -> str:
    return " | ".join([line.strip(" │╭╮╰╯─") for line in lines if line.strip(" │╭╮╰╯─")][-6:])
