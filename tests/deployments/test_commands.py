"""`ganime up`, `deploy` and `doctor` as they are typed, and as the documents show them."""

import json
import re
import shlex
import socket
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cyclopts import App
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from flows.cli import operate
from flows.cli.options import DEFAULTS, register
from flows.operate import doctor
from flows.operate.findings import Finding
from flows.operate.plan import ROOT
from flows.operate.up import UpConfig, pages
from ganime.errors import ConfigError
from ganime.promotion import promote
from ganime.store.lineage import mark_variant, point_to_latest
from ganime.store.workspace import Workspace


@pytest.fixture
def app() -> App:
    app = App(name="ganime", default_parameter=DEFAULTS)
    for command in (operate.up, operate.deploy, operate.doctor):
        register(app, command)
    return app


def test_every_command_of_the_document_is_understood(app: App) -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    blocks = re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ours = re.findall(r"^ganime (?:up|deploy|doctor).*", "".join(blocks), re.MULTILINE)
    assert len(ours) >= 5
    for line in ours:
        words = shlex.split(line, comments=True)[1:]
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_document_names_every_deployment_and_environment() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    names = re.findall(r"^  - name: (.+)$", (ROOT / "deployments/prefect.yaml").read_text(), re.M)
    places = [path.stem for path in (ROOT / "deployments" / "environments").glob("*.yaml")]
    assert [name for name in [*names, *places] if f"`{name}`" not in text] == []


