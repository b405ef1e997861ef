"""What is to be deployed where: deployments/prefect.yaml, laid over by one environment."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import Field

import flows
from ganime.config import Config, overlay
from ganime.errors import ConfigError

# The checkout; a wheel holds no deployments/.
ROOT = Path(flows.__file__).parents[1]
FOLDER = Path("deployments")
FILE = FOLDER / "prefect.yaml"
# Deployments leave them open: each worker fills in its own.
WORKER_VARIABLES = frozenset({"GANIME_ROOT"})
_VARIABLE = re.compile(r"\{\{\s*\$([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


class Environment(Config):
    """What one place does otherwise: a file of deployments/environments/."""

    schedules: bool = Field(True, description="Whether deployments start by the clock here.")
    variables: dict[str, str] = Field({}, description="Values of `{{ $NAME }}` in prefect.yaml.")
    pools: dict[str, str] = Field(
        {}, description="Pool that stands for one of prefect.yaml; named as its template's file."
    )
    job_variables: dict[str, dict[str, Any]] = Field(
        {}, description="By pool, job variables of every deployment in it."
    )
    deployments: dict[str, dict[str, Any]] = Field(
        {}, description="By name, what a deployment has otherwise than in prefect.yaml."
    )


@dataclass(frozen=True, slots=True)
class Pool:
    """One work pool.

    Attributes:
        name: As the file is called.
        kind: Prefect's word for its workers: process, docker or kubernetes.
        template: Base job template: `job_configuration` and the schema of its `variables`.
        file: Where it stands, below the root.
    """

    name: str
    kind: str
    template: dict[str, Any]
    file: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to apply to a server.

    Attributes:
        root: The checkout; entrypoints and files are relative to it.
        file: The file of the deployments, below the root.
        environment: Name of the environment.
        document: prefect.yaml with the environment laid over it; variables not yet filled in.
        variables: What `{{ $NAME }}` stands for.
        pools: By name, those that deployments use; None where the template's file is missing.
    """

    root: Path
    file: Path
    environment: str
    document: dict[str, Any]
    variables: Mapping[str, str]
    pools: Mapping[str, Pool | None]

    @property
    def deployments(self) -> list[dict[str, Any]]:
        """The deployments, in the order of the file."""
        return list(self.document["deployments"])


def load(
    root: Path = ROOT,
    environment: str = "local",
    *,
    variables: Mapping[str, str] | None = None,
    schedules: bool = True,
) -> Plan:
    """Read what an environment deploys.

    Args:
        root: The checkout.
        environment: Name of a file of deployments/environments/.
        variables: More of them; they win over the environment's.
        schedules: False keeps every schedule, but switched off.

    Raises:
        ConfigError: a file is missing or malformed, or the environment names what is not there.
    """
    document = _read_yaml(root, FILE)
    if not isinstance(document.get("deployments"), list):
        raise ConfigError(f"{FILE} has no list `deployments`: nothing could be deployed")
    settings = _environment(root, environment)
    _check_names(settings, document, environment)
    deployments = [
        _laid_over(item, settings, schedules=schedules and settings.schedules)
        for item in document["deployments"]
    ]
    names = [_pool_name(item) for item in deployments]
    return Plan(
        root,
        FILE,
        environment,
        {**document, "deployments": deployments},
        {**settings.variables, **(variables or {})},
        {name: _read_pool(root, name) for name in dict.fromkeys(names) if name},
    )


def variables_in(value: Any) -> Iterator[str]:
    """Names of all `{{ $NAME }}` inside a value."""
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from variables_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from variables_in(item)


def filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    """The value with every known `{{ $NAME }}` replaced."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: filled_in(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [filled_in(item, variables) for item in value]
    return value


def _laid_over(
    deployment: Mapping[str, Any], settings: Environment, *, schedules: bool
) -> dict[str, Any]:
    """One deployment as this environment has it."""
    own = settings.deployments.get(str(deployment.get("name")), {})
    merged = overlay(deployment, own)
    if name := _pool_name(merged):
        pool = settings.pools.get(name, name)
        common = settings.job_variables.get(pool, {})
        job_variables = overlay(common, merged["work_pool"].get("job_variables") or {})
        merged["work_pool"] = {**merged["work_pool"], "name": pool}
        if job_variables:
            merged["work_pool"]["job_variables"] = job_variables
    if not schedules and merged.get("schedules"):
        merged["schedules"] = [{**item, "active": False} for item in merged["schedules"]]
    return merged


def _pool_name(deployment: Mapping[str, Any]) -> str:
    pool = deployment.get("work_pool")
    return str(pool.get("name") or "") if isinstance(pool, Mapping) else ""


def _environment(root: Path, name: str) -> Environment:
    folder = root / FOLDER / "environments"
    if not (folder / f"{name}.yaml").is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"
        raise ConfigError(f"no environment is called {name!r}; known: {known}")
    try:
        return Environment.parse(_read_yaml(root, FOLDER / "environments" / f"{name}.yaml"))
    except ConfigError as error:
        raise ConfigError(f"{FOLDER}/environments/{name}.yaml: {error}") from error


def _check_names(settings: Environment, document: Mapping[str, Any], environment: str) -> None:
    """Overrides of nothing are misspellings."""
    items = [item for item in document["deployments"] if isinstance(item, Mapping)]
    pools = {_pool_name(item) for item in items}
    known = {
        "deployments": {str(item.get("name")) for item in items},
        "pools": pools,
        "job_variables": {settings.pools.get(name, name) for name in pools},
    }
    for field, names in known.items():
        for name in getattr(settings, field):
            if name not in names:
                raise ConfigError(
                    f"{FOLDER}/environments/{environment}.yaml: {field}.{name}: {FILE} has no "
                    f"such name; known: {', '.join(sorted(names))}"
                )


def _read_pool(root: Path, name: str) -> Pool | None:
    """The pool of a template's file; the end of its name says who its workers are."""
    file = FOLDER / "pools" / f"{name}.json"
    if not (root / file).is_file():
        return None
    try:
        template = json.loads((root / file).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{file} is not valid JSON: {error}") from error
    kind = name.rpartition("-")[2]
    return Pool(name, kind if kind in ("docker", "kubernetes") else "process", template, file)


def _read_yaml(root: Path, file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load((root / file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {root / file} ({error.strerror}): deployments are applied from a "
            "checkout of ganime, an editable installation"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{file} holds a {type(document).__name__}: wanted a table")
    return document
