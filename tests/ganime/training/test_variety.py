import pytest
import torch

from ganime.training.variety import in_pairs, sameness, stacked


def test_tags_are_asked_for_in_pairs() -> None:
    assert in_pairs(None) is None
    for num, wanted in ((4, [0, 1, 0, 1]), (5, [0, 1, 2, 0, 1]), (1, [0])):
        paired = in_pairs(torch.arange(num)[:, None])
        assert paired is not None
        assert paired[:, 0].tolist() == wanted


def test_only_what_is_there_is_stacked() -> None:
    one, other = torch.ones(2, 3), torch.zeros(1, 3)
    both = stacked(one, None, other)
    assert both is not None
    assert torch.equal(both, torch.cat([one, other]))
    assert stacked(None, None) is None


def test_sameness_is_what_pairs_lack_of_the_distance_asked_for() -> None:
    flat = torch.ones(4, 3, 32, 32)
    shades = torch.tensor([0.0, 0.0, 1.0, 1.0])[:, None, None, None]
    real = flat * shades  # pairs of reals are 1 apart
    for distance, wanted in ((0.0, 1.0), (0.125, 0.75), (0.5, 0.0), (2.0, 0.0)):
        assert sameness(real * distance, real, 0.5).item() == pytest.approx(wanted)
    one_pair = flat * torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None, None, None]
    assert sameness(one_pair, real, 1.0).item() == pytest.approx(0.5)  # each pair by itself
    assert sameness(flat[:1], real[:1], 0.5).item() == 0.0  # nothing to compare


def test_sameness_drives_a_pair_apart() -> None:
    fake = (0.01 * torch.randn(2, 3, 16, 16)).requires_grad_()
    real = torch.stack([torch.zeros(3, 16, 16), torch.ones(3, 16, 16)])
    (gradient,) = torch.autograd.grad(sameness(fake, real, 0.5), fake)
    moved = (fake - 10 * gradient).detach()
    assert sameness(moved, real, 0.5) < sameness(fake, real, 0.5)
