import pytest
import torch

from ganime.augmentations.ada import LARGEST_PROBABILITY, Ada, Change

GEOMETRY: tuple[Change, ...] = ("quarter_turns", "translation", "scale", "rotation", "stretch")
COLOUR: tuple[Change, ...] = ("brightness", "contrast", "luma_flip", "hue", "saturation")


def fixed(*changes: Change, probability: float = 0.8) -> Ada:
    return Ada(changes=changes, probability=probability, target=None)


def test_at_probability_zero_nothing_is_touched() -> None:
    images = torch.randn(4, 3, 8, 8)
    assert fixed(*GEOMETRY, *COLOUR, probability=0.0).augmenter()(images) is images


@pytest.mark.parametrize("change", [*GEOMETRY, *COLOUR])
def test_each_change_reaches_about_its_share_of_the_images(change: Change) -> None:
    torch.manual_seed(0)
    images = torch.rand(400, 3, 16, 16) * 2 - 1
    changed = fixed(change, probability=0.5).augmenter()(images)
    moved = (changed - images).abs().amax(dim=(1, 2, 3)) > 1e-3
    # A quarter turn of none and a flip of the wrong sign leave the image as it is.
    share = {"quarter_turns": 0.375, "luma_flip": 0.25}.get(change, 0.5)
    assert moved.float().mean().item() == pytest.approx(share, abs=0.1)
    assert changed.shape == images.shape


def test_gradients_pass_through_all_changes() -> None:
    images = torch.randn(8, 3, 16, 16, requires_grad=True)
    torch.manual_seed(0)
    fixed(*GEOMETRY, *COLOUR).augmenter()(images).square().sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_a_plain_ground_stays_plain_under_every_movement() -> None:
    torch.manual_seed(0)
    images = torch.ones(64, 3, 16, 16)
    moved = fixed(*GEOMETRY).augmenter()(images)
    assert torch.allclose(moved, images, atol=1e-5)


def test_translations_move_by_whole_pixels() -> None:
    torch.manual_seed(0)
    images = torch.zeros(64, 3, 16, 16)
    images[:, :, 8, 8] = 1.0
    moved = fixed("translation").augmenter()(images)
    assert torch.allclose(moved.amax(dim=(1, 2, 3)), torch.ones(64), atol=1e-4)
    assert len({int(image[0].argmax()) for image in moved}) > 5


def test_turning_the_hue_leaves_grey_alone() -> None:
    torch.manual_seed(0)
    grey = torch.full((16, 3, 4, 4), 0.3)
    assert torch.allclose(fixed("hue", "saturation").augmenter()(grey), grey, atol=1e-5)


def test_flipping_the_luma_keeps_the_colour() -> None:
    torch.manual_seed(0)
    images = torch.rand(32, 3, 4, 4)
    flipped = fixed("luma_flip").augmenter()(images)
    luma, before = flipped.mean(dim=1), images.mean(dim=1)
    assert torch.allclose(luma.abs(), before.abs(), atol=1e-5)
    assert (luma < 0).any()
    assert torch.allclose(flipped - luma[:, None], images - before[:, None], atol=1e-5)


def test_the_probability_rises_while_the_discriminator_is_sure_and_falls_again() -> None:
    augmenter = Ada(kimg=1.0, interval=2, target=0.6).augmenter()
    sure, unsure = torch.ones(10), torch.tensor([1.0, -1.0] * 5)
    for _ in range(4):
        augmenter.observe(sure, 50)
    assert augmenter.report()["augment_probability"].item() == pytest.approx(0.2)
    assert augmenter.report()["overfit"].item() == pytest.approx(1.0)
    for _ in range(2):
        augmenter.observe(unsure, 50)
    assert augmenter.report()["augment_probability"].item() == pytest.approx(0.1)


def test_the_probability_stays_where_changes_do_not_leak() -> None:
    augmenter = Ada(kimg=0.1, interval=1).augmenter()
    for _ in range(10):
        augmenter.observe(torch.ones(4), 50)
    assert augmenter.report()["augment_probability"].item() == pytest.approx(LARGEST_PROBABILITY)


def test_without_a_target_the_probability_is_held() -> None:
    augmenter = fixed("hue", probability=0.3).augmenter()
    for _ in range(10):
        augmenter.observe(torch.ones(4), 5000)
    assert augmenter.report()["augment_probability"].item() == pytest.approx(0.3)


def test_its_state_survives_a_resume() -> None:
    first, second = Ada(kimg=1.0).augmenter(), Ada(kimg=1.0).augmenter()
    for _ in range(6):
        first.observe(torch.ones(4), 50)
    second.load_state_dict(first.state_dict())
    for augmenter in (first, second):
        for _ in range(2):
            augmenter.observe(torch.ones(4), 50)
    assert torch.equal(first.probability, second.probability)
    assert first.probability > 0
