from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganime.gans import penalties
from ganime.gans.dcgan import Dcgan
from ganime.gans.penalties import (
    Method,
    between,
    first_share,
    gradient_penalty_by_differences,
    gradient_penalty_exact,
    lipschitz_penalty,
    r1_penalty,
)
from ganime.gans.wgan_gp import WganGp

METHODS: tuple[Method, ...] = ("exact", "differences")


class Plane(nn.Module):
    """D(x) = w·x: its gradient is w everywhere."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor, tags: Tensor | None = None) -> Tensor:
        logits = (images * self.weights).sum(dim=(1, 2, 3))
        return logits if tags is None else logits * tags[:, 0]


class Quadratic(nn.Module):
    """D(x) = a/2·‖x‖²: its gradient is a·x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return 0.5 * self.factor * images.square().sum(dim=(1, 2, 3))


def doubles(*shape: int, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=random)


def critic(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    small = {"width_discriminator": 8, "widest": 32}
    return WganGp(**{**small, **options}).discriminator(32).double()


def gradients(network: nn.Module, loss: Tensor) -> Tensor:
    parameters = list(network.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([item.flatten() for item in found])


def test_the_exact_penalty_of_a_plane_is_its_squared_slope() -> None:
    weights = doubles(3, 8, 8)
    penalty = gradient_penalty_exact(Plane(weights), doubles(5, 3, 8, 8))
    assert penalty.item() == pytest.approx(weights.square().sum().item(), rel=1e-12)


def test_the_exact_penalty_of_a_quadratic_is_its_squared_slope_there() -> None:
    images = doubles(5, 3, 8, 8)
    expected = 9.0 * images.square().sum(dim=(1, 2, 3)).mean().item()
    assert gradient_penalty_exact(Quadratic(3.0), images).item() == pytest.approx(expected)


def test_differences_agree_with_autograd_on_average() -> None:
    torch.manual_seed(0)
    discriminator = Dcgan(
        width_discriminator=8, widest=32, batch_norm_discriminator=False
    ).discriminator(32)
    image = torch.randn(1, 3, 32, 32)
    exact = gradient_penalty_exact(discriminator, image).item()
    with torch.no_grad():
        # 4,000 directions: the mean of a squared normal number is then known to about 2 %.
        estimates = [
            gradient_penalty_by_differences(discriminator, image.expand(500, -1, -1, -1), step=0.01)
            for _ in range(8)
        ]
    assert torch.stack(estimates).mean().item() == pytest.approx(exact, rel=0.1)


def test_its_gradient_agrees_with_double_backward_on_average() -> None:
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, bias=False), nn.Flatten(0))
    images = torch.randn(1, 3, 4, 4)
    exact = gradients(discriminator, gradient_penalty_exact(discriminator, images))
    many = images.expand(20_000, -1, -1, -1)
    estimate = gradients(discriminator, gradient_penalty_by_differences(discriminator, many))
    assert torch.nn.functional.cosine_similarity(estimate, exact, dim=0).item() > 0.99
    assert estimate.norm().item() == pytest.approx(exact.norm().item(), rel=0.1)


def test_differences_survive_bfloat16() -> None:
    torch.manual_seed(0)
    discriminator = Dcgan(
        width_discriminator=16, widest=64, batch_norm_discriminator=False
    ).discriminator(32)
    images = torch.rand(1, 3, 32, 32).expand(512, -1, -1, -1) * 2 - 1
    exact = gradient_penalty_exact(discriminator, images[:1]).item()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        estimate = gradient_penalty_by_differences(discriminator, images).item()
    assert estimate == pytest.approx(exact, rel=0.3)


