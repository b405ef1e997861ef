"""What fills a GPU holds the limit of the server, a real one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from flows.operate.limits import apply_limits, missing_limits
from ganime.errors import ConfigError
from tasks.gpu import one_gpu

Question = Callable[[PrefectClient], Awaitable[Any]]


def ask(question: Question) -> Any:
    async def asked() -> Any:
        async with get_client() as client:
            return await question(client)

    return asyncio.run(asked())


def places() -> tuple[int, int]:
    """How many are taken, and how many there are."""
    limit = ask(lambda client: client.read_global_concurrency_limit_by_name("gpu"))
    return limit.active_slots, limit.limit


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=300):
        yield


@pytest.fixture
def limits() -> Iterator[None]:
    ask(apply_limits)
    yield
    ask(lambda client: client.delete_global_concurrency_limit_by_name("gpu"))


def test_a_place_is_held_as_long_as_it_is_used(limits: None) -> None:
    with one_gpu():
        assert places() == (1, 1)
    assert places() == (0, 1)


def test_a_number_that_a_person_chose_stays(limits: None) -> None:
    ask(lambda client: client.upsert_global_concurrency_limit_by_name("gpu", 2))
    ask(apply_limits)
    assert places() == (0, 2)


def test_a_run_of_no_deployment_needs_no_limit() -> None:
    assert ask(missing_limits) == ["gpu"]
    with one_gpu():
        pass


def test_a_run_of_a_deployment_insists_on_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "41f0")
    with pytest.raises(ConfigError, match="apply it with `ganime deploy`"), one_gpu():
        pass


def test_without_a_server_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "41f0")
    with temporary_settings(restore_defaults={PREFECT_API_URL}), one_gpu():
        pass
