"""Directions leave a workspace in a package and are there where its classifiers are not."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from ganime.errors import ConfigError, WeightsError
from ganime.gans.dcgan import Dcgan
from ganime.lite.archive import DIRECTIONS, read_archive, write_archive
from ganime.lite.directions import pack
from ganime.lite.package import open_package
from ganime.model_packages.export import export_package
from ganime.model_packages.importing import import_package
from ganime.stages.train import TrainConfig
from ganime.store.workspace import Workspace
from ganime.studio.attributes import Attribute
from ganime.studio.carrying import carried
from ganime.studio.serve import StudioConfig, service_of
from ganime.training.generator import Blueprint
from ganime.training.snapshot import save_snapshot

Serving = Callable[..., AbstractContextManager[str]]
MODEL = "0" * 12
CHIBI = f"question:chibi@{'a' * 12}"
MOVED = {CHIBI: 2.0, "pca-1": -1.0}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A lively model without styles, with a direction that a classifier's answers gave."""
    workspace = Workspace(str(tmp_path_factory.mktemp("origin")))
    recipe = Dcgan(latent=8, width_generator=8, widest=32)
    torch.manual_seed(0)
    blueprint = Blueprint(recipe, 32)
    network = blueprint.network()
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(8 if weights.dim() > 1 else 1)  # at first it draws grey alone
    save_snapshot(workspace, MODEL, 64, network, blueprint)
    settings = {
        "model_id": MODEL,
        "dataset_version": "girls/gone",
        "num_images": 9,
        "tags": [],
        "config": TrainConfig(recipe=recipe, resolution=32).model_dump(mode="json"),
    }
    workspace.write_text(f"models/{MODEL}/config.json", json.dumps(settings))
    asked = {"question": {"question": "chibi"}, "backbone": {}, "features": "gone"}
    workspace.write_text(f"classifiers/{'a' * 12}/config.json", json.dumps(asked))
    workspace.write_text(f"classifiers/{'a' * 12}/figures.json", "{}")
    found = Attribute(
        question="chibi",
        classifier_id="a" * 12,
        step=(0.5, -0.25, 0, 0, 1, 0, 0, 0),
        correlation=0.7,
        low=0.1,
        high=0.8,
    )
    key = f"models/{MODEL}/studio/question-000000064-{'a' * 12}.json"
    workspace.write_text(key, found.model_dump_json())
    return workspace


@pytest.fixture(scope="module")
def package(origin: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "model.ganime"
    export_package(origin, MODEL, path, onnx=True, directions=carried(origin, MODEL))
    return path


@contextmanager
def talking(source: Workspace | Path, serve_with: Serving) -> Iterator[httpx.Client]:
    service = service_of(source, StudioConfig())
    with serve_with(service) as url, httpx.Client(base_url=url, timeout=240) as client:
        yield client
    service.close()


def drawn(client: httpx.Client, shift: dict[str, float]) -> np.ndarray:
    answer = client.post("/v1/images", json={"seeds": [3], "shift": shift}).raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), np.int16)


def test_a_package_and_a_workspace_it_came_to_have_the_sliders_of_where_it_was_made(
    origin: Workspace, package: Path, serve_with: Serving, tmp_path: Path
) -> None:
    target = Workspace(str(tmp_path / "target"))
    import_package(target, package)
    with talking(origin, serve_with) as client:
        (expected,) = client.get("/v1/models").json()["models"]
        image = drawn(client, MOVED)
        assert np.abs(image - drawn(client, {})).max() > 8
    assert {one["name"] for one in expected["directions"]} > set(MOVED)
    for source in (package, target):
        with talking(source, serve_with) as client:
            (model,) = client.get("/v1/models").json()["models"]
            assert model["directions"] == expected["directions"]
            assert np.abs(drawn(client, MOVED) - image).max() <= 1


def test_a_package_without_directions_is_read(origin: Workspace, tmp_path: Path) -> None:
    made = export_package(origin, MODEL, tmp_path / "older.ganime")
    assert DIRECTIONS not in made.entries
    assert made.directions == {}
    import_package(Workspace(str(tmp_path / "target")), tmp_path / "older.ganime")


def test_directions_of_another_model_are_refused(package: Path, tmp_path: Path) -> None:
    entries = read_archive(package)
    shorter = {
        name: type(one)(one.step[:3], one.correlation, one.low, one.high)
        for name, one in open_package(package).directions.items()
    }
    write_archive(tmp_path / "bad.ganime", {**entries, DIRECTIONS: pack(shorter)})
    with pytest.raises(WeightsError, match=r"directions\.safetensors has .* wanted 8"):
        open_package(tmp_path / "bad.ganime")


def test_a_classifier_of_the_workspace_outranks_a_direction_that_was_brought(
    package: Path, tmp_path: Path
) -> None:
    target = Workspace(str(tmp_path / "target"))
    import_package(target, package)
    own = {"question": {"question": "chibi"}, "backbone": {}, "features": "x"}
    target.write_text(f"classifiers/{'c' * 12}/config.json", json.dumps(own))
    target.write_text(f"classifiers/{'c' * 12}/figures.json", "{}")
    service = service_of(target, StudioConfig())
    (model,) = service.models.listed()
    service.close()
    assert not model.sought.found
    assert [one.question for one in model.sought.unsought] == ["chibi"]


def test_a_snapshot_that_is_not_there_has_nothing_to_carry(origin: Workspace) -> None:
    with pytest.raises(ConfigError, match="no snapshot at 65 images shown"):
        carried(origin, MODEL, 65)