def test_r1_is_half_gamma_times_the_squared_slope_of_the_first_images() -> None:
    class Sloped(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            slopes = torch.where(images[:, 1, 0, 0] > 0, 3.0, 7.0)
            return slopes * images[:, 0, 0, 0]

    images = torch.zeros(8, 3, 8, 8)
    images[:2, 1] = 1.0
    images[2:, 1] = -1.0
    penalty = r1_penalty(Sloped(), images, None, gamma=0.5, share=0.25)
    assert penalty.item() == pytest.approx(0.5 * 0.5 * 9.0, rel=1e-4)


def test_a_share_of_a_batch_is_never_empty() -> None:
    assert first_share(16, 0.25) == slice(4)
    assert first_share(2, 0.01) == slice(1)


@pytest.mark.parametrize("method", METHODS)
def test_the_penalty_of_a_plane_is_how_far_its_slope_is_from_one(method: Method) -> None:
    weights = doubles(3, 8, 8)
    expected = (weights.norm().item() - 1) ** 2
    penalty = lipschitz_penalty(Plane(weights), doubles(5, 3, 8, 8), method=method)
    assert penalty.item() == pytest.approx(expected, rel=1e-9)
    flattest = lipschitz_penalty(Plane(weights / weights.norm()), doubles(5, 3, 8, 8), None, method)
    assert flattest.item() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_the_penalty_of_a_quadratic_has_its_closed_form(method: Method) -> None:
    # Central differences of a quadratic are exact, whatever the step.
    images, network = doubles(5, 3, 8, 8), Quadratic(0.3)
    norms = images.square().sum(dim=(1, 2, 3)).sqrt()
    penalty = lipschitz_penalty(network, images, method=method)
    assert penalty.item() == pytest.approx((0.3 * norms - 1).square().mean().item(), rel=1e-9)
    penalty.backward()
    expected = (2 * (0.3 * norms - 1) * norms).mean().item()
    assert network.factor.grad is not None
    assert network.factor.grad.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_flat_critic_has_a_penalty_of_one_and_finite_gradients(method: Method) -> None:
    network = Plane(torch.zeros(3, 8, 8, dtype=torch.float64))
    penalty = lipschitz_penalty(network, doubles(5, 3, 8, 8), method=method)
    penalty.backward()
    assert penalty.item() == pytest.approx(1.0, rel=1e-5)
    assert network.weights.grad is not None
    assert network.weights.grad.isfinite().all()


def test_the_exact_penalty_is_that_of_finite_differences_in_every_pixel() -> None:
    network, image, step = critic(), doubles(1, 3, 32, 32), 1e-6
    moved = image + step * torch.eye(3 * 32 * 32, dtype=torch.float64)[:200].view(-1, 3, 32, 32)
    inputs = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(inputs).sum(), inputs)
    with torch.no_grad():
        slopes = (network(moved) - network(image)) / step
    assert torch.allclose(slopes, gradient.flatten()[:200], atol=1e-6)
    expected = (gradient.norm().item() - 1) ** 2
    assert lipschitz_penalty(network, image).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_over_a_tiny_step_differences_are_the_double_backward(
    norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(penalties, "STEP_ALONG", 1e-7)
    network, images = critic(norm_critic=norm), doubles(8, 3, 32, 32)
    exact = lipschitz_penalty(network, images, method="exact")
    cheap = lipschitz_penalty(network, images, method="differences")
    assert cheap.item() == pytest.approx(exact.item(), rel=1e-5)
    one, other = gradients(network, exact), gradients(network, cheap)
    assert torch.allclose(one, other, rtol=1e-3, atol=1e-5 * one.abs().max().item())


def test_differences_along_the_gradient_survive_bfloat16() -> None:
    network = critic(width_discriminator=16, widest=64).float()
    images = torch.rand(64, 3, 32, 32) * 2 - 1
    in_float32 = lipschitz_penalty(network, images, method="differences").item()
    with torch.autocast("cpu", torch.bfloat16):
        in_bfloat16 = lipschitz_penalty(network, images, method="differences").item()
    assert in_bfloat16 == pytest.approx(in_float32, rel=0.05)


def test_conditions_reach_the_critic() -> None:
    weights, tags = doubles(3, 8, 8), torch.tensor([[2.0], [2.0]], dtype=torch.float64)
    images = doubles(2, 3, 8, 8)
    expected = 4.0 * weights.square().sum().item()
    exact = gradient_penalty_exact(Plane(weights), images, tags)
    assert exact.item() == pytest.approx(expected)
    for method in METHODS:
        penalty = lipschitz_penalty(Plane(weights), images, tags, method)
        assert penalty.item() == pytest.approx((2.0 * weights.norm().item() - 1) ** 2)


def test_points_lie_between_real_and_fake_each_at_a_place_of_its_own() -> None:
    points = between(torch.ones(64, 3, 4, 4), torch.zeros(64, 3, 4, 4))
    assert (points == points[:, :1, :1, :1]).all()
    places = points[:, 0, 0, 0]
    assert 0 <= places.min() < 0.2
    assert 0.8 < places.max() <= 1