def test_a_workspace_is_meant_from_here_an_environments_from_the_checkout(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def workspace(url: str) -> str:
        return UpConfig(root=checkout, workspace=url).plan().variables["GANIME_WORKSPACE"]

    assert workspace("mine") == str(tmp_path / "mine")
    assert workspace("") == str(checkout / "workspace")
    assert workspace("s3://bucket/it") == "s3://bucket/it"


def test_no_schedules_keeps_them_switched_off(checkout: Path) -> None:
    plan = UpConfig(root=checkout, schedules=False).plan()
    assert plan.deployments[0]["schedules"] == [
        {"slug": "nightly", "cron": "0 3 * * *", "timezone": "Etc/UTC", "active": False}
    ]


def test_an_unknown_environment_is_one_sentence(checkout: Path) -> None:
    with pytest.raises(ConfigError, match="no environment is called 'moon'"):
        UpConfig(root=checkout, environment="moon").plan()


def findings(checkout: Path, **settings: Any) -> dict[str, Finding]:
    # Port 1: nobody but the administrator could listen there.
    nowhere = {"port": 1, "review_port": 1, "studio_port": 1}
    config = UpConfig.model_validate({"root": checkout, **nowhere, **settings})
    return {finding.name: finding for finding in doctor.examine(config)}


def test_the_doctor_says_what_is_missing_and_what_to_do(checkout: Path) -> None:
    found = findings(checkout)
    in_order = {name for name, finding in found.items() if finding.ok}
    assert {"versions", "deployments", "workspace", "device", "weights"} <= in_order
    assert found["server"].advice == "start it with `ganime up`"
    assert found["review page"].found == "comes once something has been crawled"
    assert found["studio"].found == "comes once a generator has been trained"
    assert all(bool(finding.advice) is not finding.ok for finding in found.values())
    assert not (checkout / "workspace").exists(), "who only looks leaves nothing"


def test_pages_that_have_something_to_show_are_missed(checkout: Path, write_version: Any) -> None:
    store = Workspace(str(checkout / "workspace"))
    write_version(store, "v1", 2)
    store.write_text("models/abc/config.json", json.dumps({"model_id": "abc"}))
    store.write_text("models/abc/snapshots/000000256.safetensors", "weights")
    found = findings(checkout)
    assert found["model"].found == "1 trained, none promoted"
    for page, command in (("review page", "review"), ("studio", "studio")):
        assert found[page].found == "nothing answers at http://127.0.0.1:1"
        advice = f"start it with `ganime up`, or alone with `ganime {command}`"
        assert found[page].advice == advice


@pytest.mark.parametrize("command", ["review", "studio"])
def test_a_page_is_told_from_another_program_at_its_port(
    checkout: Path, serving: Any, command: str
) -> None:
    static = ROOT / "ganime" / command / "static" / "index.html"
    title = {"review": "review page", "studio": "studio"}[command]
    shown = {"text": static.read_text()}
    app = FastAPI()

    @app.get("/")
    def root() -> HTMLResponse:
        return HTMLResponse(shown["text"])

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with serving(uvicorn.Server(uvicorn.Config(app, log_level="critical")), listener):
        ours = findings(checkout, **{f"{command}_port": port})[title]
        shown["text"] = "<title>Directory listing for /</title>"
        other = findings(checkout, **{f"{command}_port": port})[title]
    assert (ours.ok, ours.found) == (True, f"http://127.0.0.1:{port} (status 200)")
    assert (other.ok, other.found) == (
        False,
        f"port {port} is taken: another program answers there",
    )
    assert other.advice == f"stop that one, or choose another port with --{command}-port"


def test_the_review_page_shows_the_dataset_that_was_made_last(
    checkout: Path, write_version: Any
) -> None:
    store = Workspace(str(checkout / "workspace"))
    review = pages(UpConfig.model_validate({"root": checkout}))[0]
    write_version(store, "v1", 2)
    assert review.what(store) == [], "it has no choice"
    for name in ("boys", "girls-no-filters"):
        store.write_text(f"datasets/{name}/v1/decisions/decisions.parquet", "rows")
        point_to_latest(store, name, "v1")
    mark_variant(store, "girls-no-filters", "girls")  # made to be compared with it
    assert review.what(store) == ["boys"]
    point_to_latest(store, "girls", "v1")
    assert review.what(store) == ["girls"]


def test_a_current_model_that_is_gone_is_found(checkout: Path) -> None:
    store = Workspace(str(checkout / "workspace"))
    for key in ("models/abc/config.json", "models/abc/snapshots/000000256.safetensors"):
        store.write_text(key, json.dumps({"model_id": "abc"}))
    promote(store, "abc", by="ann")
    assert findings(checkout)["model"].found == "1 trained, abc is the current one"
    store.remove("models/abc/config.json")
    found = findings(checkout)["model"]
    assert (found.ok, found.found) == (False, "the current one, abc, is gone")


def test_packages_that_are_not_there_are_named_with_what_brings_them(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name in ("dask", "numpy"):
            raise metadata.PackageNotFoundError(name)
        return "1.0" if name == "pillow" else metadata.version(name)

    monkeypatch.setattr("flows.operate.packages.version", version)
    found = findings(checkout)
    assert "numpy is missing (wanted >=2.1)" in found["versions"].found
    assert "pillow 1.0 (wanted >=11)" in found["versions"].found
    assert "dask (pip install 'ganime[dask]')" in found["extras"].found
    assert "dev" not in found["extras"].found


@pytest.mark.parametrize("url", ["nosuch://bucket", "/proc/nothing"])
def test_a_workspace_that_cannot_be_used_is_a_problem(checkout: Path, url: str) -> None:
    found = findings(checkout, workspace=url)
    assert found["workspace"].advice == "name another with --workspace"
    assert not found["workspace"].ok


def test_the_doctor_repeats_what_is_wrong_with_deployments(checkout: Path, change: Any) -> None:
    change(
        "nightly",
        parameters={"workspace": "w", "wokr": 1, "weights": "gone.pth"},
        work_pool={"name": "tpu"},
    )
    found = findings(checkout)
    assert "wokr: flow work has no such parameter" in found["deployments"].found
    assert "no deployments/pools/tpu.json" in found["deployments"].found
    assert found["weights"].found == "no file gone.pth"


def test_the_doctors_report_is_json_and_an_exit_status(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        operate.doctor(environment="moon", workspace=str(tmp_path), json=True)
    assert stop.value.code == 1
    report = json.loads(capsys.readouterr().out)
    assert {"name", "ok", "found", "advice"} == set(report[0])
    assert "no environment is called 'moon'" in report[-1]["found"]
