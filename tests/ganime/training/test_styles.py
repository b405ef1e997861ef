import math

import pytest
import torch
from torch import Tensor, nn

from ganime.gans.dcgan import Dcgan
from ganime.gans.stylegan2 import StyleGan2
from ganime.training.styles import (
    closed_loop,
    encode,
    for_each_layer,
    mix,
    principal_directions,
    render,
    spherical,
    straight,
    truncate,
)


@pytest.fixture
def styled() -> nn.Module:
    torch.manual_seed(0)
    return StyleGan2(latent=16, channel_base=512, channel_max=16).generator(32).eval()


@pytest.fixture
def plain() -> nn.Module:
    torch.manual_seed(0)
    return Dcgan(latent=16, width_generator=4, widest=16).generator(32).eval()


def test_a_code_draws_what_its_latent_draws(styled: nn.Module, plain: nn.Module) -> None:
    z = torch.randn(3, 16)
    for network in (styled, plain):
        with torch.no_grad():
            assert torch.equal(render(network, encode(network, z)), network(z))


def test_truncation_to_nothing_is_the_average(styled: nn.Module) -> None:
    average, styles = torch.randn(16), torch.randn(4, 16)
    assert torch.equal(truncate(styles, average, 1.0), styles)
    assert torch.equal(truncate(styles, average, 0.0), average.expand(4, -1))
    with torch.no_grad():
        images = render(styled, truncate(styles, average, 0.0))
        assert torch.allclose(images, render(styled, average[None]).expand_as(images), atol=1e-4)


def test_truncation_can_spare_the_fine_layers() -> None:
    average, styles = torch.randn(5), torch.randn(2, 6, 5)
    pulled = truncate(styles, average, 0.5, num_layers=2)
    assert torch.equal(pulled[:, 2:], styles[:, 2:])
    assert torch.allclose(pulled[:, :2], (styles[:, :2] + average) / 2)


def test_a_line_is_cut_in_equal_parts() -> None:
    points = straight(torch.zeros(3), torch.tensor([4.0, 8.0, 0.0]), torch.tensor([0.0, 0.25, 1.0]))
    assert points.tolist() == [[0, 0, 0], [1, 2, 0], [4, 8, 0]]


def test_an_arc_keeps_length_and_pace() -> None:
    start, end = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    points = spherical(start, end, torch.linspace(0, 1, 4))
    angles = torch.atan2(points[:, 1], points[:, 0])
    assert torch.allclose(points.norm(dim=1), torch.full((4,), 2.0))
    assert torch.allclose(angles, torch.linspace(0, math.pi / 2, 4), atol=1e-6)


def test_an_arc_to_itself_stays() -> None:
    point = torch.randn(8)
    points = spherical(point, point, torch.linspace(0, 1, 3))
    assert torch.allclose(points, point.expand(3, -1))


@pytest.mark.parametrize("on_sphere", [True, False])
@pytest.mark.parametrize("num", [12, 13])
def test_a_loop_visits_its_points_and_closes_evenly(on_sphere: bool, num: int) -> None:
    torch.manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(4, 64), dim=1)
    walk = closed_loop(points, num, on_sphere=on_sphere)
    assert walk.shape == (num, 64)
    assert torch.allclose(walk[0], points[0], atol=1e-6)
    if num == 12:
        assert torch.allclose(walk[::3], points, atol=1e-6)
    strides = (torch.cat([walk, walk[:1]]).diff(dim=0)).norm(dim=1)
    assert strides[-1] < 1.5 * strides.median()  # the way back to the first is no leap


def test_a_loop_of_styles_for_each_layer_keeps_their_shape() -> None:
    assert closed_loop(torch.randn(2, 6, 5), 7, on_sphere=False).shape == (7, 6, 5)


def test_a_mixture_takes_the_named_layers_from_the_source(styled: nn.Module) -> None:
    sources, destinations = torch.randn(2, 8, 16), torch.randn(3, 8, 16)
    table = mix(sources, destinations, range(2))
    assert table.shape == (2, 3, 8, 16)
    assert torch.equal(table[1, 2, :2], sources[1, :2])
    assert torch.equal(table[1, 2, 2:], destinations[2, 2:])
    assert torch.equal(mix(sources, destinations, range(8))[0, 1], sources[0])
    assert torch.equal(mix(sources, destinations, [])[0, 1], destinations[1])


def test_one_style_serves_all_layers() -> None:
    styles = torch.randn(2, 5)
    assert torch.equal(for_each_layer(styles, 3)[:, 1], styles)
    assert for_each_layer(torch.randn(2, 3, 5), 3).shape == (2, 3, 5)


def test_directions_of_styles_are_their_principal_components(styled: nn.Module) -> None:
    z = torch.randn(2000, 16)
    found = principal_directions(styled, 16, z)
    with torch.no_grad():
        styles = encode(styled, z)
    covariance = found.vectors.T @ torch.diag(found.deviations.square()) @ found.vectors
    assert torch.allclose(covariance, torch.cov(styles.T), atol=1e-3)
    assert found.deviations.diff().max() <= 0
    assert torch.allclose(found.mean, styles.mean(dim=0))
    moved = found.move(styles, 0, 2.0) - styles
    assert moved.norm(dim=1).mean().item() == pytest.approx(
        2 * found.deviations[0].item(), rel=0.01
    )


def test_directions_of_latents_are_those_that_a_linear_layer_stretches_most() -> None:
    torch.manual_seed(0)
    left, right = torch.linalg.qr(torch.randn(40, 6))[0], torch.linalg.qr(torch.randn(6, 6))[0]
    stretch = torch.tensor([9.0, 7.0, 5.0, 3.0, 2.0, 1.0])

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Linear(2, 2)  # of tags: not what directions are looked for in
            self.layer = nn.Linear(6, 40)

        def forward(self, z: Tensor) -> Tensor:
            self.embedding(z[:, :2])
            return self.layer(z)

    network = Network()
    with torch.no_grad():
        network.layer.weight.copy_(left @ torch.diag(stretch) @ right.T)
    found = principal_directions(network, 3, torch.randn(5000, 6))
    agreement = (found.vectors @ right[:, :3]).abs()
    assert agreement.diagonal().min() > 0.99
    assert torch.allclose(found.deviations, torch.ones(3), atol=0.05)  # of z, which is normal


def test_a_generator_without_styles_has_directions_too(plain: nn.Module) -> None:
    found = principal_directions(plain, 3, torch.randn(500, 16))
    assert found.vectors.shape == (3, 16)
    assert torch.allclose(found.vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.equal(found.vectors.abs().amax(dim=1), found.vectors.amax(dim=1))
    assert not any(module._forward_hooks for module in plain.modules())
