"""Find the code from which a generator draws a given picture.

StyleGAN2 (Karras et al., 1912.04958, section 5 and appendix D): Adam on the style, a learning rate
that rises and falls, and noise on the style that fades, so that the search looks around before it
settles. The paper searches the layers' noise maps as well; here they stay as they are, because they
could carry the picture by themselves and the style would not have to.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans import StyleNetwork
from ganime.training.styles import SAMPLES_BATCH, encode, for_each_layer, render

Distance = Callable[[Tensor, Tensor], Tensor]
"""Images [N, 3, R, R] in [-1, 1] and as many others -> distances [N], differentiable."""

RISE, FALL = 0.05, 0.25  # shares of the steps in which the rate rises and falls (appendix D)
NOISE, NOISE_UNTIL = 0.05, 0.75  # its deviation in those of the codes, fading by then (appendix D)
NUM_STARTS = 32  # codes of which the best begins; the average alone is far from most pictures
COARSEST = 8  # px; below, pictures of one subject hardly differ


@dataclass(frozen=True)
class Projection:
    """What a search found.

    Attributes:
        code: Style [W], styles of each layer [L, W], or latent [Z].
        image: What the generator draws from it [3, R, R].
        distances: To the wanted picture: at the start, then at every step, without noise at last.
    """

    code: Tensor
    image: Tensor
    distances: tuple[float, ...]


def project(
    network: nn.Module,
    image: Tensor,
    z: Tensor,
    *,
    steps: int = 500,
    seed: int = 0,
    rate: float = 0.1,
    each_layer: bool = False,
    distance: Distance | None = None,
    tags: Tensor | None = None,
) -> Projection:
    """Search the code of a picture; the network stays as it is.

    Args:
        network: A generator in evaluation mode; one without styles is searched by its latent.
        image: What to find [3, R, R] in [-1, 1].
        z: Latents [N, Z], some hundreds: they tell where codes lie and how widely.
        steps: Of Adam.
        seed: Of the noise on the code.
        rate: Adam's highest learning rate.
        each_layer: Search a style for each layer (W+, Abdal et al. 1904.03189): nearer to any
            picture, further from what the generator knows. Nothing without styles.
        distance: What to make small; `pixel_distance` where none is given.
        tags: [T] for a generator with conditions.
    """
    measure = distance or pixel_distance
    asked = None if tags is None else tags.expand(len(z), -1)
    wanted = image[None]
    with torch.no_grad():
        codes = _encode_all(network, z, asked)
        deviation = (codes - codes.mean(dim=0)).square().sum(dim=1).mean().sqrt()
        code = _start(network, codes, wanted, measure, tags)
    if each_layer and isinstance(network, StyleNetwork):
        code = for_each_layer(code, network.num_styles)
    code = code.clone().requires_grad_()
    random = torch.Generator().manual_seed(seed)
    adam, distances = torch.optim.Adam([code], rate), []
    for number in range(steps):
        progress = number / steps
        adam.param_groups[0]["lr"] = rate * ramp(progress)
        noise = torch.randn(code.shape, generator=random).to(code)
        tried = code + noise * deviation * noise_strength(progress)
        found = measure(_draw(network, tried, tags), wanted).sum()
        # Only the code's gradient: the network's parameters must not gather any.
        (code.grad,) = torch.autograd.grad(found, code)
        adam.step()
        distances.append(found.item())
    with torch.no_grad():
        drawn = _draw(network, code, tags)
        distances.append(measure(drawn, wanted).item())
    return Projection(code.detach()[0], drawn[0], tuple(distances))


def ramp(progress: float) -> float:
    """Factor on the learning rate: up in a line, down along a cosine (1912.04958, appendix D)."""
    down = min(1.0, (1.0 - progress) / FALL)
    return (0.5 - 0.5 * math.cos(down * math.pi)) * min(1.0, progress / RISE)


def noise_strength(progress: float) -> float:
    """Deviation of the noise on a code, in those of codes; fades to nothing (the same)."""
    return NOISE * max(0.0, 1.0 - progress / NOISE_UNTIL) ** 2


def pixel_distance(images: Tensor, others: Tensor) -> Tensor:
    """Mean squared difference, averaged over sides from R down to 8 px by halving.

    Coarse sides lead the search where fine ones have no slope yet.

    Args:
        images: [N, 3, R, R].
        others: [N, 3, R, R], or one for all [1, 3, R, R].

    Returns:
        [N].
    """
    difference = images - others
    scales = [difference.square().mean(dim=(1, 2, 3))]
    while difference.shape[-1] > COARSEST:
        difference = F.avg_pool2d(difference, 2)
        scales.append(difference.square().mean(dim=(1, 2, 3)))
    return torch.stack(scales).mean(dim=0)


def feature_distance(stages: Sequence[nn.Module], prepare: Callable[[Tensor], Tensor]) -> Distance:
    """A distance by a trained network's features, as LPIPS but with all channels equal.

    Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a
    Perceptual Metric, 2018, 1801.03924, equation 1 with w = 1: features of unit length at every
    place, squared differences averaged over places and summed over stages.

    Args:
        stages: Modules that follow each other, maps [N, C, H, W] behind each; in evaluation mode.
        prepare: Images in [-1, 1] to what the first stage wants (size, mean, deviation).
    """

    def features(images: Tensor) -> list[Tensor]:
        maps, found = prepare(images), []
        for stage in stages:
            maps = stage(maps)
            found.append(F.normalize(maps, dim=1))
        return found

    def measure(images: Tensor, others: Tensor) -> Tensor:
        pairs = zip(features(images), features(others), strict=True)
        return torch.stack(
            [(one - other).square().sum(dim=1).mean(dim=(1, 2)) for one, other in pairs]
        ).sum(dim=0)

    return measure


def _encode_all(network: nn.Module, z: Tensor, tags: Tensor | None) -> Tensor:
    parts = [slice(start, start + SAMPLES_BATCH) for start in range(0, len(z), SAMPLES_BATCH)]
    return torch.cat(
        [encode(network, z[part], None if tags is None else tags[part]) for part in parts]
    )


def _start(
    network: nn.Module, codes: Tensor, wanted: Tensor, measure: Distance, tags: Tensor | None
) -> Tensor:
    """The nearest of the mean code and some others [1, W]."""
    tried = torch.cat([codes.mean(dim=0, keepdim=True), codes[:NUM_STARTS]])
    distances = measure(_draw(network, tried, tags), wanted)
    return tried[distances.argmin()][None]


def _draw(network: nn.Module, codes: Tensor, tags: Tensor | None) -> Tensor:
    return render(network, codes, None if tags is None else tags.expand(len(codes), -1))
