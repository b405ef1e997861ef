"""What a form leaves empty is the newest, the current, or what a model learned from."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.forms import model_named, reference_named, rival_named
from ganime.errors import ConfigError
from ganime.promotion import promote
from ganime.store.workspace import Workspace
from ganime.training.keys import config_key, finished_key, snapshot_key

Begun = Callable[[str, int], None]


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


@pytest.fixture
def begin(store: Workspace) -> Begun:
    """Makes a model that began at a time [s]."""

    def begin(model: str, at: int) -> None:
        store.write_text(config_key(model), '{"dataset_version": "girls/v1"}')
        store.write_bytes(snapshot_key(model, 9), b"")
        os.utime(store.local_path(config_key(model)), (at, at))

    return begin


@pytest.mark.parametrize("said", ["", "latest"])
def test_a_model_that_is_not_named_is_the_newest_with_a_snapshot(
    store: Workspace, begin: Begun, said: str
) -> None:
    begin("aa11", 2000)
    begin("bb22", 1000)
    store.write_text(config_key("cc33"), "{}")  # it has drawn nothing yet
    assert model_named(store, said) == "aa11"
    store.write_text(finished_key("bb22"), "{}")  # just now
    assert model_named(store, said) == "bb22"
    assert model_named(store, "aa") == "aa11"


def test_without_models_one_is_asked_to_train(store: Workspace) -> None:
    with pytest.raises(ConfigError, match="train one first"):
        model_named(store, "")


def test_a_rival_that_is_not_named_is_the_current_model(store: Workspace, begin: Begun) -> None:
    begin("aa11", 1000)
    begin("bb22", 2000)
    with pytest.raises(ConfigError, match="no model is the current one: name another"):
        rival_named(store, "", "bb22")
    promote(store, "aa11", by="ann")
    assert rival_named(store, "", "bb22") == "aa11"
    assert rival_named(store, "bb", "aa11") == "bb22"
    with pytest.raises(ConfigError, match="aa11 is the current model: name another"):
        rival_named(store, "", "aa11")


def test_a_reference_that_is_not_named_is_what_the_models_learned_from(
    store: Workspace,
    write_version: Callable[..., None],
) -> None:
    for version in ("v1", "v2"):
        write_version(store, version, 4)
    learned = {"aa11": "girls/v1"}
    assert str(reference_named(store, "", learned)) == "girls/v1"
    assert str(reference_named(store, "latest", learned)) == "girls/v2"
    with pytest.raises(ConfigError, match="no images are the measure of both"):
        reference_named(store, "", {**learned, "bb22": "girls/v2"})
