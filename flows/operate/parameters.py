"""Whether a flow would take the parameters that a deployment gives it."""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

from prefect import Flow
from pydantic import (
    BaseModel,
    PydanticUserError,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
)

from ganime.config import explain


def parameter_problems(flow: Flow[..., Any], given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with given parameters: the field, and what to say of it.

    Prefect itself takes unknown names without a word.
    """
    known = inspect.signature(flow.fn).parameters
    hints = get_type_hints(flow.fn)
    for name, value in given.items():
        if name in known:
            for problem in _value_problems(hints.get(name, Any), value):
                yield name, problem
        else:
            yield name, f"flow {flow.name} has no such parameter; {_advice(name, list(known))}"


def missing(flow: Flow[..., Any], given: Mapping[str, Any]) -> list[str]:
    """Parameters without a default that are not given: who starts the run must say them."""
    known = inspect.signature(flow.fn).parameters.values()
    return [item.name for item in known if item.default is item.empty and item.name not in given]


def secret_parameters(flow: Flow[..., Any]) -> list[str]:
    """Parameters meant for secrets: Prefect stores and shows them in plain text."""
    hints = get_type_hints(flow.fn)
    return [name for name, hint in hints.items() if hint in (SecretStr, SecretBytes)]


def _value_problems(hint: Any, value: Any) -> Iterator[str]:
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        # Of a dataclass pydantic takes unknown names as silently as Prefect does.
        names = [item.name for item in dataclasses.fields(hint)]
        for name in set(value) - set(names):
            yield f"{name}: unknown setting; {_advice(str(name), names)}"
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            yield explain(error, hint)
        else:
            yield "; ".join(f"{item['msg']} (got {item['input']!r:.80})" for item in error.errors())
    except PydanticUserError:  # a type that has no schema: Prefect does not check it either
        return


def _advice(name: str, known: list[str]) -> str:
    alike = get_close_matches(name, known, 1)
    return f"did you mean {alike[0]}?" if alike else f"known: {', '.join(known) or 'none'}"
