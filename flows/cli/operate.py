"""`ganime up`, `ganime deploy`, `ganime doctor`: ganime as a service."""

import os
import sys
from dataclasses import asdict
from typing import Annotated

from flows.cli.console import prepare, say, say_json
from flows.cli.options import HOW, MOST_PORT, WHERE, DebugOption, JsonOption, option

EnvironmentOption = Annotated[
    str, option(WHERE, "File of deployments/environments/: local, staging, docker, kubernetes.")
]
ServiceWorkspaceOption = Annotated[
    str,
    option(WHERE, "Folder or fsspec URL; the environment's if not given.", "--workspace", "-w"),
]
NoSchedulesOption = Annotated[
    bool, option(HOW, "Deploy every schedule switched off.", "--no-schedules")
]
ServerPortOption = Annotated[
    int, option(WHERE, "Port of the server and its pages.", least=1, most=MOST_PORT)
]
ReviewPortOption = Annotated[
    int, option(WHERE, "Port of the review page.", least=1, most=MOST_PORT)
]
StudioPortOption = Annotated[int, option(WHERE, "Port of the studio.", least=1, most=MOST_PORT)]


def up(
    *,
    environment: EnvironmentOption = "local",
    workspace: ServiceWorkspaceOption = "",
    port: ServerPortOption = 4200,
    review_port: ReviewPortOption = 8400,
    studio_port: StudioPortOption = 8500,
    no_schedules: NoSchedulesOption = False,
    check: Annotated[bool, option(HOW, "Only check the deployments; start nothing.")] = False,
    debug: DebugOption = False,
) -> None:
    """Start a server, workers, schedules, the review page and the studio; Ctrl-C ends them.

    Examples:

        ganime up

        ganime up --no-schedules --workspace workspace-demo

        ganime up --check
    """
    prepare(debug=debug)
    from flows.operate.check import require_in_order
    from flows.operate.up import UpConfig
    from flows.operate.up import up as run_up

    config = UpConfig(
        environment=environment,
        workspace=workspace,
        port=port,
        review_port=review_port,
        studio_port=studio_port,
        schedules=not no_schedules,
    )
    if check:
        plan = config.plan()
        require_in_order(plan)
        say(f"{len(plan.deployments)} deployments in order ({environment})")
    else:
        run_up(config, lambda line: say(line))


def deploy(
    *,
    environment: EnvironmentOption = "local",
    workspace: ServiceWorkspaceOption = "",
    url: Annotated[
        str, option(WHERE, "API of the server; PREFECT_API_URL, or this machine's, if not given.")
    ] = "",
    no_schedules: NoSchedulesOption = False,
    debug: DebugOption = False,
) -> None:
    """Bring pools, limits, automations and deployments to a server that runs already.

    Examples:

        ganime deploy --environment kubernetes --url http://prefect:4200/api
    """
    prepare(debug=debug)
    from flows.operate import server
    from flows.operate.apply import apply
    from flows.operate.check import require_in_order
    from flows.operate.up import UpConfig

    config = UpConfig(environment=environment, workspace=workspace, schedules=not no_schedules)
    plan = config.plan()
    require_in_order(plan)
    url = url or os.environ.get("PREFECT_API_URL") or server.api_url(config.port)
    apply(plan, url)
    say(f"applied to {url}")


def doctor(
    *,
    environment: EnvironmentOption = "local",
    workspace: ServiceWorkspaceOption = "",
    port: ServerPortOption = 4200,
    review_port: ReviewPortOption = 8400,
    studio_port: StudioPortOption = 8500,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Look whether everything is in place: versions, settings, server, workers, schedules, disk.

    Examples:

        ganime doctor

        ganime doctor --json
    """
    prepare(debug=debug)
    from flows.operate.doctor import examine
    from flows.operate.up import UpConfig

    config = UpConfig(
        environment=environment,
        workspace=workspace,
        port=port,
        review_port=review_port,
        studio_port=studio_port,
    )
    findings = []
    for finding in examine(config):
        findings.append(finding)
        if not json:
            mark = "ok     " if finding.ok else "PROBLEM"
            say(f"{mark}  {finding.name}: {finding.found}")
            if finding.advice:
                say(f"         → {finding.advice}")
    if json:
        say_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        sys.exit(1)
