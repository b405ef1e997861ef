"""The end of `ganime up`, which the next file starts again."""

import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.operate.processes import descendants

pytestmark = pytest.mark.slow


def test_ctrl_c_cancels_what_runs_and_leaves_no_process(
    service: Any, wait_for: Callable[..., Any]
) -> None:
    service.start("train", seconds=600, note="last")
    (line,) = wait_for(lambda: service.notes("last"), "the run to begin")
    family = descendants(service.process.pid)
    assert int(line.split()[2]) in family
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(service.patience_s) == 0, service.output.read_text()
    assert "1 run cancelled" in service.output.read_text()
    wait_for(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], "their end")
    database = Path(service.environment["PREFECT_HOME"]) / "prefect.db"
    assert _states(database) <= {"COMPLETED", "CANCELLED", "SCHEDULED"}


def _states(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        return {row[0] for row in connection.execute("SELECT state_type FROM flow_run")}


def test_kill_9_leaves_no_process_either(service: Any, wait_for: Callable[..., Any]) -> None:
    service.launch()
    service.start("train", seconds=600, note="killed")
    wait_for(lambda: service.notes("killed"), "the run to begin")
    family = descendants(service.process.pid)
    service.process.kill()
    service.process.wait()
    # Its workers end their runs, as on SIGTERM; the next `ganime up` finds those dead by silence.
    wait_for(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()], "their end")
