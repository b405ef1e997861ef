from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.errors import ConfigError
from ganime.gans.r3gan import R3gan
from ganime.gans.stylegan2 import StyleGan2
from ganime.training.generator import Blueprint, Generator
from ganime.training.mixing import mixture_table, project_file


@pytest.fixture
def styled() -> Generator:
    torch.manual_seed(0)
    recipe = StyleGan2.parse({"latent": 16, "channel_max": 8, "channel_base": 512})
    blueprint = Blueprint(recipe, 32)
    return Generator(blueprint.network(), blueprint, 0)


@pytest.fixture
def plain() -> Generator:
    torch.manual_seed(0)
    blueprint = Blueprint(R3gan(latent=8, width=8, widest=16), 32)
    return Generator(blueprint.network(), blueprint, 0)


def test_a_table_has_its_sources_at_the_left_and_its_destinations_on_top(styled: Generator) -> None:
    table = mixture_table(styled, [1, 2], [3, 4, 5], [0, 1]).reshape(3, 32, 4, 32, 3).swapaxes(1, 2)
    z, _ = styled.blueprint.of_seeds([1, 2, 3, 4, 5])
    images = styled.images(z)
    assert (table[0, 0] == 255).all()
    for place, image in zip([(1, 0), (2, 0), (0, 1), (0, 2), (0, 3)], images, strict=True):
        assert np.abs(table[place].astype(int) - image).max() <= 1


def test_mixing_all_layers_gives_the_source_itself(styled: Generator) -> None:
    table = mixture_table(styled, [1], [2], range(styled.network.num_styles))
    table = table.reshape(2, 32, 2, 32, 3).swapaxes(1, 2)
    assert np.abs(table[1, 1].astype(int) - table[1, 0]).max() <= 1
    assert np.abs(table[1, 1].astype(int) - table[0, 1]).max() > 1


def test_a_layer_too_many_and_a_recipe_without_styles_are_refused(
    styled: Generator, plain: Generator
) -> None:
    with pytest.raises(ConfigError, match=r"layers \[99\]: this generator has layers 0 to"):
        mixture_table(styled, [1], [2], [99])
    with pytest.raises(ConfigError, match="r3gan has no styles to mix: train stylegan2"):
        mixture_table(plain, [1], [2], [0])


def test_a_picture_of_the_generator_is_found_again(plain: Generator, tmp_path: Path) -> None:
    z, _ = plain.blueprint.of_seeds([7])
    path = tmp_path / "wanted.png"
    Image.fromarray(plain.images(z)[0]).save(path)
    sheet, found = project_file(plain, path, steps=150)
    assert sheet.shape == (32, 64, 3)
    assert found.distances[-1] < found.distances[0] / 4


def test_a_file_that_is_no_picture_is_named(plain: Generator, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ConfigError, match=r"notes\.txt is no image"):
        project_file(plain, tmp_path / "notes.txt", steps=1)
    with pytest.raises(ConfigError, match=r"cannot read .*missing\.png: No such file"):
        project_file(plain, tmp_path / "missing.png", steps=1)
