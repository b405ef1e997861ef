"""Snapshots: the averaged generator, to use. Written by training, read by everything else."""

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ganime.errors import ConfigError, WeightsError
from ganime.gans import GANS, Recipe
from ganime.images import encode_png
from ganime.store.workspace import Workspace
from ganime.training.dataset import to_pixels

_NAME = re.compile(r"/snapshots/(\d{9})\.safetensors$")
GRID_ROWS = 8
GRID_SEED = 0


class Generator:
    """A trained generator.

    Args:
        network: z [B, Z] -> images [B, 3, R, R] in [-1, 1].
        latents: Z.

    Attributes:
        resolution: R [px].
        nimg: Real images shown when it was taken.
        device: Where it computes.
    """

    def __init__(self, network: nn.Module, latents: int, resolution: int, nimg: int) -> None:
        self._network = network.eval().requires_grad_(False)
        self.latents, self.resolution, self.nimg = latents, resolution, nimg
        self.device = torch.device("cpu")

    def to(self, device: torch.device | str) -> "Generator":
        """Move it to a device."""
        self.device = torch.device(device)
        self._network.to(self.device)
        return self

    def latent_vectors(self, num: int, seed: int) -> torch.Tensor:
        """Latents of the images that `sample` makes: float32 [N, Z], standard normal.

        Image i depends on the seed and i alone, not on how many are made.
        """
        random = torch.Generator().manual_seed(seed)
        # Above 16 numbers torch fills tensors in another order, so small calls would differ.
        rows = [torch.randn(max(self.latents, 16), generator=random) for _ in range(num)]
        return torch.stack(rows)[:, : self.latents] if rows else torch.empty(0, self.latents)

    def sample(self, num: int, seed: int = 0, batch: int = 64) -> npt.NDArray[np.uint8]:
        """Make images.

        Args:
            num: How many, N.
            seed: Of the latents; the same seed makes the same images.
            batch: How many at a time.

        Returns:
            uint8 sRGB [N, R, R, 3].
        """
        images = np.empty((num, self.resolution, self.resolution, 3), np.uint8)
        latents = self.latent_vectors(num, seed)
        with torch.no_grad():
            for start in range(0, num, batch):
                z = latents[start : start + batch].to(self.device)
                images[start : start + batch] = to_pixels(self._network(z))
        return images


def snapshot_key(model_id: str, nimg: int) -> str:
    """Where a snapshot lies."""
    return f"models/{model_id}/snapshots/{nimg:09d}.safetensors"


def grid_key(model_id: str, nimg: int) -> str:
    """Where the sample grid of a snapshot lies."""
    return f"models/{model_id}/samples/{nimg:09d}.png"


def snapshots(workspace: Workspace, model_id: str) -> list[int]:
    """Images shown at each snapshot, ascending."""
    keys = workspace.list(f"models/{model_id}/snapshots", ".safetensors")
    return [int(found[1]) for key in keys if (found := _NAME.search(key))]


def save_snapshot(
    workspace: Workspace,
    model_id: str,
    nimg: int,
    network: nn.Module,
    recipe: Recipe,
    resolution: int,
) -> None:
    """Write a generator and a grid of 8x8 samples under fixed seeds.

    Args:
        workspace: Where.
        model_id: Of which model.
        nimg: Real images shown.
        network: The averaged generator, in evaluation mode.
        recipe: What it was built from; kept in the file, which explains itself.
        resolution: Side of its images [px].
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    origin = {"recipe": recipe.model_dump(mode="json"), "resolution": resolution, "nimg": nimg}
    # One entry: safetensors writes several in random order, and equal runs shall write equal files.
    metadata = {"ganime": json.dumps(origin, sort_keys=True)}
    generator = Generator(network, recipe.num_latents, resolution, nimg)
    generator.to(next(network.parameters()).device)
    grid = tile(generator.sample(GRID_ROWS**2, GRID_SEED), GRID_ROWS)
    workspace.write_bytes(grid_key(model_id, nimg), encode_png(grid))
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
        with safe_open(path, "pt") as file:
            origin: dict[str, Any] = json.loads((file.metadata() or {})["ganime"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        recipe: Recipe = GANS.build(origin["recipe"])
        resolution = int(origin["resolution"])
        network = recipe.generator(resolution)
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} is no generator that this ganime can use ({error}): delete it and train again"
        ) from error
    return Generator(network, recipe.num_latents, resolution, nimg)


def tile(images: npt.NDArray[np.uint8], num_columns: int) -> npt.NDArray[np.uint8]:
    """Images uint8 [N, R, R, 3] side by side, row by row: uint8 [rows·R, columns·R, 3]."""
    num, side = images.shape[:2]
    num_rows = -(-num // num_columns)
    grid = np.full((num_rows * num_columns, side, side, 3), 255, np.uint8)
    grid[:num] = images
    rows = grid.reshape(num_rows, num_columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    return rows.reshape(num_rows * side, num_columns * side, 3)
