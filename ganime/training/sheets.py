"""Sheets of samples: one picture that shows many, to look at."""

import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganime.store.workspace import Workspace
from ganime.training.video import animation

if TYPE_CHECKING:  # who reads pictures alone needs no torch
    from ganime.training.generator import Generator

Images = npt.NDArray[np.uint8]
GRID_ROWS = 8
GRID_SEED = 0
MOST_TAGS = 16  # rows of a sheet by tags
PER_TAG = 8
NUM_NEAREST, PER_NEAREST = 12, 5
MOST_PROGRESS = 768  # side of the animation [px]
PROGRESS_FPS = 4.0
_GRID = re.compile(r"/\d{9}\.png$")


def tag_grid_key(model_id: str, nimg: int) -> str:
    """Where the sheet by tags of a snapshot lies."""
    return f"models/{model_id}/samples/{nimg:09d}-tags.png"


def nearest_key(model_id: str) -> str:
    """Where the sheet of samples beside their nearest training images lies."""
    return f"models/{model_id}/nearest.png"


def progress_key(model_id: str) -> str:
    """Where the animation of all sample grids lies."""
    return f"models/{model_id}/progress.webp"


def grid(generator: "Generator") -> Images:
    """8x8 samples under fixed seeds: uint8 sRGB [8R, 8R, 3]."""
    return tile(generator.sample(GRID_ROWS**2, GRID_SEED), GRID_ROWS)


def tag_grid(generator: "Generator", tags: Sequence[str]) -> Images:
    """A row of samples for each tag, the latent of a column being the same in all rows.

    Returns:
        uint8 sRGB [rows·R, 8R, 3].
    """
    rows = [generator.sample(PER_TAG, GRID_SEED, tags=[tag]) for tag in tags[:MOST_TAGS]]
    return tile(np.concatenate(rows), PER_TAG)


def nearest_sheet(samples: Images, nearest: Images) -> Images:
    """Each sample, then the training images nearest to it, one row per sample.

    Args:
        samples: uint8 sRGB [N, R, R, 3].
        nearest: uint8 sRGB [N * k, R, R, 3], the k nearest of each sample after each other.
    """
    num, per_sample = len(samples), len(nearest) // len(samples)
    beside = nearest.reshape(num, per_sample, *samples.shape[1:])
    return tile(
        np.concatenate([samples[:, None], beside], axis=1).reshape(-1, *samples.shape[1:]),
        per_sample + 1,
    )


def write_progress(workspace: Workspace, model_id: str) -> None:
    """Show the sample grids of a model after each other, the first image top left in all."""
    keys = workspace.list(f"models/{model_id}/samples", ".png")
    grids = [
        np.asarray(Image.open(io.BytesIO(workspace.read_bytes(key))))
        for key in keys
        if _GRID.search(key)
    ]
    if not grids:
        return
    side = min(grids[0].shape[0], MOST_PROGRESS)
    frames = [
        np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BOX)) for one in grids
    ]
    content = animation(frames, PROGRESS_FPS, ".webp", hold=True)
    workspace.write_bytes(progress_key(model_id), content)


def square(images: Images) -> Images:
    """Images side by side, as nearly a square as their number allows."""
    return tile(images, math.ceil(math.sqrt(len(images))))


def tile(images: Images, num_columns: int) -> Images:
    """Images uint8 [N, R, R, 3] side by side, row by row: uint8 [rows·R, columns·R, 3]."""
    num, side = images.shape[:2]
    num_rows = -(-num // num_columns)
    canvas = np.full((num_rows * num_columns, side, side, 3), 255, np.uint8)
    canvas[:num] = images
    rows = canvas.reshape(num_rows, num_columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    return rows.reshape(num_rows * side, num_columns * side, 3)
