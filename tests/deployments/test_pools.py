"""Our pools' templates, rendered as Prefect's workers do."""

from typing import Any

import pytest
from prefect.utilities.templating import apply_values

from flows.operate.plan import ROOT, Pool, load
from flows.operate.pools import template_problems

POOLS = {
    name: pool
    for environment in ("local", "docker", "kubernetes")
    for name, pool in load(ROOT, environment).pools.items()
    if pool is not None
}


def rendered(pool: Pool, values: dict[str, Any]) -> dict[str, Any]:
    """The job of a run, by Prefect's own templating."""
    properties = pool.template["variables"]["properties"]
    defaults = {name: item["default"] for name, item in properties.items() if "default" in item}
    job: dict[str, Any] = apply_values(pool.template["job_configuration"], {**defaults, **values})
    return job


def test_every_file_of_a_template_is_some_environments_pool() -> None:
    files = {path.stem for path in (ROOT / "deployments" / "pools").glob("*.json")}
    assert files == set(POOLS)


@pytest.mark.parametrize("pool", POOLS.values(), ids=lambda pool: str(pool.name))
def test_every_template_agrees_with_its_variables(pool: Pool) -> None:
    assert list(template_problems(pool)) == []
    assert all("description" in item for item in pool.template["variables"]["properties"].values())


@pytest.mark.parametrize(
    ("environment", "name"), [(e, p) for e in ("docker", "kubernetes") for p in ("cpu", "gpu")]
)
def test_runs_in_containers_find_the_code_and_the_workspace(environment: str, name: str) -> None:
    job = rendered(POOLS[f"{name}-{environment}"], {})
    assert job["env"]["GANIME_ROOT"] == "/opt/ganime"
    assert "/workspace" in str(job)
    assert f"ganime:{name}" in str(job)


def test_a_gpu_container_gets_gpus_and_room_for_torchs_loaders() -> None:
    job = rendered(POOLS["gpu-docker"], {"gpu_count": 2, "shm_size": "16g"})
    assert job["container_create_kwargs"] == {
        "shm_size": "16g",
        "device_requests": [{"Driver": "nvidia", "Count": 2, "Capabilities": [["gpu"]]}],
    }
    cpu = rendered(POOLS["cpu-docker"], {})
    assert "device_requests" not in cpu["container_create_kwargs"]


def test_a_gpu_job_of_a_cluster_gets_gpus_a_node_and_memory_at_dev_shm() -> None:
    values = {"gpu_count": 2, "node_selector": {"gpu": "a100"}, "memory_limit": "64Gi"}
    job = rendered(POOLS["gpu-kubernetes"], values)["job_manifest"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"memory": "64Gi", "nvidia.com/gpu": 2}
    assert pod["nodeSelector"] == {"gpu": "a100"}
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    mounts = {item["name"]: item["mountPath"] for item in container["volumeMounts"]}
    assert mounts == {"workspace": "/workspace", "shm": "/dev/shm"}
    volumes = {item["name"]: item for item in pod["volumes"]}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert volumes["workspace"]["persistentVolumeClaim"] == {"claimName": "ganime-workspace"}
    assert job["spec"]["completions"] == 1
    assert "nvidia.com/gpu" not in str(rendered(POOLS["cpu-kubernetes"], {})["job_manifest"])
