"""`ganime up` as a whole: a real server, real workers, real runs, and what kills them."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow
Wait = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def cut(service: Any, wait_for: Wait) -> tuple[str, int]:
    """A run that lost its power, and its worker's: all other tests run while that is noticed."""
    run = service.start("resumed", seconds=600, note="power")
    (line,) = wait_for(lambda: service.notes("power"), "the run to begin")
    # Only a run that has once shown a sign of life can be missed.
    asked = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}
    wait_for(lambda: run in json.dumps(service.ask("POST", "events/filter", asked)), "its pulse")
    worker = service.worker("cpu")
    assert worker
    for pid in (worker, int(line.split()[2])):
        os.kill(pid, signal.SIGKILL)
    return run, worker


def test_it_says_where_everything_is(service: Any) -> None:
    said = service.output.read_text()
    assert f"http://127.0.0.1:{service.settings['port']}\n" in said
    assert f"http://127.0.0.1:{service.settings['review_port']} (once something" in said
    assert f"http://127.0.0.1:{service.settings['studio_port']} (once a generator" in said


def test_a_second_one_says_that_the_first_is_there(service: Any) -> None:
    done = subprocess.run(
        service.command(),
        env=service.environment,
        capture_output=True,
        text=True,
    )
    assert "ServiceError: port " in done.stderr
    assert "is taken by a Prefect server, probably of another `ganime up`" in done.stderr


def test_only_its_own_pages_may_start_runs(service: Any) -> None:
    port = service.settings["port"]
    for origin, is_ours in ((f"http://127.0.0.1:{port}", True), ("https://example.org", False)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = httpx.options(
            f"http://127.0.0.1:{port}/api/flow_runs/", headers=asked, timeout=service.patience_s
        )
        assert (answer.headers.get("access-control-allow-origin") == origin) is is_ours
    seen = service.ask("GET", "admin/settings")["server"]
    assert seen["analytics_enabled"] is False
    assert seen["ui"]["v2_enabled"] is False
    assert seen["services"]["task_run_recorder"]["batch_size"] == 100
    assert seen["events"]["messaging_broker"] == "flows.operate.messages"


def test_the_cron_yields_runs_at_night(service: Any, wait_for: Wait) -> None:
    nightly = service.deployment("nightly")

    def scheduled() -> Any:
        asked = {"deployments": {"id": {"any_": [nightly["id"]]}}}
        return service.ask("POST", "flow_runs/filter", asked)

    times = {run["expected_start_time"][11:16] for run in wait_for(scheduled, "scheduled runs")}
    assert times == {"03:00"}


def test_the_doctor_misses_nothing(service: Any, wait_for: Wait) -> None:
    from flows.operate.doctor import examine
    from flows.operate.up import UpConfig

    def report() -> list[str]:
        config = UpConfig.model_validate(service.settings)
        return [f"{item.name}: {item.found}" for item in examine(config) if not item.ok]

    # A worker is online once it has asked for work.
    wait_for(lambda: not report(), "workers")


def test_the_doctor_tells_what_was_changed_on_a_page(service: Any) -> None:
    from flows.operate.doctor import examine
    from flows.operate.up import UpConfig

    there = service.deployment("on-demand")
    path, given = f"deployments/{there['id']}", there["parameters"]
    service.ask("PATCH", path, {"parameters": {**given, "work": {"seconds": 5}}})
    try:
        told = {item.name: item for item in examine(UpConfig.model_validate(service.settings))}
    finally:
        service.ask("PATCH", path, {"parameters": given})
    finding = told["deployment on-demand"]
    assert (finding.ok, finding.found) == (False, "parameter work is {'seconds': 5}, not None")
    assert "the next `ganime up` undoes it" in finding.advice


def test_applying_it_again_doubles_nothing(service: Any) -> None:
    from flows.operate.apply import apply
    from flows.operate.up import UpConfig

    def all_there() -> list[list[str]]:
        kinds = ("work_pools", "automations", "v2/concurrency_limits", "deployments")
        found = [service.ask("POST", f"{kind}/filter", {}) for kind in kinds]
        named = [sorted(f"{item['name']} {item['id']}" for item in kind) for kind in found]
        schedules = [item["id"] for item in service.deployment("nightly")["schedules"]]
        return [*named, schedules]

    before = all_there()
    config = UpConfig.model_validate(service.settings)
    apply(config.plan(), f"http://127.0.0.1:{config.port}/api", config.silence_s)
    assert all_there() == before
    limits = [name.split()[0] for name in before[2]]
    assert "gpu" in limits


def test_a_run_from_the_form_is_checked_and_done(service: Any) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=r"409|422"):
        service.start("on-demand", seconds="soon")
    run = service.start("on-demand", note="form")
    service.wait(run, "Completed")
    assert len(service.notes("form")) == 2


