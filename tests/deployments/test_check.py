"""What `prefect deploy` takes without a word is found before it."""

from pathlib import Path
from typing import Any

import pytest

from flows.operate.check import check, require_in_order
from flows.operate.plan import ROOT, load
from ganime.errors import ConfigError


def problems(root: Path, environment: str = "local") -> list[str]:
    return [str(problem) for problem in check(load(root, environment))]


def test_a_small_checkout_is_in_order(checkout: Path) -> None:
    assert problems(checkout) == []


WORKSPACE = {"workspace": "w"}
WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"parameters": {**WORKSPACE, "wrok": {}}},
        "nightly: parameters.wrok: flow work has no such parameter; did you mean work?",
    ),
    (
        {"parameters": {**WORKSPACE, "work": {"secnds": 1}}},
        "parameters.work: secnds: unknown setting; did you mean seconds?",
    ),
    ({"parameters": {**WORKSPACE, "work": {"seconds": -1}}}, "greater than or equal to 0"),
    ({"parameters": {}}, "flow work needs workspace, and nobody is there to say it"),
    (
        {"parameters": {"workspace": "{{ $NOWHERE }}"}},
        "{{ $NOWHERE }} is not set and would stay as it is: give it under variables in",
    ),
    (
        {"work_pool": {"name": "cpu", "job_variables": {"working_dirr": "x"}}},
        "work_pool.job_variables.working_dirr: deployments/pools/cpu.json has no such variable; "
        "did you mean working_dir?",
    ),
    (
        {"work_pool": {"name": "gpu-docker", "job_variables": {"gpu_count": "two"}}},
        "job_variables.gpu_count: 'two' is not of type 'integer'",
    ),
    ({"work_pool": {"name": "tpu"}}, "there is no deployments/pools/tpu.json"),
    ({"work_pool": None}, "work_pool.name: missing"),
    (
        {"schedules": [{"slug": "s", "cron": "0 25 * * *"}]},
        "schedules[0].cron: Value error, Invalid cron",
    ),
    (
        {"schedules": [{"slug": "s", "cron": "0 3 * * *", "timezone": "Mars/Olympus"}]},
        "schedules[0].timezone",
    ),
    ({"schedules": [{"cron": "0 3 * * *"}]}, "schedules[0].slug: missing"),
    ({"schedules": [{"slug": "s"}]}, "says no time"),
    (
        {"schedules": [{"slug": "s", "cron": "0 3 * * *", "parameters": {"x": 1}}]},
        "schedules[0].parameters.x: flow work has no such parameter",
    ),
    (
        {"triggers": [{"expect": ["x"], "parameters": {"wrk": "{{ event.name }}"}}]},
        "triggers[0].parameters.wrk: flow work has no such parameter; did you mean work?",
    ),
    (
        {"concurrency_limit": {"limit": 1, "collision_strategy": "CANCEL"}},
        "concurrency_limit.collision_strategy: found 'CANCEL', wanted ENQUEUE or CANCEL_NEW",
    ),
    ({"entrypoint": "jobs/gone.py:work"}, "there is no jobs/gone.py"),
    ({"entrypoint": "jobs/jobs.py:play"}, "cannot be imported"),
    ({"entrypoint": "jobs/jobs.py"}, "wanted path/to/file.py:flow"),
    (
        {"entrypoint": "jobs/jobs.py:needy", "parameters": {**WORKSPACE, "dataset": {"nam": 1}}},
        "parameters.dataset: nam: unknown setting; did you mean name?",
    ),
    (
        {"entrypoint": "jobs/jobs.py:telling"},
        "parameters.password: flows' parameters are stored and shown in plain text",
    ),
]


@pytest.mark.parametrize(("values", "message"), WRONG, ids=lambda item: str(item)[:50])
def test_what_prefect_would_take_is_refused(
    change: Any, values: dict[str, Any], message: str
) -> None:
    found = problems(change("nightly", **values))
    assert [text for text in found if message in text], found
    assert all(text.startswith("deployments/prefect.yaml: nightly: ") for text in found)


