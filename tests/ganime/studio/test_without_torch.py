"""A package serves without torch, and one seed is one picture whichever way it is asked for."""

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from ganime.gans import GANS, Recipe, StyleNetwork
from ganime.gans.dcgan import Dcgan
from ganime.gans.stylegan2 import StyleGan2
from ganime.model_packages.export import export_package
from ganime.stages.train import TrainConfig
from ganime.store.workspace import Workspace
from ganime.studio.outlines import outline
from ganime.studio.serve import StudioConfig, service_of
from ganime.training.generator import Blueprint
from ganime.training.snapshot import save_snapshot

pytestmark = pytest.mark.slow
Serving = Callable[..., AbstractContextManager[str]]
MODEL = "0" * 12
SEEDS = (0, 7, 2**32 + 5)
WITHOUT_TORCH = """
import sys


class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is not to be imported")


sys.meta_path.insert(0, NoTorch())
from flows.cli.app import main

main()
"""
RECIPES: dict[str, tuple[Recipe, tuple[str, ...]]] = {
    "dcgan": (Dcgan(latent=16, width_generator=8, widest=32), ()),
    "stylegan2": (StyleGan2(latent=16, channel_base=512, channel_max=16), ("hat", "smile")),
}


@pytest.fixture(scope="module", params=sorted(RECIPES))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Path]:
    """A workspace with one lively model of random weights, and its package."""
    recipe, tags = RECIPES[request.param]
    torch.manual_seed(0)
    examples = np.random.default_rng(0).integers(0, 2, (9, len(tags)), np.uint8)
    blueprint = Blueprint(recipe, 32, tags, examples)
    network = blueprint.network()
    with torch.no_grad():
        if isinstance(network, StyleNetwork):
            network.average_style.normal_()  # as after training
        else:
            for weights in network.parameters():
                weights.mul_(8 if weights.dim() > 1 else 1)  # at first it draws grey alone
    folder = tmp_path_factory.mktemp("exported")
    workspace = Workspace(str(folder / "workspace"))
    save_snapshot(workspace, MODEL, 64, network, blueprint)
    settings = {
        "model_id": MODEL,
        "dataset_version": "girls/gone",
        "num_images": 9,
        "tags": list(tags),
        "config": TrainConfig(recipe=recipe, resolution=32, tags=tags).model_dump(mode="json"),
    }
    workspace.write_text(f"models/{MODEL}/config.json", json.dumps(settings))
    package = folder / "model.ganime"
    export_package(workspace, MODEL, package, onnx=True)
    return workspace, package


