"""What is wrong with a plan before any server is asked, above all what Prefect takes in silence."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ScriptError
from prefect.flows import load_flow_from_entrypoint
from pydantic import ValidationError

from flows.operate.limits import LIMITS
from flows.operate.parameters import missing, parameter_problems, secret_parameters
from flows.operate.plan import WORKER_VARIABLES, Plan, filled_in, variables_in
from flows.operate.pools import job_variable_problems, template_problems
from ganime.errors import ConfigError

_COLLISIONS = ("ENQUEUE", "CANCEL_NEW")
AnyFlow = Flow[..., Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that would go wrong.

    Attributes:
        file: Below the root.
        deployment: Its name; empty where a whole file is meant.
        field: The key inside it, dots between.
        message: What was found, what was wanted, what to do.
    """

    file: Path
    deployment: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, [str(self.file), self.deployment, self.field, self.message]))


def check(plan: Plan, load_flow: Callable[[str], AnyFlow] | None = None) -> list[Problem]:
    """Everything that is wrong with a plan; empty if it can be applied.

    Args:
        plan: What is to be applied.
        load_flow: Gives the flow of an entrypoint; imports it unless told otherwise.
    """
    load_flow = load_flow or (lambda entrypoint: flow_of(plan.root, entrypoint))
    problems: list[Problem] = []
    for place, deployment in enumerate(plan.deployments):
        name = str(deployment.get("name") or f"deployments[{place}]")
        found = _deployment_problems(plan, deployment, load_flow)
        problems += [Problem(plan.file, name, field, message) for field, message in found]
    for pool in filter(None, plan.pools.values()):
        problems += [Problem(pool.file, "", field, text) for field, text in template_problems(pool)]
    problems += _names_twice(plan)
    problems += _unknown_limits(plan.root)
    return problems


def require_in_order(plan: Plan) -> None:
    """Nothing is wrong with a plan.

    Raises:
        ConfigError: something is; says all of it.
    """
    if problems := check(plan):
        raise ConfigError("\n  ".join(["deployments are not in order:", *map(str, problems)]))


def flow_of(root: Path, entrypoint: str) -> AnyFlow:
    """The flow of an entrypoint, imported as Prefect does."""
    return load_flow_from_entrypoint(str(root / entrypoint), use_placeholder_flow=False)


Found = Iterator[tuple[str, str]]


def _deployment_problems(
    plan: Plan, deployment: Mapping[str, Any], load_flow: Callable[[str], AnyFlow]
) -> Found:
    if not deployment.get("name"):
        yield "name", "missing: give it one, in kebab case"
    yield from _unset_variables(plan, deployment)
    yield from _pool(plan, deployment)
    yield from _concurrency(deployment.get("concurrency_limit"))
    yield from _schedules(deployment.get("schedules") or [])
    entrypoint = str(deployment.get("entrypoint") or "")
    if ":" not in entrypoint:
        yield "entrypoint", f"found {entrypoint!r}, wanted path/to/file.py:flow"
        return
    if not (plan.root / entrypoint.partition(":")[0]).is_file():
        yield "entrypoint", f"there is no {entrypoint.partition(':')[0]}: correct the path"
        return
    try:
        flow = load_flow(entrypoint)
    except Exception as error:  # noqa: BLE001 - a foreign module may raise anything when imported
        yield "entrypoint", f"{entrypoint} cannot be imported: {_cause(error)}"
        return
    yield from _parameters(flow, filled_in(deployment, plan.variables))


def _parameters(flow: AnyFlow, deployment: Mapping[str, Any]) -> Found:
    given: dict[str, Any] = deployment.get("parameters") or {}
    for name, text in parameter_problems(flow, given):
        yield f"parameters.{name}", text
    for name in secret_parameters(flow):
        yield (
            f"parameters.{name}",
            "flows' parameters are stored and shown in plain text: take it from the environment "
            "or from a Secret block, as tasks/credentials.py does",
        )
    for place, schedule in enumerate(deployment.get("schedules") or []):
        own = schedule.get("parameters") or {}
        for name, text in parameter_problems(flow, own):
            yield f"schedules[{place}].parameters.{name}", text
        for name in missing(flow, {**given, **own}):
            yield f"schedules[{place}]", _nobody_says(flow, name)
    for place, trigger in enumerate(deployment.get("triggers") or []):
        own = trigger.get("parameters") or {}
        # Their values are templates, filled in when the event comes: only names can be checked.
        for name in missing(flow, {**given, **own}):
            yield f"triggers[{place}]", _nobody_says(flow, name)
        for name, text in parameter_problems(flow, dict.fromkeys(own)):
            if "no such parameter" in text:
                yield f"triggers[{place}].parameters.{name}", text


