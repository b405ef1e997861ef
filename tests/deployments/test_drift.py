"""What was changed on the server is told field by field, and nothing else is."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.responses import DeploymentResponse

from flows.operate.drift import changes

VARIABLES = {"GANIME_WORKSPACE": "/srv/ganime"}
PLANNED: dict[str, Any] = {
    "name": "nightly",
    "entrypoint": "flows/nightly.py:nightly",
    "tags": ["cpu", "autoresume"],
    "work_pool": {"name": "cpu"},
    "parameters": {"workspace": "{{ $GANIME_WORKSPACE }}", "crawl": {"tags": "solo"}},
    "schedules": [{"slug": "nightly", "cron": "0 3 * * *", "timezone": "Etc/UTC"}],
}


def deployed(**changed: Any) -> DeploymentResponse:
    """The same as the server has it."""
    schedule = {"cron": "0 3 * * *", "timezone": "Etc/UTC"}
    there = {
        "id": uuid4(),
        "flow_id": uuid4(),
        "name": "nightly",
        "entrypoint": "flows/nightly.py:nightly",
        "tags": ["autoresume", "cpu"],
        "work_pool_name": "cpu",
        "parameters": {"workspace": "/srv/ganime", "crawl": {"tags": "solo"}},
        "schedules": [{"schedule": schedule, "active": False}],  # by --no-schedules, say
    }
    return DeploymentResponse.model_validate({**there, **changed})


def test_what_is_as_planned_has_no_changes() -> None:
    assert list(changes(PLANNED, deployed(), VARIABLES)) == []
    bare = {"name": "nightly", "entrypoint": "a.py:b", "work_pool": {"name": "cpu"}}
    there = deployed(entrypoint="a.py:b", tags=[], parameters={}, schedules=[])
    assert list(changes(bare, there, {})) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"entrypoint": "a.py:b"}, "entrypoint is a.py:b, not flows/nightly.py:nightly"),
        ({"work_pool_name": None}, "pool is None, not cpu"),
        (
            {"parameters": {"workspace": "/srv/ganime"}},
            "parameter crawl is None, not {'tags': 'solo'}",
        ),
        (
            {"parameters": {"workspace": "/tmp", "crawl": {"tags": "solo"}}},
            "parameter workspace is '/tmp', not '/srv/ganime'",
        ),
        ({"tags": ["cpu"]}, "tag autoresume is missing"),
        ({"tags": ["cpu", "autoresume", "mine"]}, "tag mine is new"),
        ({"schedules": []}, "schedule 0 3 * * * is missing"),
    ],
)
def test_each_change_is_told(changed: Mapping[str, Any], said: str) -> None:
    assert list(changes(PLANNED, deployed(**changed), VARIABLES)) == [said]
