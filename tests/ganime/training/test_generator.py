import numpy as np
import pytest
import torch

from ganime.errors import ConfigError
from ganime.gans.r3gan import R3gan
from ganime.training.generator import Blueprint, Generator

RECIPE = R3gan(latent=8, width=8, widest=16)
TAGS = ("blue_hair", "long_hair", "smile")
EXAMPLES = np.array([[1, 0, 0], [0, 1, 1]], np.uint8)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    blueprint = Blueprint(RECIPE, 32, TAGS, EXAMPLES)
    return Generator(blueprint.network(), blueprint, 100)


def test_tags_are_asked_for_by_name(generator: Generator) -> None:
    assert generator.blueprint.vector(["smile", "blue_hair"]).tolist() == [1, 0, 1]
    blue = generator.sample(4, seed=1, tags=["blue_hair"])
    assert not np.array_equal(blue, generator.sample(4, seed=1, tags=["smile"]))
    assert np.array_equal(blue, generator.sample(4, seed=1, tags=["blue_hair"]))


def test_a_tag_it_does_not_know_is_answered_with_those_nearby(generator: Generator) -> None:
    with pytest.raises(ConfigError, match=r"knows no tag 'blue_hiar'; it knows blue_hair"):
        generator.sample(1, tags=["blue_hiar"])
    plain = Blueprint(RECIPE, 32)
    with pytest.raises(ConfigError, match="trained without tags"):
        plain.vector(["smile"])


def test_without_wishes_tags_come_from_training_images(generator: Generator) -> None:
    drawn = generator.blueprint.tags(50, seed=0)
    assert drawn is not None
    assert {tuple(row) for row in drawn.int().tolist()} == {(1, 0, 0), (0, 1, 1)}
    assert Blueprint(RECIPE, 32).tags(50, seed=0) is None


def test_truncation_makes_images_more_alike(generator: Generator) -> None:
    z, tags = generator.blueprint.latents(32, 0), torch.zeros(32, 3)
    spreads = [
        generator.images(z, tags, truncation=psi).astype(float).std(axis=0).mean()
        for psi in (0.0, 0.5, 1.0)
    ]
    assert spreads[0] == 0
    assert spreads[0] < spreads[1] < spreads[2]


def test_a_latent_depends_on_its_seed_and_place_alone() -> None:
    blueprint = Blueprint(RECIPE, 32)
    assert torch.equal(blueprint.latents(10, 3)[:4], blueprint.latents(4, 3))
    assert blueprint.latents(0, 3).shape == (0, 8)