@contextmanager
def command(*words: str) -> Iterator[httpx.Client]:
    """`ganime studio` with these words, where torch cannot be imported; talks to it."""
    line = [sys.executable, "-c", WITHOUT_TORCH, "studio", *words, "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        try:
            with httpx.Client(base_url=url, timeout=240) as client:
                yield client
        finally:
            process.terminate()


def pixels(content: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.int16)


def drawn(client: httpx.Client, truncation: float) -> list[np.ndarray[Any, Any]]:
    """All seeds through the API, each by its own address as well, which is the same file."""
    body = {"seeds": SEEDS, "truncation": truncation, "inline": True}
    found = client.post("/v1/images", json=body).raise_for_status().json()["images"]
    files = [base64.b64decode(one["data"]) for one in found]
    for one, file in zip(found, files, strict=True):
        assert client.get(one["url"]).raise_for_status().content == file
    return [pixels(file) for file in files]


def test_one_seed_is_one_picture_by_command_api_address_and_package(
    exported: tuple[Workspace, Path], serve_with: Serving, tmp_path: Path
) -> None:
    workspace, package = exported
    listed = ",".join(map(str, SEEDS))
    words = ["generate", "--seeds", listed, "--truncation", "0.7", "--out", str(tmp_path)]
    line = [sys.executable, "-m", "flows.cli", *words, "--workspace", workspace.url]
    subprocess.run(line, check=True, timeout=240)
    expected = [pixels((tmp_path / f"seed-{seed:05d}.png").read_bytes()) for seed in SEEDS]
    assert min(image.std() for image in expected) > 3  # not one colour

    service = service_of(workspace, StudioConfig())
    with serve_with(service) as url, httpx.Client(base_url=url, timeout=240) as client:
        by_torch = drawn(client, 0.7)
    service.close()
    with command(str(package)) as client:
        by_package = drawn(client, 0.7)
    for found in (by_torch, by_package):
        differences = [
            int(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True)
        ]
        assert max(differences) <= 1, differences


def test_a_package_is_the_only_model_and_does_what_others_do(
    exported: tuple[Workspace, Path],
) -> None:
    workspace, package = exported
    with command(str(package)) as client:
        (model,) = client.get("/v1/models").raise_for_status().json()["models"]
        assert model["id"] == f"{MODEL}@64"
        assert model["dataset"] == "girls/gone"
        head = outline(workspace, MODEL, 64)
        assert (model["resolution"], model["num_styles"]) == (32, head.num_styles)
        names = [one["name"] for one in model["directions"]]
        assert ("pca-1" in names) == bool(head.num_styles)
        wishes = {"shift": dict.fromkeys(names[:1], 2.0)}
        plain, moved = (
            client.post("/v1/images", json={"seeds": [3], **more}).raise_for_status().content
            for more in ({}, wishes)
        )
        assert np.array_equal(pixels(plain), pixels(moved)) == (not names)
        near = client.post("/v1/neighbours", json={"seed": 3, "count": 2})
        assert len(near.raise_for_status().json()["images"]) == 2
        answer = client.post("/v1/images", json={"seeds": [1], "model": "1234"})
        assert answer.status_code == 404
        assert f"holds {MODEL}@64" in answer.json()["detail"]
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")


def test_directions_of_a_package_are_those_of_torch(exported: tuple[Workspace, Path]) -> None:
    workspace, package = exported
    if not outline(workspace, MODEL, 64).num_styles:
        pytest.skip("without styles a package has no directions")
    by_torch, light = (service_of(one, StudioConfig()) for one in (workspace, package))
    (units, deviations), (expected, lengths) = (
        one.models.opened("").engine.principal(4) for one in (light, by_torch)
    )
    np.testing.assert_allclose(deviations, lengths, rtol=1e-3)
    np.testing.assert_allclose(units, expected, atol=2e-3)
    by_torch.close()
    light.close()


def test_listing_models_imports_no_torch(exported: tuple[Workspace, Path]) -> None:
    workspace, _ = exported
    script = (
        WITHOUT_TORCH.partition("from flows")[0]
        + "from ganime.store.workspace import Workspace\n"
        + "from ganime.studio.models import Models\n"
        + "print(Models(Workspace(sys.argv[1])).listed()[0].reference)\n"
    )
    line = [sys.executable, "-c", script, workspace.url]
    told = subprocess.run(line, check=True, timeout=240, capture_output=True, text=True).stdout
    assert told.split() == [f"{MODEL}@64"]


@pytest.mark.parametrize("name", GANS.names())
@pytest.mark.parametrize("resolution", [32, 64, 256])
def test_heads_tell_the_shapes_of_every_recipe(name: str, resolution: int, tmp_path: Path) -> None:
    """What is read from a head is what the network has; a new recipe is held to it as well."""
    recipe = GANS.build(name)
    with torch.device("meta"):  # shapes without weights
        network = recipe.generator(resolution)
    has_styles = isinstance(network, StyleNetwork)
    workspace = Workspace(str(tmp_path))
    small = torch.nn.Module()
    if isinstance(network, StyleNetwork):
        small.register_buffer("average_style", torch.zeros(len(network.average_style)))
    save_snapshot(workspace, MODEL, 64, small, Blueprint(recipe, resolution))
    found = outline(workspace, MODEL, 64)
    assert (found.recipe, found.resolution) == (name, resolution)
    assert found.num_styles == (network.num_styles if isinstance(network, StyleNetwork) else 0)
    assert found.code_length == (len(network.average_style) if has_styles else recipe.num_latents)
