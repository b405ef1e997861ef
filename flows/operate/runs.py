"""Ending runs in good order."""

import time
from collections.abc import Iterable, Sequence
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType

_BUSY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


async def busy_runs(client: PrefectClient, pools: Iterable[str]) -> list[FlowRun]:
    """Runs of these pools that have a process, or are about to."""
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=_BUSY))
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=state),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=list(pools))),
    )


async def cancel_runs(client: PrefectClient, pools: Sequence[str], patience_s: float) -> int:
    """Cancel what runs and wait until it has ended; a worker gives each run 30 s to save its work.

    Args:
        client: The server's.
        pools: Whose runs.
        patience_s: How long to wait [s].

    Returns:
        How many were cancelled.
    """
    end = time.monotonic() + patience_s
    asked: set[UUID] = set()
    # Asked for again and again: until its worker is stopped a new run may begin at any time.
    while (busy := await busy_runs(client, pools)) and time.monotonic() < end:
        for run in busy:
            if run.id not in asked:
                asked.add(run.id)
                await client.set_flow_run_state(run.id, State(type=StateType.CANCELLING))
        await anyio.sleep(0.5)
    return len(asked)


async def close_runs(client: PrefectClient, pools: Sequence[str]) -> int:
    """Mark as cancelled what still counts as busy once no worker is left.

    Returns:
        How many there were.
    """
    left = await busy_runs(client, pools)
    state = State(type=StateType.CANCELLED, message="its worker was stopped")
    for run in left:
        await client.set_flow_run_state(run.id, state, force=True)
    return len(left)
