import pytest
import torch
from torch import nn

from ganime.backbones.frozen import FrozenConv2d, freeze


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("groups", [1, 4])
def test_values_and_gradients_are_those_of_the_convolution(
    kernel: int, stride: int, groups: int, side: int
) -> None:
    outputs = 8 if groups == 1 else 4
    conv = nn.Conv2d(4, outputs, kernel, stride, kernel // 2, groups=groups).double()
    x = torch.randn(2, 4, side, side, dtype=torch.float64, requires_grad=True)
    weights = torch.randn_like(conv(x))
    wanted = torch.autograd.grad((conv(x) * weights).sum(), x)
    found = torch.autograd.grad((FrozenConv2d(conv)(x) * weights).sum(), x)
    assert torch.allclose(FrozenConv2d(conv)(x), conv(x))
    assert torch.allclose(*found, *wanted)


def test_autocast_decides_on_the_type() -> None:
    conv, x = nn.Conv2d(3, 4, 3, padding=1), torch.randn(1, 3, 8, 8, requires_grad=True)
    frozen = FrozenConv2d(conv)
    assert frozen(x).dtype is torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        coarse = frozen(x)
    assert coarse.dtype is torch.bfloat16
    assert torch.allclose(coarse.float(), frozen(x), atol=0.05)
    coarse.float().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype is torch.float32


def test_nothing_of_it_is_trained_or_saved() -> None:
    frozen = freeze(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()))
    assert list(frozen.parameters()) == []
    assert frozen.state_dict() == {}
    assert frozen.requires_grad_(True)(torch.randn(1, 3, 8, 8)).requires_grad is False


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 3, 4, padding=2),
        nn.Conv2d(3, 3, 3),
        nn.Conv2d(3, 3, 3, stride=3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
    ],
)
def test_a_convolution_without_a_short_way_back_is_refused(conv: nn.Conv2d) -> None:
    with pytest.raises(ValueError, match="no road back through Conv2d"):
        FrozenConv2d(conv)


def test_a_network_with_other_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="BatchNorm2d has parameters of its own: weight, bias"):
        freeze(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
