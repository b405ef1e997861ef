"""A retraining keeps the better of two models: planted ones, really scored, under Prefect."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from flows.forms import dataset_named
from flows.retrain import Retraining, retrain
from flows.train_gan import configured
from ganime.errors import ConfigError
from ganime.growth import growth, note_retraining
from ganime.presets import training
from ganime.promotion import current, history, promote, rollback
from ganime.rows import MetricRow
from ganime.stages.compare import CompareConfig
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.train import model_id
from ganime.store.labels import Answer, LabelLog
from ganime.store.lineage import models
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint
from ganime.training.run import write_finish
from ganime.training.snapshot import save_snapshot

NAME, NUM = "girls", 64  # the name that `write_version` gives
SCORED = EvaluateConfig(num_fake=96, floor=False)
COMPARED = CompareConfig(resamples=10)
SHORT = ("nimg=256", "recipe.width_generator=4", "recipe.width_discriminator=4", "num_threads=1")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with (
        prefect_test_harness(server_startup_timeout=300),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture
def store(tmp_path: Path, write_version: Any) -> Workspace:
    """One dataset version."""
    store = Workspace(str(tmp_path))
    write_version(store, "v1", NUM)
    return store


def retrained(store: Workspace, *settings: str, **more: Any) -> Retraining:
    return retrain(
        recipe="dcgan",
        workspace=store.url,
        dataset=NAME,
        budget="minutes",
        settings=(*SHORT, *settings),
        evaluate=SCORED,
        compare=COMPARED,
        **more,
    )


def plant(store: Workspace, seed: int, ground: float, *, spread: float = 0.9) -> str:
    """A finished model with random weights on a ground: 3 is as white as the discs', -3 black."""
    config = configured(
        store, dataset_named(store, NAME), "dcgan", "minutes", (), (*SHORT, f"seed={seed}")
    )
    model = model_id(f"{NAME}/v1", config)
    torch.manual_seed(seed)
    network = config.recipe.generator(32).eval()
    last = list(network.parameters())[-1]
    last.data.fill_(ground)  # the bias before the tanh
    save_snapshot(store, model, 256, network, Blueprint(config.recipe, 32))
    store.write_text(f"models/{model}/config.json", json.dumps({"dataset_version": f"{NAME}/v1"}))
    made = Provenance(stage="train", revision=1, config=config, run_id="r")
    rows = [MetricRow(nimg=256, name="spread", value=spread)]
    Table(store, MetricRow, root=f"models/{model}").write("a", rows, made)
    write_finish(store, model, 256, "r", "all images were shown")
    return model


@pytest.mark.slow
def test_only_a_better_model_replaces_the_current_one(
    store: Workspace, monkeypatch: pytest.MonkeyPatch, artifact: Callable[[str], str]
) -> None:
    monkeypatch.setenv("GANIME_REVIEW_URL", "http://review.example:8000/")
    black, white, blacker = (plant(store, seed, ground) for seed, ground in enumerate((-3, 3, -4)))

    first = retrained(store, "seed=0")
    assert (first.model, first.promoted, current(store)) == (black, True, black), first.said
    told = artifact("retrain")
    assert "it is the first one" in told
    assert f"http://review.example:8000/?view=models&model={black}" in told

    better = retrained(store, "seed=1")
    assert (better.model, better.before, better.promoted) == (white, black, True), better.said
    assert current(store) == white
    entry = history(store)[-1]
    assert entry.by == "retrain"
    assert entry.comparison is not None
    assert "B better" in entry.comparison["gaps"][0]["verdict"]
    told = artifact("retrain")
    assert f"{white} is the current model now" in told
    assert "data:image/webp;base64," in told
    assert len(told.encode()) < 50_000

    worse = retrained(store, "seed=2")
    assert (worse.model, worse.promoted) == (blacker, False), worse.said
    assert f"{white} stays the current model" in worse.said
    assert current(store) == white

    again = retrained(store, "seed=1")
    assert not again.promoted
    assert "the same model" in again.said
    assert rollback(store, by="ann") == black


@pytest.mark.slow
def test_a_model_whose_samples_look_alike_is_not_even_the_first(store: Workspace) -> None:
    plant(store, 0, 3, spread=0.1)
    found = retrained(store, "seed=0")
    assert not found.promoted
    assert "look alike" in found.said
    assert current(store) is None


def test_growth_is_counted_from_what_the_last_retraining_knew(
    store: Workspace, write_version: Any
) -> None:
    assert growth(store, NAME, "v1").added == NUM
    note_retraining(store, NAME, "v1", "r")
    assert growth(store, NAME, "v1").added == 0
    write_version(store, "v2", NUM + 5)
    LabelLog(store).append(
        [Answer(image_id="0" * 64, question="keep", answer=False)], by="ann", how="test"
    )
    found = growth(store, NAME, "v2")
    assert (found.since, found.added, found.labels) == ("v1", 5, 1)


def test_without_a_retraining_growth_is_counted_from_the_current_model(
    store: Workspace, write_version: Any
) -> None:
    promote(store, plant(store, 0, 3), by="ann")
    write_version(store, "v2", NUM + 5)
    assert growth(store, NAME, "v2").added == 5


@pytest.mark.parametrize("said", ["", "latest", NAME, f"{NAME}/latest", f"{NAME}/v2"])
def test_a_form_names_the_newest_version_in_any_way(
    store: Workspace, said: str, write_version: Any
) -> None:
    write_version(store, "v2", NUM + 5)
    assert str(dataset_named(store, said)) == f"{NAME}/v2"
    assert str(dataset_named(store, f"{NAME}/v1")) == f"{NAME}/v1"


def test_a_dataset_that_is_not_there_is_named(store: Workspace) -> None:
    with pytest.raises(ConfigError, match="girls/v1"):
        dataset_named(store, "boys")


def test_a_current_model_that_is_gone_is_found_out_before_training(store: Workspace) -> None:
    store.write_text("models/gone/config.json", "{}")
    store.write_bytes("models/gone/snapshots/000000001.safetensors", b"")
    promote(store, "gone", by="ann")
    store.remove("models/gone/snapshots/000000001.safetensors")
    with pytest.raises(ConfigError, match="gone"):
        retrained(store)
    assert sorted(models(store)) == ["gone"]


def test_the_training_of_a_form_is_that_of_the_command(store: Workspace) -> None:
    made = configured(
        store, dataset_named(store, NAME), "stylegan2", "night", ("all",), ("batch=32",)
    )
    wanted = training("stylegan2", 32, "night", {"tags": ("all",)}, ("batch=32",))
    assert made == wanted
    assert json.loads(made.canonical())["nimg"] == 2_000_000
