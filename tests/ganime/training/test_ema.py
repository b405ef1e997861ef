import pytest
import torch
from torch import nn

from ganime.training.ema import RAMP, MovingAverage, calibrated, ema_decay


def test_after_the_half_life_the_old_counts_half() -> None:
    assert ema_decay(1_000_000, 500, 500) == pytest.approx(0.5)
    assert ema_decay(1_000_000, 250, 500) ** 2 == pytest.approx(0.5)


def test_the_half_life_warms_up() -> None:
    assert ema_decay(1000, 100, 1e9) == pytest.approx(0.5 ** (100 / (1000 * RAMP)))


def test_the_average_is_the_weighted_mean() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1.0)
    average = MovingAverage(module, 64)
    nn.init.constant_(module.weight, 3.0)
    average.update(nimg=1_000_000, shown=64)
    assert average.module.weight.item() == pytest.approx(2.0)
    assert not average.module.weight.requires_grad


def test_buffers_follow_at_once() -> None:
    module = nn.BatchNorm2d(2)
    average = MovingAverage(module, 64)
    module(torch.randn(4, 2, 3, 3) + 5)
    average.update(64, 64)
    assert torch.equal(average.module.running_mean, module.running_mean)


def test_calibration_measures_batch_norms_and_leaves_the_module_alone() -> None:
    module = nn.Sequential(nn.Unflatten(1, (4, 1, 1)), nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    copy = calibrated(module, [(torch.randn(64, 4),) for _ in range(16)])
    assert not copy.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    images = copy(torch.randn(4096, 4))
    assert images.mean(dim=(0, 2, 3)).abs().max() < 0.1
    assert (images.std(dim=(0, 2, 3)) - 1).abs().max() < 0.1
