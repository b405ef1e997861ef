"""What Prefect's run form is made from: every parameter described, nothing secret, nothing ugly."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid

from flows.build_dataset import build_dataset
from flows.compare_models import compare_models
from flows.crawl import crawl
from flows.evaluate_model import evaluate_model
from flows.forms import Budget, RecipeName
from flows.nightly import PresetName, nightly
from flows.retrain import retrain
from flows.run import run
from flows.train_classifier import train_classifier
from flows.train_gan import train_gan
from ganime.gans import GANS
from ganime.presets import BUDGETS, PRESETS, RECIPES

UNTOUCHED = [nightly, retrain, train_classifier, evaluate_model, compare_models, train_gan]
FLOWS = [*UNTOUCHED, build_dataset, crawl, run]
MOST_FIELDS = 12  # of a form or of a group of it


def schema(flow: Flow[..., Any]) -> dict[str, Any]:
    return parameter_schema(flow.fn).model_dump(exclude_none=True)


def groups(flow: Flow[..., Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every field of every group below the top level: group, field, its schema."""
    for name, group in schema(flow).get("definitions", {}).items():
        for field, facts in group.get("properties", {}).items():
            yield name, field, facts


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_parameter_is_described(flow: Flow[..., Any]) -> None:
    undescribed = [
        name for name, facts in schema(flow)["properties"].items() if not facts.get("description")
    ]
    assert undescribed == []


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_field_of_every_group_is_described(flow: Flow[..., Any]) -> None:
    known = schema(flow).get("definitions", {})
    undescribed = [
        f"{group}.{field}"
        for group, field, facts in groups(flow)
        # A group in a group is described by its own first line.
        if not facts.get("description")
        and not known.get(facts.get("$ref", "").rpartition("/")[2], {}).get("description")
    ]
    assert undescribed == []


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_no_parameter_is_a_secret(flow: Flow[..., Any]) -> None:
    assert "writeOnly" not in str(schema(flow))
    assert "'format': 'password'" not in str(schema(flow))


@pytest.mark.parametrize("flow", UNTOUCHED, ids=lambda flow: flow.name)
def test_a_flow_starts_from_an_untouched_form(flow: Flow[..., Any]) -> None:
    facts = schema(flow)
    assert facts.get("required", []) == []
    assert len(facts["properties"]) <= MOST_FIELDS
    assert all("anyOf" not in found for found in facts["properties"].values())


@pytest.mark.parametrize("flow", UNTOUCHED, ids=lambda flow: flow.name)
def test_a_form_that_is_sent_untouched_is_accepted_by_the_server(flow: Flow[..., Any]) -> None:
    facts = schema(flow)
    untouched = {name: found["default"] for name, found in facts["properties"].items()}
    assert is_valid(untouched, facts)


def test_another_site_with_its_options_is_accepted_by_the_server() -> None:
    folder = {"source": {"name": "folder", "path": "/art"}, "tags": "solo"}
    assert is_valid({"crawl": folder}, schema(nightly))
    assert not is_valid({"crawl": {"source": {"name": "nowhere"}}}, schema(nightly))


@pytest.mark.parametrize("flow", [evaluate_model, compare_models, retrain], ids=lambda f: f.name)
def test_a_network_with_options_is_accepted_by_the_server(flow: Flow[..., Any]) -> None:
    for extractor in ({"name": "torchvision", "size": 96}, "backbone"):
        assert is_valid({"evaluate": {"extractor": extractor}}, schema(flow))
    assert not is_valid({"evaluate": {"extractor": {"name": "nothing"}}}, schema(flow))


def test_choices_of_a_form_are_all_that_there_are() -> None:
    assert set(RECIPES) == set(get_args(RecipeName)) <= set(GANS.names())
    assert set(get_args(Budget)) == set(BUDGETS)
    assert set(get_args(PresetName)) == set(PRESETS)
    assert schema(retrain)["properties"]["recipe"]["enum"] == list(get_args(RecipeName))
