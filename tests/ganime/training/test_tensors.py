import numpy as np
import torch

from ganime.training.tensors import to_pixels, to_tensor


def test_pixels_survive_the_way_there_and_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    tensor = to_tensor(pixels)
    assert tensor.shape == (3, 3, 4, 4)
    assert tensor.min() >= -1
    assert tensor.max() <= 1
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(to_pixels(tensor), pixels)
