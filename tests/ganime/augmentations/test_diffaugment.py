import pytest
import torch

from ganime.augmentations.diffaugment import Change, augment

CHANGES: tuple[Change, ...] = ("colour", "translation", "cutout")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_no_changes_leave_images_as_they_are() -> None:
    images = torch.rand(2, 3, 16, 16)
    assert augment(images, ()) is images


@pytest.mark.parametrize("change", CHANGES)
def test_images_change_each_in_its_own_way(change: Change) -> None:
    image = torch.rand(1, 3, 32, 32)
    changed = augment(image.expand(8, -1, -1, -1), (change,))
    assert changed.shape == (8, 3, 32, 32)
    assert len({tuple(row.flatten().tolist()) for row in changed}) > 4


@pytest.mark.parametrize("change", CHANGES)
def test_gradients_pass(change: Change) -> None:
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    augment(images, (change,)).square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_a_shift_moves_whole_pixels_and_repeats_the_border() -> None:
    image = torch.arange(16.0).view(1, 1, 1, 16).expand(64, 3, 16, 16)
    for row in augment(image, ("translation",)):
        assert torch.equal(row, row[:1, :1].expand(3, 16, 16))  # moved down: rows stay alike
        moved = row[0, 0]
        distances = [
            distance
            for distance in range(-2, 3)
            if torch.equal(moved, (torch.arange(16.0) - distance).clamp(0, 15))
        ]
        assert len(distances) == 1


def test_shifts_of_every_size_come_up_and_none_larger() -> None:
    image = torch.arange(16.0).view(1, 1, 1, 16).expand(400, 3, 16, 16)
    middle = augment(image, ("translation",))[:, 0, 0, 8]
    assert set((8 - middle).tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}


def test_a_cut_out_square_is_grey_and_at_most_half_the_side() -> None:
    cut = augment(torch.ones(64, 3, 16, 16), ("cutout",)) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    heights, widths = cut[:, 0].any(dim=2).sum(dim=1), cut[:, 0].any(dim=1).sum(dim=1)
    assert (heights * widths == cut[:, 0].sum(dim=(1, 2))).all()
    assert heights.max() == 8
    assert heights.min() >= 4


def test_white_and_black_stay_grey_under_new_colours() -> None:
    changed = augment(torch.ones(8, 3, 4, 4), ("colour",))
    assert (changed - changed[:, :1]).abs().max() < 1e-5
    assert (changed[:, 0, 0, 0] >= 0.5 - 1e-6).all()
    assert (changed[:, 0, 0, 0] <= 1.5 + 1e-6).all()
