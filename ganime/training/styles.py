"""Walks, mixtures and directions among what a generator can draw.

All of it works on codes: the styles w of a generator that has them (`StyleNetwork`), the latents z
of one that has not. Nothing here changes a network; all expect it in evaluation mode, where an
image is a function of its code.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganime.gans import StyleNetwork, conditions

SAMPLES_BATCH = 256  # codes at a time while sampling; bounds the memory, not the result
STRAIGHT = 1e-4  # below this angle [rad] the sine of it is no divisor


def encode(network: nn.Module, z: Tensor, tags: Tensor | None = None) -> Tensor:
    """Codes [N, W] of latents [N, Z]: their styles where the generator has styles, else z."""
    return network.mapping(z, tags) if isinstance(network, StyleNetwork) else z


def render(network: nn.Module, codes: Tensor, tags: Tensor | None = None) -> Tensor:
    """Images [N, 3, R, R] of codes [N, W], or of styles for each layer [N, L, W].

    Args:
        network: A generator.
        codes: As `encode` gives them.
        tags: [N, T] for a generator with conditions and without styles; styles hold their tags.
    """
    if isinstance(network, StyleNetwork):
        return network.synthesis(for_each_layer(codes, network.num_styles))
    images: Tensor = network(codes, *conditions(tags))
    return images


def for_each_layer(styles: Tensor, num_styles: int) -> Tensor:
    """Styles [N, W] -> [N, L, W], all layers alike; those of each layer stay as they are."""
    return styles if styles.dim() == 3 else styles[:, None].expand(-1, num_styles, -1)


def truncate(styles: Tensor, average: Tensor, psi: float, num_layers: int | None = None) -> Tensor:
    """Pull styles towards the average (StyleGAN, 1812.04948, appendix B).

    Args:
        styles: [N, W] or [N, L, W]; latents do as well, with an average of zero.
        average: [W].
        psi: 0 gives the average, 1 leaves styles as they are.
        num_layers: How many of the first layers to change, which needs [N, L, W]; None for all.

    Returns:
        Like `styles`.
    """
    pulled = torch.lerp(average, styles, psi)
    if num_layers is None:
        return pulled
    return torch.cat([pulled[:, :num_layers], styles[:, num_layers:]], dim=1)


def straight(start: Tensor, end: Tensor, shares: Tensor) -> Tensor:
    """Points on the line between two: what suits styles.

    Args:
        start: [..., W].
        end: [..., W].
        shares: How far along [N], 0 is the start and 1 the end.

    Returns:
        [N, ..., W].
    """
    return torch.lerp(start[None], end[None], _beside(shares, start))


def spherical(start: Tensor, end: Tensor, shares: Tensor) -> Tensor:
    """Points on the arc between two: what suits normal latents, whose length hardly varies.

    White: Sampling Generative Networks, 2016, 1609.04468, section 2.1. On a line the middle would
    be shorter than any latent seen in training. Arguments as in `straight`; vectors that point the
    same way, or exactly opposite ways, have no one arc and are joined by the line.
    """
    units = [torch.nn.functional.normalize(point, dim=-1) for point in (start, end)]
    angle = (units[0] * units[1]).sum(dim=-1, keepdim=True).clamp(-1, 1).acos()
    sine, along = angle.sin(), _beside(shares, start)
    arc = torch.sin((1 - along) * angle) * start + torch.sin(along * angle) * end
    return torch.where(sine < STRAIGHT, straight(start, end, shares), arc / sine)


def closed_loop(points: Tensor, num: int, *, on_sphere: bool) -> Tensor:
    """A walk through all points and back to the first, to be shown over and over.

    Args:
        points: Codes [K, W] or [K, L, W].
        num: Steps N in all; legs are equally long in steps, as nearly as it divides.
        on_sphere: Whether legs are arcs (latents) or lines (styles).

    Returns:
        [N, W] or [N, L, W]; begins at the first point, and one more step would reach it again.
    """
    leg = spherical if on_sphere else straight
    times = torch.arange(num, dtype=torch.float64) * len(points) / num
    steps = []
    for number, (start, end) in enumerate(itertools.pairwise([*points, points[0]])):
        shares = times[(times >= number) & (times < number + 1)] - number
        steps.append(leg(start, end, shares.to(points)))
    return torch.cat(steps)


def mix(sources: Tensor, destinations: Tensor, layers: Sequence[int]) -> Tensor:
    """A table of mixtures: each destination with some layers of each source (1812.04948, fig. 3).

    Args:
        sources: Styles for each layer [S, L, W].
        destinations: The same [D, L, W].
        layers: Which layers come from the source: the first ones hold pose and shape, the last
            ones colours.

    Returns:
        [S, D, L, W].
    """
    table = destinations[None].repeat(len(sources), 1, 1, 1)
    chosen = list(layers)
    table[:, :, chosen] = sources[:, None, chosen]
    return table


@dataclass(frozen=True)
class Directions:
    """Ways to change a code, the strongest first.

    Attributes:
        mean: Mean code [W].
        vectors: Unit vectors [K, W].
        deviations: How far codes usually lie along each [K].
    """

    mean: Tensor
    vectors: Tensor
    deviations: Tensor

    def move(self, codes: Tensor, number: int, amount: float) -> Tensor:
        """Codes [..., W] moved along one direction by so many deviations."""
        return codes + amount * self.deviations[number] * self.vectors[number]


@torch.no_grad()
def principal_directions(
    network: nn.Module, num: int, z: Tensor, tags: Tensor | None = None
) -> Directions:
    """Directions found without labels (GANSpace, Härkönen et al. 2020, 2004.02546, section 2).

    With styles: the principal components of w. Without: those of the first layer's activations,
    carried over to z by linear regression (2.2), since z itself is the same in every direction.

    Args:
        network: A generator.
        num: How many directions, K.
        z: Latents to look at [N, Z], a few thousand; at least K.
        tags: [N, T] for a generator with conditions; the directions then vary these tags as well.
    """
    if isinstance(network, StyleNetwork):
        codes = encode(network, z, tags)
        mean, vectors, deviations = _components(codes, num)
        return Directions(mean, _pointing_up(vectors), deviations)
    activations = _first_activations(network, z, tags)
    mean, vectors, deviations = _components(activations, num)
    # In units of deviations all columns weigh alike, and each solution is a step of one deviation.
    coordinates = (activations - mean) @ vectors.T / deviations.clamp_min(1e-12)
    steps = torch.linalg.lstsq(coordinates, z - z.mean(dim=0)).solution
    lengths = steps.norm(dim=1)
    units = steps / lengths.clamp_min(1e-12)[:, None]
    return Directions(z.mean(dim=0), _pointing_up(units), lengths)


def _components(samples: Tensor, num: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [D], principal components [K, D] and deviations along them [K] of samples [N, D]."""
    mean = samples.mean(dim=0)
    _, values, vectors = torch.linalg.svd(samples - mean, full_matrices=False)
    return mean, vectors[:num], values[:num] / max(1, len(samples) - 1) ** 0.5


