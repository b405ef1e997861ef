"""Workspaces with tiny generators of random weights, and the studio served over them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from ganime.gans import Recipe
from ganime.gans.dcgan import Dcgan
from ganime.gans.r3gan import R3gan
from ganime.gans.stylegan2 import StyleGan2
from ganime.store.workspace import Workspace
from ganime.studio.serve import StudioConfig, server_of, service_of
from ganime.studio.service import Service
from ganime.training.generator import Blueprint
from ganime.training.snapshot import save_snapshot
from ganime.web.server import listen

TAGS = ("blue_hair", "long_hair", "dress")
RECIPES: dict[str, tuple[Recipe, tuple[str, ...]]] = {
    "plain0001": (Dcgan(latent=16, width_generator=8, widest=32), ()),
    "tagged001": (R3gan(latent=16, width=8, widest=32), TAGS),
    "styled001": (StyleGan2(latent=16, channel_base=512, channel_max=16), TAGS),
}


def add_model(workspace: Workspace, name: str, nimg: int, *, seed: int = 0) -> None:
    """A snapshot of random weights, as training leaves it."""
    recipe, tags = RECIPES[name]
    torch.manual_seed(seed)
    examples = np.random.default_rng(0).integers(0, 2, (64, len(tags)), dtype=np.uint8)
    blueprint = Blueprint(recipe, 32, tags, examples)
    save_snapshot(workspace, name, nimg, blueprint.network().eval(), blueprint)
    described = {"model_id": name, "dataset_version": "girls/v1"}
    workspace.write_text(f"models/{name}/config.json", json.dumps(described))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """One model of each kind: plain, with tags, with tags and styles."""
    workspace = Workspace(str(tmp_path / "workspace"))
    for name in RECIPES:
        add_model(workspace, name, 64)
    return workspace


@pytest.fixture
def another_snapshot() -> Callable[..., None]:
    """Adds a snapshot of other weights to a model."""
    return add_model


@pytest.fixture(scope="session")
def serve_with(serving: Callable[..., Any]) -> Callable[..., Any]:
    """Serves a studio over real HTTP: a service, with a token; gives its address."""

    @contextmanager
    def serve(service: Service, token: str = "") -> Iterator[str]:
        config = StudioConfig(port=0)
        with serving(server_of(service, config, token), listen(config)) as url:
            yield url

    return serve


@pytest.fixture
def service(workspace: Workspace) -> Iterator[Service]:
    found = service_of(workspace, StudioConfig(model="plain"))
    yield found
    found.close()


@pytest.fixture
def client(service: Service, serve_with: Callable[..., Any]) -> Iterator[httpx.Client]:
    """Talks to the studio as programs do."""
    with serve_with(service) as url, httpx.Client(base_url=url, timeout=120) as found:
        yield found
