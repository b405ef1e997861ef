"""Snapshots: the averaged generator in one file, written by training, read by everything else."""

import json
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ganime.errors import ConfigError, WeightsError
from ganime.gans import GANS
from ganime.lite.package import METADATA, PREFIX, TAG_EXAMPLES
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint, Generator
from ganime.training.keys import snapshot_key, snapshots

__all__ = ["load_generator", "save_snapshot", "snapshot_key", "snapshots"]


def save_snapshot(
    workspace: Workspace, model_id: str, nimg: int, network: nn.Module, blueprint: Blueprint
) -> None:
    """Write a generator into a file that explains itself.

    Args:
        workspace: Where.
        model_id: Of which model.
        nimg: Real images shown.
        network: The averaged generator.
        blueprint: What it is.
    """
    state = network.state_dict()
    tensors = {PREFIX + name: tensor.cpu().contiguous() for name, tensor in state.items()}
    if blueprint.tag_names:
        tensors[TAG_EXAMPLES] = torch.from_numpy(np.ascontiguousarray(blueprint.tag_examples))
    origin = {
        "recipe": blueprint.recipe.model_dump(mode="json"),
        "resolution": blueprint.resolution,
        "tags": list(blueprint.tag_names),
        "nimg": nimg,
    }
    # One entry: safetensors writes several in random order, and equal runs shall write equal files.
    metadata = {METADATA: json.dumps(origin, sort_keys=True)}
    workspace.write_bytes(
        snapshot_key(model_id, nimg), safetensors.torch.save(tensors, metadata=metadata)
    )


def load_generator(workspace: Workspace, model_id: str, nimg: int | None = None) -> Generator:
    """Read a snapshot back.

    Args:
        workspace: Where.
        model_id: Of which model.
        nimg: Which snapshot; None for the last.

    Raises:
        ConfigError: there is no such snapshot; lists those there are.
        WeightsError: the file is damaged, or of another recipe than it says.
    """
    known = snapshots(workspace, model_id)
    if not known:
        raise ConfigError(
            f"{workspace.describe(f'models/{model_id}')} holds no snapshots: train it first"
        )
    nimg = known[-1] if nimg is None else nimg
    if nimg not in known:
        raise ConfigError(
            f"model {model_id} has no snapshot at {nimg} images shown; it has {known}"
        )
    path = workspace.local_path(snapshot_key(model_id, nimg))
    try:
        return _read(str(path), nimg)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} is no generator that this ganime can use ({error}): delete it and train again"
        ) from error


def _read(path: str, nimg: int) -> Generator:
    with safe_open(path, "pt") as file:
        origin: dict[str, Any] = json.loads((file.metadata() or {})[METADATA])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    blueprint = Blueprint(
        recipe=GANS.build(origin["recipe"]),
        resolution=int(origin["resolution"]),
        tag_names=tuple(origin["tags"]),
        tag_examples=tensors.pop(TAG_EXAMPLES, torch.empty(0, 0, dtype=torch.uint8)).numpy(),
    )
    network = blueprint.network()
    network.load_state_dict({name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()})
    return Generator(network, blueprint, nimg)
