"""A place on the GPU: what fills its memory waits for what fills it now."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.runtime import deployment
from prefect.settings import get_current_settings

from ganime.errors import ConfigError


@contextmanager
def one_gpu() -> Iterator[None]:
    """Hold a place of the server's limit `gpu`.

    A process with an embedded server is alone and asks nobody. A run of a deployment insists on the
    limit, which is applied with the deployments; a run that merely reports to a server takes part
    where there is the limit. A process that dies gives its place back within five minutes.

    Raises:
        ConfigError: a deployment's run found no such limit.
    """
    with ExitStack() as held:
        if get_current_settings().api.url:
            place = concurrency(
                "gpu",
                strict=deployment.id is not None,
                # A server that is away for minutes must not end a training of hours.
                raise_on_lease_renewal_failure=False,
            )
            try:
                held.enter_context(place)
            except ConcurrencySlotAcquisitionError as error:
                raise ConfigError(
                    "the server gives no place of the concurrency limit `gpu`, without which two "
                    "trainings would share one GPU: apply it with `ganime deploy`"
                ) from error
        yield
