"""Prefect's settings stand in two places, since each is read where the other is not."""

import tomllib
from pathlib import Path
from typing import Any

from flows import settings
from flows.operate import server
from flows.operate.automations import SILENCE_S

ROOT = Path(__file__).parents[2]
# Only for processes of ours, or only for Prefect's own commands.
ELSEWHERE = {
    "DO_NOT_TRACK",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS",
    "OPENBLAS_NUM_THREADS",
    "OMP_WAIT_POLICY",
}


def flat(table: dict[str, Any], prefix: str = "PREFECT") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        name = f"{prefix}_{key.upper()}"
        if isinstance(value, dict):
            found |= flat(value, name)
        else:
            found[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def test_commands_of_prefect_run_under_the_same_settings_as_ours() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["prefect"]
    theirs = flat(table)
    ours = {name: text for name, text in settings.DEFAULTS.items() if name not in ELSEWHERE}
    cors = "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"
    assert theirs == {**ours, cors: server.environment(4200)[cors]}


def test_a_run_may_lose_three_heartbeats_before_it_counts_as_dead() -> None:
    heartbeat = int(settings.DEFAULTS["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
    assert 4 * heartbeat <= SILENCE_S
