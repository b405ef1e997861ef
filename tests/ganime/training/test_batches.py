from pathlib import Path

import numpy as np
import torch

from ganime.training.batches import Batches, Examples


def numbered(num: int) -> np.ndarray:
    images = np.zeros((num, 2, 2, 3), np.uint8)
    images[:] = np.arange(num, dtype=np.uint8)[:, None, None, None]
    images[:, :, 1] += 100  # the right half is lighter, so a flip shows
    return images


def test_every_image_is_shown_once_per_pass() -> None:
    batches = Batches(Examples(numbered(10)), 4, seed=1, mirror=False)
    shown = np.concatenate([batches.indices(nimg) for nimg in range(0, 40, 4)])
    for number in range(4):
        assert sorted(shown[number * 10 : (number + 1) * 10]) == list(range(10))
    assert list(shown[:10]) != list(shown[10:20])


def test_a_batch_depends_on_nimg_and_the_seed_alone() -> None:
    images = numbered(10)
    walked = Batches(Examples(images), 4, seed=1, mirror=True)
    for nimg in range(0, 24, 4):
        walked.at(nimg)
    jumped = Batches(Examples(images), 4, seed=1, mirror=True)
    assert torch.equal(walked.at(24).images, jumped.at(24).images)
    other = Batches(Examples(images), 4, seed=2, mirror=True)
    assert any(
        not torch.equal(other.at(nimg).images, jumped.at(nimg).images) for nimg in range(0, 40, 4)
    )


def test_mirroring_flips_about_half_and_leaves_the_data_alone() -> None:
    images = numbered(50)
    before = images.copy()
    batch = Batches(Examples(images), 50, seed=3, mirror=True).at(0).images
    flipped = (batch[:, 0, 0, 0] > batch[:, 0, 0, 1]).float().mean().item()
    assert 0.25 < flipped < 0.75
    assert np.array_equal(images, before)
    assert (Batches(Examples(images), 50, seed=3, mirror=False).at(0).images[:, 0, 0, 0] < 0).all()


def test_a_memory_mapped_file_serves(tmp_path: Path) -> None:
    np.save(tmp_path / "shard.npy", numbered(10))
    mapped = np.load(tmp_path / "shard.npy", mmap_mode="r")
    from_disk = Batches(Examples(mapped), 4, seed=1, mirror=True).at(0).images
    assert torch.equal(
        from_disk, Batches(Examples(numbered(10)), 4, seed=1, mirror=True).at(0).images
    )
