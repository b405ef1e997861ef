"""Convolutions as matrix products are the convolutions of torch, and so are their gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans import products
from ganime.gans.products import (
    Conv2d,
    ConvTranspose2d,
    Window,
    as_product,
    as_transposed_product,
)

WINDOWS = [
    (Window(4, 2, 1), 8),
    (Window(4, 2, 1), 6),
    (Window(3, 1, 1), 4),
    (Window(4, 1, 0), 4),
    (Window(2, 2, 0), 8),
    (Window(1, 1, 0), 4),
]


def numbers(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("window", "side"), WINDOWS)
def test_a_product_is_the_convolution_and_so_are_two_derivatives(window: Window, side: int) -> None:
    torch.manual_seed(0)
    x, bias = numbers(2, 3, side, side), numbers(4)
    weight = numbers(4, 3, window.kernel, window.kernel)

    def made(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return as_product(x, weight, bias, window)

    wanted = F.conv2d(x, weight, bias, window.stride, window.padding)
    assert torch.allclose(made(x, weight, bias), wanted)
    assert torch.autograd.gradcheck(made, (x, weight, bias))
    assert torch.autograd.gradgradcheck(made, (x, weight, bias))


@pytest.mark.parametrize(("window", "side"), WINDOWS)
def test_a_transposed_product_is_the_transposed_convolution(window: Window, side: int) -> None:
    torch.manual_seed(0)
    places = (side + 2 * window.padding - window.kernel) // window.stride + 1
    x, bias = numbers(2, 4, places, places), numbers(3)
    weight = numbers(4, 3, window.kernel, window.kernel)

    def made(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return as_transposed_product(x, weight, bias, window)

    wanted = F.conv_transpose2d(x, weight, bias, window.stride, window.padding)
    assert torch.allclose(made(x, weight, bias), wanted)
    assert torch.autograd.gradcheck(made, (x, weight, bias))
    assert torch.autograd.gradgradcheck(made, (x, weight, bias))


@pytest.mark.parametrize("kind", [Conv2d, ConvTranspose2d])
def test_layers_in_training_do_in_bfloat16_what_torchs_do(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Window] = []
    for name in ("as_product", "as_transposed_product"):
        whole = getattr(products, name)

        def noted(*inputs: Any, whole: Any = whole) -> Tensor:
            taken.append(inputs[-1])
            made: Tensor = whole(*inputs)
            return made

        monkeypatch.setattr(products, name, noted)
    torch.manual_seed(0)
    layer = kind(128, 256, 4, 2, 1).to(memory_format=torch.channels_last)
    plain = (nn.Conv2d if kind is Conv2d else nn.ConvTranspose2d)(128, 256, 4, 2, 1)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(4, 128, 8, 8) if kind is Conv2d else torch.randn(4, 128, 4, 4)
    found, wanted = ours_and_torchs(layer, plain, x)
    assert taken == [Window(4, 2, 1)]
    for mine, theirs in zip(found, wanted, strict=True):
        assert (mine.float() - theirs.float()).norm() < 0.01 * theirs.float().norm()
    assert found[0].is_contiguous(memory_format=torch.channels_last)


def ours_and_torchs(layer: Any, plain: Any, x: Tensor) -> list[list[Tensor]]:
    """Maps and the gradients of inputs, weights and biases, of both layers."""
    found = []
    for network in (layer, plain):
        inputs = x.clone().contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            maps = network(inputs)
        torch.manual_seed(1)
        maps.backward(torch.randn_like(maps))
        found.append([maps.detach(), inputs.grad, network.weight.grad, network.bias.grad])
    return found


@pytest.mark.parametrize("why", ["drawing", "float32", "many places", "few weights", "groups"])
def test_other_layers_convolve_as_ever(why: str) -> None:
    torch.manual_seed(0)
    layer = Conv2d(256, 256, 3, padding=1, groups=2 if why == "groups" else 1)
    if why == "few weights":
        layer = Conv2d(64, 64, 3, padding=1)
    layer.train(why != "drawing")
    x = torch.randn(2, layer.in_channels, 8 if why == "many places" else 4, 4)
    with torch.autocast("cpu", torch.bfloat16, enabled=why != "float32"):
        assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))
