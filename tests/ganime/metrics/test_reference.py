from pathlib import Path

import numpy as np
import pytest

from ganime.metrics.reference import real_features
from ganime.store.workspace import Workspace


class Colours:
    """Mean colours, which can be worked out by hand; counts what it measured."""

    metric = "fd_colours"
    dim = 3

    def __init__(self, name: str = "colours", weights: str = "0" * 12, resize: str = "r") -> None:
        self.name, self.weights_digest, self.resize = name, weights, resize
        self.num_images = 0

    def features(self, images: np.ndarray) -> np.ndarray:
        self.num_images += len(images)
        return images.mean(axis=(1, 2)).astype(np.float32)


REALS = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def test_reals_are_measured_once(workspace: Workspace) -> None:
    colours = Colours()

    first, again = (real_features(workspace, REALS, "set/1", colours) for _ in range(2))

    np.testing.assert_array_equal(first, REALS.mean(axis=(1, 2)).astype(np.float32))
    np.testing.assert_array_equal(first, again)
    assert colours.num_images == 40


@pytest.mark.parametrize(
    ("reference", "other"),
    [
        ("set/2", Colours()),
        ("set/1", Colours(name="shades")),
        ("set/1", Colours(weights="1" * 12)),
        ("set/1", Colours(resize="larger")),
    ],
)
def test_whatever_moves_features_measures_anew(
    workspace: Workspace, reference: str, other: Colours
) -> None:
    real_features(workspace, REALS, "set/1", Colours())

    real_features(workspace, REALS, reference, other)

    assert other.num_images == 40


@pytest.mark.parametrize("damage", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_damaged_features_are_measured_again(workspace: Workspace, damage: bytes) -> None:
    expected = real_features(workspace, REALS, "set/1", Colours())
    (key,) = (key for key in workspace.list("statistics") if key.endswith("-features.npy"))
    workspace.write_bytes(key, damage)

    np.testing.assert_array_equal(real_features(workspace, REALS, "set/1", Colours()), expected)