def test_all_that_is_wrong_is_said_at_once(change: Any) -> None:
    change("train", parameters={**WORKSPACE, "speed": 1})
    root = change("nightly", work_pool={"name": "tpu"})
    with pytest.raises(ConfigError, match=r"not in order:\n.*nightly.*\n.*train"):
        require_in_order(load(root))


def test_a_module_that_raises_is_named_with_its_error(checkout: Path, change: Any) -> None:
    (checkout / "jobs" / "broken.py").write_text("1 / 0\n")
    change("nightly", entrypoint="jobs/broken.py:work")
    assert "ZeroDivisionError" in problems(checkout)[0]


def test_code_that_waits_for_a_limit_nobody_creates_is_found(checkout: Path) -> None:
    (checkout / "tasks").mkdir()
    (checkout / "tasks" / "slow.py").write_text(
        "from prefect.concurrency.sync import concurrency\n\nwith concurrency('gpus'):\n    pass\n"
    )
    assert problems(checkout) == [
        "tasks/slow.py: line 3: 'gpus' is no limit of flows/operate/limits.py (gpu): it would "
        "limit nothing"
    ]


def test_a_placeholder_without_a_variable_is_found(checkout: Path) -> None:
    file = checkout / "deployments" / "pools" / "gpu.json"
    file.write_text(file.read_text().replace("{{ working_dir }}", "{{ workdir }}"))
    found = problems(checkout)
    assert "{{ workdir }} is not among variables.properties" in found[0]
    assert "working_dir: used nowhere" in found[1]


def test_an_environment_changes_pools_variables_and_schedules_only(checkout: Path) -> None:
    (checkout / "deployments" / "environments" / "docker.yaml").write_text(
        "schedules: false\n"
        "pools: {cpu: cpu-docker, gpu: gpu-docker}\n"
        "variables: {GANIME_WORKSPACE: /workspace}\n"
        "job_variables: {gpu-docker: {gpu_count: 1}}\n"
        "deployments: {on-demand: {parameters: {work: {note: docker}}}}\n"
    )
    plan = load(checkout, "docker")
    by_name = {item["name"]: item for item in plan.deployments}
    nightly, on_demand, train = (by_name[name] for name in ("nightly", "on-demand", "train"))
    assert problems(checkout, "docker") == []
    assert {name: pool and pool.kind for name, pool in plan.pools.items()} == {
        "cpu-docker": "docker",
        "gpu-docker": "docker",
    }
    assert nightly["schedules"][0]["active"] is False
    assert nightly["schedules"][0]["cron"] == "0 3 * * *"
    assert on_demand["parameters"] == {
        "workspace": "{{ $GANIME_WORKSPACE }}",
        "work": {"note": "docker"},
    }
    assert train["work_pool"]["job_variables"] == {"gpu_count": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("deployments: {nightlyy: {}}", "deployments.nightlyy: deployments/prefect.yaml has no"),
        ("pools: {tpu: cpu}", "pools.tpu: deployments/prefect.yaml has no such name; known: cpu"),
        ("schedule: true", "schedule: unknown setting; did you mean schedules?"),
        ("- 1", "holds a list: wanted a table"),
        ("{", "is not valid YAML"),
    ],
)
def test_an_environment_that_overrides_nothing_is_refused(
    checkout: Path, content: str, message: str
) -> None:
    (checkout / "deployments" / "environments" / "odd.yaml").write_text(content)
    with pytest.raises(ConfigError) as error:
        load(checkout, "odd")
    assert message in str(error.value)


def test_an_unknown_environment_lists_the_known(checkout: Path) -> None:
    with pytest.raises(ConfigError, match="no environment is called 'moon'; known: local"):
        load(checkout, "moon")


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["local", "staging", "docker", "kubernetes"])
def test_our_own_deployments_are_in_order(environment: str) -> None:
    assert problems(ROOT, environment) == []
