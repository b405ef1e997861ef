"""Gradient penalties: how steep a discriminator may be."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ganime.gans import conditions

STEP = 0.05  # of finite differences, in units of images in [-1, 1]
# The same along a gradient, where all pixels pull together and slopes stand out of the rounding.
# Critics bend over longer ways: with 0.05 they came out a tenth to a fifth too steep.
STEP_ALONG = 0.02

Method = Literal["exact", "differences"]


def r1_penalty(
    discriminator: nn.Module, real: Tensor, tags: Tensor | None, gamma: float, share: float
) -> Tensor:
    """R1, gamma/2·E‖∇D(x)‖² (1801.04406, equation 9), by differences on a share of the batch.

    Args:
        discriminator: (images [B, 3, R, R], tags) -> logits [B].
        real: [B, 3, R, R].
        tags: [B, T] for a discriminator with conditions.
        gamma: Its weight.
        share: Of the batch, 0-1.
    """
    part = first_share(len(real), share)
    return (
        0.5
        * gamma
        * gradient_penalty_by_differences(
            discriminator, real[part], None if tags is None else tags[part]
        )
    )


def first_share(num: int, share: float) -> slice:
    """The first images of a batch of so many: this share of them, but at least one."""
    return slice(max(1, round(num * share)))


def gradient_penalty(
    discriminator: nn.Module, images: Tensor, tags: Tensor | None, method: Method
) -> Tensor:
    """E‖∇D(x)‖² by double backward, or estimated by differences; see both."""
    exact = method == "exact"
    measure = gradient_penalty_exact if exact else gradient_penalty_by_differences
    return measure(discriminator, images, tags)


def gradient_penalty_by_differences(
    discriminator: nn.Module, images: Tensor, tags: Tensor | None = None, step: float = STEP
) -> Tensor:
    """Estimate E‖∇D(x)‖² without a double backward.

    For a random direction u of independent signs, (u·∇D)² is ‖∇D‖² on average, and
    u·∇D ≈ (D(x + step·u) − D(x)) / step. One direction per image: unbiased up to the curvature of
    D over a step, and noisy, which stochastic descent averages out. On a CPU it costs a tenth of
    the exact penalty (R1, Mescheder et al. 1801.04406, equation 9, which is gamma/2 of this).

    Args:
        discriminator: (images [B, 3, R, R], tags) -> logits [B].
        images: Where the gradient is wanted [B, 3, R, R].
        tags: [B, T] for a discriminator with conditions.
        step: Change of each pixel, in units of images in [-1, 1]; in bfloat16 much less drowns in
            rounding.

    Returns:
        Scalar, with a graph to the discriminator's parameters.
    """
    direction = torch.empty_like(images).bernoulli_(0.5).mul_(2.0).sub_(1.0)
    here, there = _pair(discriminator, images, images + step * direction, tags)
    slopes: Tensor = (there - here) / step
    return slopes.square().mean()


def gradient_penalty_exact(
    discriminator: nn.Module, images: Tensor, tags: Tensor | None = None
) -> Tensor:
    """E‖∇D(x)‖² by double backward (Mescheder et al. 1801.04406, equation 9 without gamma/2).

    Args:
        discriminator: (images [B, 3, R, R], tags) -> logits [B].
        images: Where the gradient is wanted [B, 3, R, R].
        tags: [B, T] for a discriminator with conditions.

    Returns:
        Scalar, with a graph to the discriminator's parameters.
    """
    return _squared_norms(discriminator, images, tags).mean()


def between(real: Tensor, fake: Tensor) -> Tensor:
    """Random points on the lines from reals to fakes (WGAN-GP, Gulrajani et al. 1704.00028, 4)."""
    return torch.lerp(fake, real, torch.rand_like(real[:, :1, :1, :1]))


def lipschitz_penalty(
    discriminator: nn.Module, images: Tensor, tags: Tensor | None = None, method: Method = "exact"
) -> Tensor:
    """E(‖∇D(x)‖ − 1)² (WGAN-GP, Gulrajani et al. 1704.00028, equation 3 without lambda).

    By differences, ‖∇D‖ is the slope of D along its own gradient g over a short way,
    (D(x + h·g/2) − D(x − h·g/2)) / h for ‖g‖ = 1. Turning g to first order does not change that
    slope, so g is held fixed and the slope has the gradient of ‖∇D‖ without a double backward.
    A random direction would not do: its slope is smaller by the root of the number of pixels, and
    next to 1 drowns in bfloat16's rounding.

    Args:
        discriminator: (images [B, 3, R, R], tags) -> logits [B].
        images: Where the gradient is wanted [B, 3, R, R].
        tags: [B, T] for a discriminator with conditions.
        method: By double backward, or by differences.

    Returns:
        Scalar, with a graph to the discriminator's parameters.
    """
    if method == "exact":
        # The small constant keeps the root differentiable where a critic is flat.
        norms = (_squared_norms(discriminator, images, tags) + 1e-12).sqrt()
    else:
        norms = _slopes_along_gradient(discriminator, images, tags)
    return (norms - 1.0).square().mean()


def _slopes_along_gradient(discriminator: nn.Module, images: Tensor, tags: Tensor | None) -> Tensor:
    gradient = _gradient(discriminator, images, tags, create_graph=False)
    norms = gradient.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
    length = STEP_ALONG * math.sqrt(images[0].numel())
    half = gradient / norms.clamp_min(1e-12) * (length / 2)
    behind, ahead = _pair(discriminator, images - half, images + half, tags)
    slopes: Tensor = (ahead - behind) / length
    return slopes


def _squared_norms(discriminator: nn.Module, images: Tensor, tags: Tensor | None) -> Tensor:
    """‖∇D(x)‖² of each image, [B]."""
    gradient = _gradient(discriminator, images, tags, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))


def _gradient(
    discriminator: nn.Module, images: Tensor, tags: Tensor | None, *, create_graph: bool
) -> Tensor:
    images = images.detach().requires_grad_()
    logits = discriminator(images, *conditions(tags)).to(images.dtype).sum()
    (gradient,) = torch.autograd.grad(logits, images, create_graph=create_graph)
    return gradient


def _pair(
    discriminator: nn.Module, one: Tensor, other: Tensor, tags: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Logits of both, from one pass."""
    twice = None if tags is None else torch.cat([tags, tags])
    logits = discriminator(torch.cat([one, other]), *conditions(twice)).to(one.dtype)
    first, second = logits.chunk(2)
    return first, second