def test_many_may_start_runs_at_once(service: Any) -> None:
    """Without a client that asks again: Prefect's own pages do not."""
    where = f"deployments/{service.deployment('on-demand')['id']}/create_flow_run"
    url = f"http://127.0.0.1:{service.settings['port']}/api/{where}"
    given = {"workspace": str(service.checkout / "workspace")}
    later = {"scheduled_time": "2100-01-01T00:00:00Z"}
    asked = {"parameters": given, "state": {"type": "SCHEDULED", "state_details": later}}

    def start(_: int) -> int:
        return httpx.post(url, json=asked, timeout=service.patience_s).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(start, range(60))) == {HTTPStatus.CREATED}


def test_a_short_interval_fires(service: Any, wait_for: Wait) -> None:
    deployment = service.deployment("on-demand")["id"]
    schedule = {"schedule": {"interval": 5}, "active": True}
    given = {"parameters": {"work": {"note": "interval"}}}
    path = f"deployments/{deployment}/schedules"
    (made,) = service.ask("POST", path, [{**schedule, **given}])
    try:
        wait_for(lambda: service.notes("interval"), "a run by the clock")
    finally:
        service.ask("DELETE", f"{path}/{made['id']}")


def test_two_nightly_runs_never_overlap(service: Any, wait_for: Wait) -> None:
    first = service.start("nightly", seconds=600, note="first")
    wait_for(lambda: service.notes("first"), "the first to begin")
    second = service.start("nightly", note="second")
    service.wait(second, "Cancelled")
    assert service.notes("second") == []
    service.ask("POST", f"flow_runs/{first}/set_state", {"state": {"type": "CANCELLING"}})
    service.wait(first, "Cancelled")
    assert [line.split()[0] for line in service.notes("first")] == ["begin"]


def test_work_for_a_gpu_waits_for_a_worker_of_its_pool(service: Any) -> None:
    worker = service.worker("gpu")
    assert worker
    os.kill(worker, signal.SIGSTOP)  # as good as none: it asks for no work
    try:
        run = service.start("train", note="gpu")
        other = service.start("on-demand", note="other")
        service.wait(other, "Completed")
        assert service.run(run)["state_type"] == "SCHEDULED"
        assert service.notes("gpu") == []
    finally:
        os.kill(worker, signal.SIGKILL)  # `ganime up` starts another, which joins the pool
    service.wait(run, "Completed")
    assert service.worker("gpu") != worker


def test_after_a_power_cut_the_worker_is_started_again_and_the_run_goes_on(
    service: Any, wait_for: Wait, cut: tuple[str, int]
) -> None:
    run, worker = cut
    (service.checkout / "workspace" / "enough").touch()
    try:
        ended = service.wait(run, "Completed")
    finally:
        (service.checkout / "workspace" / "enough").unlink()
    assert ended["run_count"] == 2
    assert [line.split()[0] for line in service.notes("power")] == ["begin", "begin", "end"]
    states = [item["name"] for item in service.ask("GET", f"flow_run_states/?flow_run_id={run}")]
    assert states.index("Crashed") < states.index("AwaitingRetry")
    assert service.worker("cpu") not in (None, worker)
    assert re.search(r"worker-cpu ended \(status -9\); started again", service.output.read_text())


def test_a_page_is_served_as_soon_as_there_is_something_to_show(
    service: Any, wait_for: Wait, write_version: Callable[..., None]
) -> None:
    address = f"http://127.0.0.1:{service.settings['review_port']}"
    write_version(Workspace(str(service.checkout / "workspace")), "v1", 2)
    said = f"review page: served from now on at {address}"
    wait_for(lambda: said in service.output.read_text(), said)

    def answers() -> bool:
        try:
            return httpx.get(address, timeout=service.patience_s).status_code == httpx.codes.OK
        except httpx.ConnectError:
            return False

    wait_for(answers, "the page")
