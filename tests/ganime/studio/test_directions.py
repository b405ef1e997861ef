"""Directions of tags where these are a vector that the generator takes, not a style."""

import numpy as np
import pytest

from ganime.gans.dcgan import Dcgan
from ganime.studio.directions import Directions
from ganime.studio.torch_engine import TorchEngine
from ganime.training.generator import Blueprint, Generator

TAGS = ("blonde_hair", "blue_hair", "dress")
BLONDE, BLUE, DRESSED_BLONDE, DRESSED_BLUE = ([1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1])


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    """Learned from images with one colour of hair each, dressed or not."""
    examples = np.array([BLONDE, BLUE, DRESSED_BLONDE, DRESSED_BLUE], np.uint8)
    blueprint = Blueprint(Dcgan(latent=4, width_generator=4, widest=8), 32, TAGS, examples)
    return TorchEngine(Generator(blueprint.network().eval(), blueprint, 64))


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        ({"tag:blue_hair": 1.0}, DRESSED_BLUE),  # the other colour goes, the dress stays
        ({"tag:blue_hair": 0.5}, [0.5, 0.5, 1]),
        ({"tag:blue_hair": 9.0}, DRESSED_BLUE),
        ({"tag:blue_hair": -1.0}, DRESSED_BLONDE),  # there was none to take away
        ({"tag:dress": -1.0}, BLONDE),
        ({"tag:dress": -1.0, "tag:blue_hair": 1.0}, BLUE),
        ({"tag:dress": 0.0}, DRESSED_BLONDE),
        ({"pca-1": 1.0}, DRESSED_BLONDE),
    ],
)
def test_a_tag_moves_towards_the_training_image_that_is_else_most_alike(
    engine: TorchEngine, shift: dict[str, float], expected: list[float]
) -> None:
    start = np.array(DRESSED_BLONDE, np.float32)
    moved = Directions({}).shift_tags(engine, shift, start)
    np.testing.assert_allclose(moved, expected)
    np.testing.assert_array_equal(start, DRESSED_BLONDE)
