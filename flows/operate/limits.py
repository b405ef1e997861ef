"""Global concurrency limits, which runs on any machine share."""

from prefect.client.orchestration import PrefectClient

# A limit that nobody created is ignored in silence: `ganime up` creates these, its check finds code
# that asks for another, and runs of our deployments insist on them (`tasks.gpu.one_gpu`).
# Sites need none: the crawler keeps their budgets itself, per host and across processes.
LIMITS = {
    "gpu": 1,  # trainings and scorings at once: a second one runs out of the GPU's memory
}


async def apply_limits(client: PrefectClient) -> None:
    """Create those that are missing; a number that a person chose since stays."""
    for name in await missing_limits(client):
        await client.upsert_global_concurrency_limit_by_name(name, LIMITS[name])


async def missing_limits(client: PrefectClient) -> list[str]:
    """Those that the server does not have."""
    found = {item.name for item in await client.read_global_concurrency_limits(200)}
    return [name for name in LIMITS if name not in found]
