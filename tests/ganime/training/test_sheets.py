import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.gans.dcgan import Dcgan
from ganime.gans.r3gan import R3gan
from ganime.images import encode_png
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint, Generator
from ganime.training.keys import grid_key
from ganime.training.sheets import (
    grid,
    nearest_sheet,
    progress_key,
    tag_grid,
    tag_grid_key,
    tile,
    write_progress,
)


def test_the_grid_shows_the_same_seeds_each_time() -> None:
    blueprint = Blueprint(Dcgan(latent=8, width_generator=4, widest=16), 32)
    torch.manual_seed(0)
    generator = Generator(blueprint.network(), blueprint, 0)
    sheet = grid(generator)
    assert sheet.shape == (256, 256, 3)
    first = generator.sample(64, seed=0)[0].astype(int)
    assert np.abs(sheet[:32, :32].astype(int) - first).max() <= 1


def test_tiles_are_laid_row_by_row() -> None:
    images = np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    assert tile(images, 2)[..., 0].tolist() == [[0, 1], [2, 255]]


def test_each_sample_stands_before_its_nearest_images() -> None:
    samples = np.full((2, 1, 1, 3), 9, np.uint8)
    nearest = np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    assert nearest_sheet(samples, nearest)[..., 0].tolist() == [[9, 0, 1], [9, 2, 3]]


def test_the_animation_shows_the_grids_and_not_the_sheets_by_tag(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for nimg, level in ((64, 10), (128, 200)):
        picture = encode_png(np.full((64, 64, 3), level, np.uint8))
        workspace.write_bytes(grid_key("m", nimg), picture)
        workspace.write_bytes(tag_grid_key("m", nimg), picture)
    write_progress(workspace, "m")
    made = Image.open(io.BytesIO(workspace.read_bytes(progress_key("m"))))
    levels = []
    for number in range(made.n_frames):
        made.seek(number)
        levels.append(np.asarray(made.convert("RGB")).mean())
    assert levels == pytest.approx([10, 200], abs=4)


def test_a_row_of_the_sheet_by_tags_asks_for_one_tag() -> None:
    examples = np.eye(2, dtype=np.uint8)
    blueprint = Blueprint(R3gan(latent=8, width=8, widest=16), 32, ("hat", "smile"), examples)
    torch.manual_seed(0)
    generator = Generator(blueprint.network(), blueprint, 0)
    sheet = tag_grid(generator, blueprint.tag_names)
    assert sheet.shape == (64, 256, 3)
    assert not np.array_equal(sheet[:32], sheet[32:])
