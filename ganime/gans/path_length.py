"""Path length regularisation (1912.04958, section 3.2): a step in w changes the image as much
everywhere, whatever its direction."""

import math

import torch
from torch import Tensor

from ganime.gans import StyleNetwork

PACE = 0.01  # of the moving mean (1912.04958, appendix B: decay 0.99)


def path_lengths(generator: StyleNetwork, styles: Tensor) -> Tensor:
    """‖Jᵀy‖ for random images y, a sample for each image; exact, by autograd.

    As in the paper's code y is N(0, 1/R²) and squares are averaged over the layers, which makes one
    weight right for all resolutions.

    Args:
        generator: Whose Jacobian J, image by style.
        styles: [B, L, W], with a graph or requiring gradients.

    Returns:
        [B], with a graph to the generator's parameters.
    """
    images = generator.synthesis(styles)
    noise = torch.randn_like(images) / math.sqrt(images[0, 0].numel())
    (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_length_penalty(lengths: Tensor, mean: Tensor) -> Tensor:
    """E(‖Jᵀy‖ − a)² (1912.04958, equation 4), a being the lengths' moving mean.

    Args:
        lengths: [B].
        mean: a, a scalar buffer; takes in these lengths.

    Returns:
        Scalar.
    """
    with torch.no_grad():
        mean.lerp_(lengths.mean(), PACE)
    # A copy: the graph must not see later changes of the buffer.
    return (lengths - mean.clone()).square().mean()
