"""What somebody changed about a deployment on the server, where the next start would undo it."""

from collections.abc import Iterator, Mapping
from typing import Any

from prefect.client.schemas.responses import DeploymentResponse

from flows.operate.plan import filled_in

ADVICE = (
    "the next `ganime up` undoes it: write it into deployments/prefect.yaml to keep it, or give "
    "`ganime doctor` the options that `ganime up` was given"
)


def changes(
    item: Mapping[str, Any], found: DeploymentResponse, variables: Mapping[str, str]
) -> Iterator[str]:
    """What a deployment has otherwise than its file says: each field, both values.

    Args:
        item: The deployment as it is planned, an entry of `Plan.deployments`.
        found: The deployment as the server has it.
        variables: What `{{ $NAME }}` stands for, see `Plan.variables`.
    """
    wanted = filled_in(item, variables)
    if found.entrypoint != wanted.get("entrypoint"):
        yield f"entrypoint is {found.entrypoint}, not {wanted.get('entrypoint')}"
    pool = (wanted.get("work_pool") or {}).get("name")
    if found.work_pool_name != pool:
        yield f"pool is {found.work_pool_name}, not {pool}"
    yield from _of_parameters(wanted.get("parameters") or {}, found.parameters)
    for tag in sorted(set(found.tags) ^ set(wanted.get("tags") or [])):
        yield f"tag {tag} is {'new' if tag in found.tags else 'missing'}"
    yield from _of_schedules(wanted.get("schedules") or [], found)


def _of_parameters(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*wanted, *found}):
        if name not in found or name not in wanted or found[name] != wanted[name]:
            yield f"parameter {name} is {found.get(name)!r}, not {wanted.get(name)!r}"


def _of_schedules(wanted: list[dict[str, Any]], found: DeploymentResponse) -> Iterator[str]:
    """Those that are missing; one that is switched off may be so on purpose."""
    there = {getattr(one.schedule, "cron", None) for one in found.schedules}
    for one in wanted:
        if one.get("cron") not in there:
            yield f"schedule {one.get('cron')} is missing"
