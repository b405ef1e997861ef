"""How tasks behave under Prefect: what is cached, what is retried."""

from collections.abc import Callable
from typing import Any

from prefect.cache_policies import NO_CACHE

from ganime.errors import SourceUnavailable

# The store is the only memory: stages ask the manifests what is missing. Prefect's own cache would
# still say "done" after a manifest was deleted, so it stays off.
STAGE: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


def may_heal(_task: Any, _run: Any, state: Any) -> bool:
    """Retry only what time may mend: an unreachable or overloaded site."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, SourceUnavailable)


_heals: Callable[..., bool] = may_heal
NETWORK: dict[str, Any] = {
    **STAGE,
    "retries": 2,
    "retry_delay_seconds": [5, 20],
    "retry_condition_fn": _heals,
}
