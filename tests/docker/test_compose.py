import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclopts import App

from flows.cli.operate import deploy
from flows.cli.options import DEFAULTS, register
from flows.cli.review import review
from flows.cli.studio import studio
from flows.operate.plan import load

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / "compose.yaml"
# What runs to its end, so that it has no health.
ONE_SHOT = {"setup"}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


SERVICES: dict[str, dict[str, Any]] = compose()["services"]


def filled_in(text: str) -> str:
    """With what a filled-in secrets.env gives."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"\$\{\w+:\?[^}]*\}", "0123456789abcdef", text)


def commands(program: str) -> list[list[str]]:
    found = [service.get("command", []) for service in SERVICES.values()]
    return [[filled_in(word) for word in command] for command in found if command[:1] == [program]]


def test_it_is_what_the_compose_specification_allows() -> None:
    found = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("no check-jsonschema: pip install check-jsonschema")
    command = [found, "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_services_are_there() -> None:
    assert set(SERVICES) == {
        *("postgres", "server", "setup", "worker-cpu", "worker-gpu", "review", "studio"),
    }


@pytest.mark.parametrize("command", commands("ganime"), ids=lambda command: command[1])
def test_our_commands_take_these_arguments(command: list[str]) -> None:
    ganime = App(default_parameter=DEFAULTS)
    for known in (deploy, review, studio):
        register(ganime, known)
    _, given, _ = ganime.parse_args(command[1:], exit_on_error=False, print_error=False)
    assert given.arguments["workspace"] == "/workspace"


@pytest.mark.parametrize("command", commands("prefect"), ids=lambda command: command[-1])
def test_prefects_commands_know_these_options(command: list[str]) -> None:
    prefect = Path(sys.executable).parent / "prefect"
    words = [word for word in command[1:4] if not word.startswith("-")]
    done = subprocess.run(
        [prefect, *words, "--help"], capture_output=True, text=True, check=True, timeout=120
    )
    for option in [word for word in command if word.startswith("--")]:
        assert option in done.stdout


def test_no_password_has_a_default() -> None:
    text = FILE.read_text()
    asked = set(re.findall(r"\$\{(\w+)(?::\?[^}]*)\}", text))
    assert asked == {"POSTGRES_PASSWORD", "PREFECT_AUTH", "GANIME_TOKEN"}
    assert set(re.findall(r"\$\{(\w+)", text)) - asked == {"GANIME_WORKSPACE"}
    example = (ROOT / "docker" / "secrets.env.example").read_text()
    assert {line.removesuffix("=") for line in re.findall(r"^\w+=.*$", example, re.M)} == asked


def test_secrets_are_kept_out_of_git() -> None:
    for name in ("secrets.env", "credentials.env"):
        done = subprocess.run(["git", "check-ignore", f"docker/{name}"], cwd=ROOT, check=False)
        assert done.returncode == 0


def test_nothing_is_reached_from_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert compose()["networks"]["database"]["internal"] is True
    assert [name for name, one in SERVICES.items() if "database" in one["networks"]] == [
        *("postgres", "server"),
    ]


def test_everything_starts_when_what_it_needs_is_well() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert how["condition"] == wanted, name
    for name in set(SERVICES) - ONE_SHOT - {"postgres"}:
        url = SERVICES[name]["environment"]["GANIME_HEALTH_URL"]
        assert url.startswith("http://127.0.0.1:"), name
    assert SERVICES["postgres"]["healthcheck"]["test"][1] == "pg_isready"


def test_only_the_gpu_worker_wants_a_gpu_and_only_when_asked_for() -> None:
    profiles = {name: one["profiles"] for name, one in SERVICES.items() if "profiles" in one}
    assert profiles == {"worker-gpu": ["gpu"]}
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert SERVICES["worker-gpu"]["build"]["args"]["TORCH_INDEX"] == ""
    assert all("deploy" not in one for name, one in SERVICES.items() if name != "worker-gpu")


def test_containers_have_no_more_rights_than_they_need() -> None:
    for name, service in SERVICES.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert name == "postgres" or service["cap_drop"] == ["ALL"], name


def test_docker_pools_find_the_network_the_volume_and_the_images() -> None:
    plan = load(ROOT, "docker")
    for pool in plan.pools.values():
        assert pool is not None
        variables = pool.template["variables"]["properties"]
        assert variables["networks"]["default"] == [compose()["networks"]["ganime"]["name"]]
        volume = compose()["volumes"]["workspace"]["name"]
        assert variables["volumes"]["default"] == [f"{volume}:/workspace"]
        assert variables["image"]["default"] in {one["image"] for one in SERVICES.values()}
    used = {name for one in SERVICES.values() for name in one.get("volumes", [])}
    assert {name.split(":")[0] for name in used} == set(compose()["volumes"])


def test_workers_serve_the_pools_of_the_deployments() -> None:
    served = {command[command.index("--pool") + 1] for command in commands("prefect")[1:]}
    assert {one["work_pool"]["name"] for one in load(ROOT).deployments} == served