def _nobody_says(flow: AnyFlow, name: str) -> str:
    return (
        f"flow {flow.name} needs {name}, and nobody is there to say it when the run starts by "
        f"itself: add parameters.{name}"
    )


def _unset_variables(plan: Plan, deployment: Mapping[str, Any]) -> Found:
    for field, value in deployment.items():
        for name in dict.fromkeys(variables_in(value)):
            if field == "pull" and name in WORKER_VARIABLES:
                if name in plan.variables:
                    yield field, f"{name} is set: leave it to each worker, whose folder it names"
            elif name not in plan.variables:
                yield (
                    field,
                    f"{{{{ ${name} }}}} is not set and would stay as it is: give it under "
                    f"variables in deployments/environments/{plan.environment}.yaml",
                )


def _pool(plan: Plan, deployment: Mapping[str, Any]) -> Found:
    settings = deployment.get("work_pool") or {}
    name = str(settings.get("name") or "")
    if not name:
        yield "work_pool.name", "missing: no worker would pick up its runs"
    elif (pool := plan.pools.get(name)) is None:
        yield (
            "work_pool.name",
            f"there is no deployments/pools/{name}.json: write one, or use another pool",
        )
    else:
        variables = filled_in(settings.get("job_variables") or {}, plan.variables)
        for field, text in job_variable_problems(pool, variables):
            yield f"work_pool.job_variables.{field}", text


def _concurrency(limit: Any) -> Found:
    if isinstance(limit, Mapping):
        if not isinstance(limit.get("limit"), int) or limit["limit"] < 1:
            yield "concurrency_limit.limit", f"found {limit.get('limit')!r}, wanted 1 or more"
        if (strategy := limit.get("collision_strategy")) not in _COLLISIONS:
            wanted = " or ".join(_COLLISIONS)
            yield "concurrency_limit.collision_strategy", f"found {strategy!r}, wanted {wanted}"


def _schedules(schedules: list[Mapping[str, Any]]) -> Found:
    slugs = Counter(item.get("slug") for item in schedules)
    for place, schedule in enumerate(schedules):
        where = f"schedules[{place}]"
        slug = schedule.get("slug")
        if not slug:
            yield f"{where}.slug", "missing: without one each deploying adds the schedule again"
        elif slugs[slug] > 1:
            yield f"{where}.slug", f"{slug!r} stands {slugs[slug]} times: only one would remain"
        if cron := schedule.get("cron"):
            try:
                CronSchedule(cron=cron, timezone=schedule.get("timezone") or "UTC")
            except ValidationError as error:
                problem = error.errors()[0]
                field, found = str(problem["loc"][0]), problem["input"]
                yield f"{where}.{field}", f"{problem['msg']} (got {found!r})"
        elif not (schedule.get("interval") or schedule.get("rrule")):
            yield where, "says no time: give cron, interval or rrule"


def _names_twice(plan: Plan) -> list[Problem]:
    names = Counter(str(item.get("name")) for item in plan.deployments)
    text = "stands {} times: the last would replace the others"
    return [
        Problem(plan.file, name, "name", text.format(number))
        for name, number in names.items()
        if number > 1
    ]


def _unknown_limits(root: Path) -> list[Problem]:
    """Code that waits for a limit that nobody creates, which Prefect ignores in silence."""
    return [
        Problem(
            file.relative_to(root),
            "",
            f"line {line}",
            f"{name!r} is no limit of "
            f"flows/operate/limits.py ({', '.join(LIMITS)}): it would limit nothing",
        )
        for folder in ("tasks", "flows")
        for file in sorted((root / folder).rglob("*.py"))
        for name, line in _limits_used(file.read_text(encoding="utf-8"))
        if name not in LIMITS
    ]


def _limits_used(source: str) -> Iterator[tuple[str, int]]:
    """Names given to `concurrency(...)` or `rate_limit(...)`, with their lines."""
    if "prefect.concurrency" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("concurrency", "rate_limit")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value), node.lineno


def _cause(error: BaseException) -> str:
    """Prefect wraps what a module raises; the cause says more."""
    if isinstance(error, ScriptError) and error.user_exc is not None:
        error = error.user_exc
    return f"{type(error).__name__}: {error}"