def _pointing_up(vectors: Tensor) -> Tensor:
    """Signs, which a decomposition leaves open, such that the largest entry is positive."""
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return vectors * largest.sign()


class _ReachedError(Exception):
    """Stops a forward pass behind the first layer."""


def _first_activations(network: nn.Module, z: Tensor, tags: Tensor | None) -> Tensor:
    """Outputs [N, D] of the first layer that takes in latents."""
    found: list[Tensor] = []

    def take(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(output.flatten(1))
        raise _ReachedError

    hook = _first_layer(network).register_forward_hook(take)
    try:
        for start in range(0, len(z), SAMPLES_BATCH):
            part = slice(start, start + SAMPLES_BATCH)
            try:
                network(z[part], *conditions(None if tags is None else tags[part]))
            except _ReachedError:
                continue
    finally:
        hook.remove()
    return torch.cat(found)


def _first_layer(network: nn.Module) -> nn.Module:
    """The first layer with weights, the embedding of the tags aside."""
    layers: Iterator[tuple[str, nn.Module]] = network.named_modules()
    for name, layer in layers:
        if "embedding" not in name and "weight" in dict(layer.named_parameters(recurse=False)):
            return layer
    raise ValueError(f"{type(network).__name__} has no layer with weights to look at")


def _beside(shares: Tensor, point: Tensor) -> Tensor:
    return shares.reshape(-1, *[1] * point.dim())
