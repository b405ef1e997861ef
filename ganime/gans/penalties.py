"""Gradient penalties: how steep a discriminator may be."""

import torch
from torch import Tensor, nn


def gradient_penalty_by_differences(
    discriminator: nn.Module, images: Tensor, step: float = 0.05
) -> Tensor:
    """Estimate E‖∇D(x)‖² without a double backward.

    For a random direction u of independent signs, (u·∇D)² is ‖∇D‖² on average, and
    u·∇D ≈ (D(x + step·u) − D(x)) / step. One direction per image: unbiased up to the curvature of
    D over a step, and noisy, which stochastic descent averages out. On a CPU it costs a tenth of
    the exact penalty (R1, Mescheder et al. 1801.04406, equation 9, which is gamma/2 of this).

    Args:
        discriminator: Images [B, 3, R, R] -> logits [B].
        images: Where the gradient is wanted [B, 3, R, R].
        step: Change of each pixel, in units of images in [-1, 1]; in bfloat16 much less drowns in
            rounding.

    Returns:
        Scalar, with a graph to the discriminator's parameters.
    """
    direction = torch.empty_like(images).bernoulli_(0.5).mul_(2.0).sub_(1.0)
    logits = discriminator(torch.cat([images, images + step * direction])).float()
    here, there = logits.chunk(2)
    slopes: Tensor = (there - here) / step
    return slopes.square().mean()


def gradient_penalty_exact(discriminator: nn.Module, images: Tensor) -> Tensor:
    """E‖∇D(x)‖² by double backward (Mescheder et al. 1801.04406, equation 9 without gamma/2).

    Args:
        discriminator: Images [B, 3, R, R] -> logits [B].
        images: Where the gradient is wanted [B, 3, R, R].

    Returns:
        Scalar, with a graph to the discriminator's parameters.
    """
    images = images.detach().requires_grad_()
    logits = discriminator(images).float().sum()
    (gradient,) = torch.autograd.grad(logits, images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
