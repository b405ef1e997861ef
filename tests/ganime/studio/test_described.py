"""The API is what its description says: schemathesis draws requests from it."""

from typing import Any

import pytest
from httpx import Client
from hypothesis import HealthCheck, given, settings

from ganime.studio.service import Service

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import checks  # noqa: E402 - where it is installed
from schemathesis.generation import GenerationMode  # noqa: E402 - as above
from schemathesis.specs.openapi.checks import (  # noqa: E402 - as above
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def of_the_usual_model(body: Any) -> Any:
    """A body that names no model: there is hardly one of a name that is drawn at random."""
    if isinstance(body, dict):
        return {
            name: "" if name == "model" else of_the_usual_model(one) for name, one in body.items()
        }
    return [of_the_usual_model(one) for one in body] if isinstance(body, list) else body


@pytest.mark.slow
@pytest.mark.parametrize("is_valid", [True, False], ids=["valid", "invalid"])
def test_every_answer_stands_in_the_description(
    service: Service, client: Client, is_valid: bool
) -> None:
    mode = GenerationMode.POSITIVE if is_valid else GenerationMode.NEGATIVE
    wanted = CHECKS if is_valid else [*CHECKS, negative_data_rejection]
    schema = schemathesis.openapi.from_url(f"{client.base_url}/v1/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 10
    for operation in operations:
        takes_nothing = not (operation.path_parameters or operation.body)
        if takes_nothing and not is_valid:
            continue  # there is nothing to get wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=1 if takes_nothing else 20,
            derandomize=True,  # the same requests in every run
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        def asked(case: Any) -> None:
            if is_valid:
                case.body = of_the_usual_model(case.body)
            case.call_and_validate(checks=wanted, timeout=120)

        asked()
    answers = service.meters.requests.counts
    drawn = sum(number for (route, status), number in answers.items() if status == 200)
    refused = sum(number for (route, status), number in answers.items() if status == 422)
    assert drawn > 5 if is_valid else refused > 40, answers  # not all is turned away at the door
