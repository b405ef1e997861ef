import pytest
import torch
from torch import nn

from ganime.gans.dcgan import Dcgan
from ganime.gans.penalties import gradient_penalty_by_differences, gradient_penalty_exact


def test_the_exact_penalty_of_a_plane_is_its_squared_slope() -> None:
    weights = torch.randn(3, 8, 8, dtype=torch.float64)

    class Plane(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images * weights).sum(dim=(1, 2, 3))

    penalty = gradient_penalty_exact(Plane(), torch.randn(5, 3, 8, 8, dtype=torch.float64))
    assert penalty.item() == pytest.approx(weights.square().sum().item(), rel=1e-5)


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
            gradient_penalty_by_differences(discriminator, image.expand(500, -1, -1, -1), 0.01)
            for _ in range(8)
        ]
    assert torch.stack(estimates).mean().item() == pytest.approx(exact, rel=0.1)


def test_its_gradient_agrees_with_double_backward_on_average() -> None:
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(48, 1, bias=False), nn.Flatten(0))
    (weights,) = discriminator.parameters()
    images = torch.randn(1, 3, 4, 4)
    gradient_penalty_exact(discriminator, images).backward()
    exact, weights.grad = weights.grad, None
    gradient_penalty_by_differences(discriminator, images.expand(20_000, -1, -1, -1)).backward()
    assert exact is not None
    assert weights.grad is not None
    assert torch.nn.functional.cosine_similarity(weights.grad, exact).item() > 0.99
    assert weights.grad.norm().item() == pytest.approx(exact.norm().item(), rel=0.1)


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
