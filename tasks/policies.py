"""How flows and tasks behave under Prefect: what is cached, what is retried, when to give up."""

from collections.abc import Callable
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from ganime.errors import CannotConnect, GanimeError, SourceUnavailable

# The store is the only memory: stages ask the manifests what is missing. Prefect's own cache would
# still say "done" after a manifest was deleted, so it stays off.
# Tasks bear no tags: for each run of a tagged one Prefect asks the server for a place under the
# tag's limit, whether there is one or not, and a server too busy to answer fails the run. What must
# not run twice at once says so by `tasks.gpu`.
STAGE: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


def may_heal(_task: Any, _run: Any, state: Any) -> bool:
    """Retry only what time may mend: a slow or overloaded site, not one that is not there."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, SourceUnavailable) and not isinstance(error, CannotConnect)


_heals: Callable[..., bool] = may_heal
NETWORK: dict[str, Any] = {
    **STAGE,
    "retries": 2,
    "retry_delay_seconds": [5, 20],
    "retry_condition_fn": _heals,
}


def refuse_after(runs: int = 3) -> None:
    """First line of a flow that is resumed by itself: give up what crashes again and again.

    A crashed run is scheduled anew by an automation, which does not count; without an end, one
    input that kills the process would keep a worker busy for ever.

    Args:
        runs: How often the flow run may begin.

    Raises:
        GanimeError: it began more often; the run then fails, and stays so.
    """
    count = int(flow_run.run_count or 0)
    if count > runs:
        raise GanimeError(
            f"this run began {count} times and never ended, {runs} times are allowed: see in the "
            "log where it stopped, put that right, and start a new run, which goes on from there"
        )
