"""Whether the pages beside the server answer, and whether it is they who do."""

import httpx

from flows.operate.findings import Finding
from flows.operate.plan import Plan
from flows.operate.up import Page
from ganime.errors import GanimeError
from ganime.store.workspace import Workspace

_PATIENCE_S = 10


def examine_page(page: Page, plan: Plan) -> Finding:
    """Ask a page for itself; one that has nothing to show yet may be absent."""
    try:
        answer = httpx.get(page.url, timeout=_PATIENCE_S)
    except httpx.ConnectError:
        return _absent(page, plan.variables["GANIME_WORKSPACE"])
    except httpx.HTTPError as error:
        return _taken(page, f"what listens there gives no page ({type(error).__name__})")
    if answer.is_success and page.heading not in answer.text:
        return _taken(page, "another program answers there")
    ok = answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
    found = f"{page.url} (status {answer.status_code})"
    return Finding(page.title, ok, found, "" if ok else "see its log")


def _taken(page: Page, why: str) -> Finding:
    advice = f"stop that one, or choose another port with --{page.command}-port"
    return Finding(page.title, False, f"port {page.port} is taken: {why}", advice)


def _absent(page: Page, workspace: str) -> Finding:
    try:
        is_due = page.is_due(Workspace(workspace))
    except GanimeError:  # said of the workspace already
        is_due = True
    if is_due:
        start = f"start it with `ganime up`, or alone with `ganime {page.command}`"
        return Finding(page.title, False, f"nothing answers at {page.url}", start)
    return Finding(page.title, True, f"comes once {page.once}")
