"""Write one snapshot of a model into a package."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch

import ganime
from ganime.errors import ConfigError
from ganime.gans import StyleNetwork
from ganime.images import encode_png
from ganime.lite.archive import CARD, DIRECTIONS, MEMBERS, MODEL, SAMPLES, WEIGHTS, write_archive
from ganime.lite.description import Description
from ganime.lite.directions import Carried, pack
from ganime.lite.generator import OnnxGenerator
from ganime.lite.package import Package, blueprint_in, open_package
from ganime.model_packages.card import model_card
from ganime.model_packages.facts import ModelFacts, facts_of, health_at, images_of
from ganime.model_packages.training_set import members_file, training_ids
from ganime.rows import EvaluationRow
from ganime.store.workspace import Workspace
from ganime.training.generator import Generator
from ganime.training.keys import grid_key, snapshot_key
from ganime.training.onnx_file import graphs
from ganime.training.sheets import grid
from ganime.training.snapshot import load_generator

NUM_COMPARED = 4  # images that both ways of drawing make
CLOSE = 1  # of 255: rounding falls either way where sums differ in the last bit


def export_package(
    workspace: Workspace,
    model_id: str,
    path: Path,
    *,
    nimg: int | None = None,
    members: bool = False,
    onnx: bool = False,
    directions: Mapping[str, Carried] | None = None,
) -> Package:
    """Write a package that others can import; exporting twice gives equal bytes.

    Args:
        workspace: Where the model lies.
        model_id: The model.
        path: File to make, `NAME.ganime`.
        nimg: Which snapshot; None for the last.
        members: Whether to list the ids of the training images.
        onnx: Whether to add graphs that draw without torch, and prove that they draw the same.
        directions: Ways to change a character, by name, as `ganime.studio.carrying` gives them.

    Returns:
        The package, read back and checked.

    Raises:
        ConfigError: there is no such snapshot, the dataset is not here but its members are asked
            for, a package for ONNX is missing, or its graphs draw something else.
        WeightsError: the snapshot is damaged.
    """
    generator = load_generator(workspace, model_id, nimg)
    facts = facts_of(workspace, model_id)
    weights = workspace.read_bytes(snapshot_key(model_id, generator.nimg))
    described, scores = _describe(workspace, facts, generator, blueprint_in(weights))
    entries = {
        MODEL: json.dumps(described.model_dump(mode="json"), indent=1, sort_keys=True).encode(),
        CARD: model_card(described, scores).encode(),
        SAMPLES: _samples(workspace, model_id, generator),
        WEIGHTS: weights,
    }
    if members:
        entries[MEMBERS] = _members(workspace, facts)
    if directions:
        entries[DIRECTIONS] = pack(directions)
    if onnx:
        entries |= graphs(generator)
        _prove(generator, Package(path, described, entries, safetensors.numpy.load(weights)))
    write_archive(path, entries)
    return open_package(path)


def _describe(
    workspace: Workspace, facts: ModelFacts, generator: Generator, blueprint: dict[str, Any]
) -> tuple[Description, list[EvaluationRow]]:
    network = generator.network
    scores = sorted(
        (row for row in facts.scores if row.nimg in (0, generator.nimg)),
        key=lambda row: (row.metric, row.nimg, row.num_fake, row.reference, row.settings),
    )
    described = Description(
        made_by=f"ganime {ganime.__version__}",
        model_id=facts.model_id,
        nimg=generator.nimg,
        blueprint=blueprint,
        num_latents=generator.blueprint.recipe.num_latents,
        latents=_distribution(generator),
        num_styles=network.num_styles if isinstance(network, StyleNetwork) else 0,
        settings=dict(facts.settings),
        finished=None if facts.finished is None else dict(facts.finished),
        trained_on=images_of(workspace, facts),
        scores=tuple(asdict(row) for row in scores),
        health=health_at(workspace, facts.model_id, generator.nimg),
    )
    return described, scores


def _distribution(generator: Generator) -> Any:
    """What the recipe makes of normal numbers; None where it is neither of the known ones."""
    normal = torch.linspace(-2, 2, 8)[None]
    made = generator.blueprint.recipe.latents(normal)
    if torch.equal(made, normal):
        return "normal"
    return "binary" if torch.equal(made, normal.sign()) else None


def _samples(workspace: Workspace, model_id: str, generator: Generator) -> bytes:
    key = grid_key(model_id, generator.nimg)
    return workspace.read_bytes(key) if workspace.exists(key) else encode_png(grid(generator))


def _members(workspace: Workspace, facts: ModelFacts) -> bytes:
    ids = training_ids(workspace, facts.dataset)
    if ids is None:
        raise ConfigError(
            f"--members: the dataset {facts.dataset} of model {facts.model_id} is not in "
            f"{workspace.describe()}, so its images cannot be listed; leave the option out"
        )
    return members_file(ids)


def _prove(generator: Generator, package: Package) -> None:
    """Raise ConfigError unless onnxruntime draws what torch does, truncated too."""
    seeds = list(range(NUM_COMPARED))
    z, asked = generator.blueprint.of_seeds(seeds)
    expected = generator.images(z, asked, truncation=0.7).astype(np.int16)
    light = OnnxGenerator(package)
    found = light.images(*light.of_seeds(seeds), truncation=0.7).astype(np.int16)
    difference = int(np.abs(found - expected).max())
    if difference > CLOSE:
        raise ConfigError(
            f"--onnx: onnxruntime's images differ by {difference} of 255 from torch's, more than "
            f"{CLOSE}: export without --onnx"
        )
