"""Work pools: base job templates checked against themselves, and brought to a server."""

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.utilities.templating import find_placeholders

from flows.operate.plan import Pool
from ganime.errors import ConfigError


def template_problems(pool: Pool) -> Iterator[tuple[str, str]]:
    """What is wrong with a pool's template: the field, and what to say of it."""
    job, variables = pool.template.get("job_configuration"), pool.template.get("variables")
    if not isinstance(job, dict) or not isinstance(variables, dict):
        yield "", "wanted the tables `job_configuration` and `variables`"
        return
    try:
        jsonschema.Draft202012Validator.check_schema(variables)
    except jsonschema.SchemaError as error:
        yield "variables", f"not a JSON schema: {error.message}"
    known = set(variables.get("properties", {}))
    used = {item.name for item in find_placeholders(json.dumps(job))}
    for name in sorted(used - known):
        yield "job_configuration", f"{{{{ {name} }}}} is not among variables.properties"
    for name in sorted(known - used):
        yield f"variables.properties.{name}", "used nowhere in job_configuration"
    for name, schema in variables.get("properties", {}).items():
        if "default" in schema and (text := _wrong(schema, schema["default"])):
            yield f"variables.properties.{name}.default", text


def job_variable_problems(pool: Pool, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a deployment's job variables; Prefect takes unknown ones in silence."""
    known = pool.template.get("variables", {}).get("properties", {})
    for name, value in given.items():
        # env.NAME sets one environment variable and keeps the others.
        if name.startswith("env."):
            continue
        if name not in known:
            alike = get_close_matches(name, known, 1)
            advice = f"did you mean {alike[0]}?" if alike else f"known: {', '.join(known)}"
            yield name, f"{pool.file} has no such variable; {advice}"
        elif text := _wrong(known[name], value):
            yield name, text


async def apply_pool(client: PrefectClient, pool: Pool) -> None:
    """Create the pool, or give it this template.

    Raises:
        ConfigError: the server has one of that name for other workers.
    """
    try:
        there = await client.read_work_pool(pool.name)
    except ObjectNotFound:
        wanted = WorkPoolCreate(name=pool.name, type=pool.kind, base_job_template=pool.template)
        await client.create_work_pool(wanted)
        return
    if there.type != pool.kind:
        raise ConfigError(
            f"the server's work pool {pool.name} is for {there.type} workers and {pool.file} for "
            f"{pool.kind}: delete it (prefect work-pool delete {pool.name}) and try again"
        )
    if there.base_job_template != pool.template:
        await client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=pool.template))


def _wrong(schema: Mapping[str, Any], value: Any) -> str:
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        return f"{error.message}, at {error.json_path}" if error.path else str(error.message)
    return ""
