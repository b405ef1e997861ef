from typing import get_args

import pytest
import torch
from torch import nn

from ganime.backbones.backbone import normalise
from ganime.backbones.config import Architecture
from ganime.backbones.networks import Trunk, build_trunk
from ganime.backbones.pyramid import Pyramid


def with_statistics(trunk: Trunk) -> Trunk:
    """Batch norms that do something: of a network that saw images."""
    generator = torch.Generator().manual_seed(0)
    for layer in trunk.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.copy_(
                0.1 * torch.randn(layer.running_mean.shape, generator=generator)
            )
            layer.running_var.copy_(0.5 + torch.rand(layer.running_var.shape, generator=generator))
    return trunk.eval()


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_maps_are_those_of_the_network_at_a_quarter_an_eighth_and_a_sixteenth(
    architecture: Architecture,
) -> None:
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    trunk = with_statistics(build_trunk(architecture, 0))
    with torch.no_grad():
        middle = trunk.maps(normalise(pixels))[0]
        pyramid = Pyramid(trunk)
        maps = pyramid(pixels.float() / 127.5 - 1)
    assert [found.shape[2] for found in maps] == [16, 8, 4]
    assert [found.shape[1] for found in maps] == pyramid.channels
    if architecture == "vgg16":  # the network's own map in the middle lies after the pooling
        assert pyramid.channels == [256, 512, 512]
    else:
        assert torch.allclose(maps[2], middle, rtol=1e-3, atol=1e-4 * float(middle.abs().max()))


def test_gradients_reach_the_images_and_nothing_else() -> None:
    pyramid = Pyramid(with_statistics(build_trunk("mobilenet_v2", 0)))
    images = torch.zeros(1, 3, 32, 32, requires_grad=True)
    sum(found.square().mean() for found in pyramid(images)).backward()  # type: ignore[union-attr]
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert list(pyramid.parameters()) == []


def test_it_stays_in_evaluation() -> None:
    pyramid = Pyramid(build_trunk("vgg16", 0)).train()
    assert not any(module.training for module in pyramid.modules())
