import pytest
import torch

from ganime.gans.layers import MinibatchDeviation, widths_between


def test_widths_halve_up_to_the_widest() -> None:
    assert widths_between(64, 512, 64) == [512, 256, 128, 64]
    assert widths_between(64, 200, 64) == [200, 200, 128, 64]
    assert widths_between(8, 512, 32) == [32, 16, 8]


def test_images_that_are_equal_have_no_deviation() -> None:
    features = torch.ones(4, 2, 3, 3)
    added = MinibatchDeviation(4)(features)
    assert added.shape == (4, 3, 3, 3)
    assert added[:, 2].max() < 1e-3


def test_the_deviation_is_that_of_the_group() -> None:
    features = torch.zeros(4, 1, 2, 2)
    features[2] = 2.0  # the second pair is 2 and 0: deviation 1
    added = MinibatchDeviation(2)(features)
    assert added[:2, 1].max() < 1e-3
    assert added[2:, 1].mean().item() == pytest.approx(1.0, rel=1e-5)
