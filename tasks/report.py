"""Write the report of a run. See `ganime.report`."""

from prefect import task

from ganime.report import ReportInputs, build_report
from ganime.store.workspace import Workspace
from tasks.artifacts import publish_report
from tasks.policies import STAGE


@task(name="report", **STAGE)
def report_task(workspace: Workspace, inputs: ReportInputs) -> str:
    """See `ganime.report.build_report`."""
    key = build_report(workspace, inputs)
    publish_report(workspace, key)
    return key
