"""A trained generator, to use: its blueprint; images under seeds, tags and truncation."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ganime.gans import Recipe, StyleNetwork
from ganime.lite.wishes import drawn_tags, wish_vector
from ganime.training.styles import encode, render, truncate
from ganime.training.tensors import to_pixels

Images = npt.NDArray[np.uint8]
_NO_TAGS: npt.NDArray[np.uint8] = np.empty((0, 0), np.uint8)


@dataclass(frozen=True)
class Blueprint:
    """What a generator is besides its weights.

    Attributes:
        recipe: What it was trained by.
        resolution: R, side of its images [px].
        tag_names: The T tags that it can be asked for; none without conditions.
        tag_examples: Tag vectors of training images, uint8 [M, T]: which tags go together.
    """

    recipe: Recipe
    resolution: int
    tag_names: tuple[str, ...] = ()
    tag_examples: npt.NDArray[np.uint8] = field(default_factory=lambda: _NO_TAGS)

    def network(self) -> nn.Module:
        """A new, untrained generator."""
        return self.recipe.generator(self.resolution, len(self.tag_names))

    def latents(self, num: int, seed: int) -> Tensor:
        """Latents float32 [N, Z] under a seed.

        Latent i depends on the seed and i alone, not on how many are drawn.
        """
        random = torch.Generator().manual_seed(seed)
        length = self.recipe.num_latents
        # Above 16 numbers torch fills tensors in another order, so small calls would differ.
        rows = [torch.randn(max(length, 16), generator=random) for _ in range(num)]
        normal = torch.stack(rows)[:, :length] if rows else torch.empty(0, length)
        return self.recipe.latents(normal)

    def tags(self, num: int, seed: int) -> Tensor | None:
        """Tag vectors float32 [N, T] of training images under a seed; None without conditions."""
        if not self.tag_names:
            return None
        return torch.from_numpy(drawn_tags(self.tag_examples, num, seed))

    def of_seeds(
        self, seeds: Sequence[int], tags: Sequence[str] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Latents and tags of single images, each under a seed of its own.

        Args:
            seeds: One per image; its image does not depend on the others.
            tags: What all of them shall show; None for tags of training images.

        Returns:
            float32 [N, Z], and float32 [N, T] or None without conditions.

        Raises:
            ConfigError: the generator does not know a tag.
        """
        z = torch.cat([self.latents(1, seed) for seed in seeds])
        if tags is not None:
            return z, self.vector(tags).expand(len(seeds), -1)
        drawn = [vector for seed in seeds if (vector := self.tags(1, seed)) is not None]
        return z, torch.cat(drawn) if drawn else None

    def vector(self, wanted: Sequence[str]) -> Tensor:
        """The tag vector float32 [T] that asks for these tags and no other.

        Raises:
            ConfigError: the generator knows no such tag; names the nearest that it knows.
        """
        return torch.from_numpy(wish_vector(self.tag_names, wanted))


class Generator:
    """A trained generator.

    Args:
        network: The averaged generator.
        blueprint: What it is.
        nimg: Real images shown when it was taken.

    Attributes:
        network: (z [B, Z], tags [B, T]) -> images [B, 3, R, R] in [-1, 1], in evaluation mode.
        blueprint: What it is.
        resolution: R [px].
        nimg: Real images shown when it was taken.
        device: Where it computes.
    """

    def __init__(self, network: nn.Module, blueprint: Blueprint, nimg: int) -> None:
        self.network = network.eval().requires_grad_(False)
        self.blueprint, self.nimg = blueprint, nimg
        self.device = next(network.parameters()).device

    @property
    def resolution(self) -> int:
        """R [px]."""
        return self.blueprint.resolution

    def to(self, device: torch.device | str) -> "Generator":
        """Move it to a device."""
        self.device = torch.device(device)
        self.network.to(self.device)
        return self

    def sample(
        self, num: int, seed: int = 0, *, tags: Sequence[str] | None = None, batch: int = 64
    ) -> Images:
        """Make images; the same seed makes the same ones.

        Args:
            num: How many, N.
            seed: Of the latents, and of the tags where none are asked for.
            tags: What all of them shall show; None for tags of training images.
            batch: How many at a time.

        Returns:
            uint8 sRGB [N, R, R, 3].
        """
        z = self.blueprint.latents(num, seed)
        asked = self.blueprint.tags(num, seed)
        if tags is not None:
            asked = self.blueprint.vector(tags).expand(num, -1)
        return self.images(z, asked, batch=batch)

    def images(
        self, z: Tensor, tags: Tensor | None = None, *, truncation: float = 1.0, batch: int = 64
    ) -> Images:
        """Images of latents.

        Args:
            z: float32 [N, Z].
            tags: float32 [N, T] for a generator with conditions.
            truncation: How far from the average image to go, from 0 (the average itself: safe and
                all alike) to 1 (as learnt); towards the mean style (1812.04948, B) where the
                generator has styles, else of the latent's length.
            batch: How many at a time.

        Returns:
            uint8 sRGB [N, R, R, 3].
        """
        images = [np.empty((0, self.resolution, self.resolution, 3), np.uint8)]
        with torch.no_grad():
            for start in range(0, len(z), batch):
                part = slice(start, start + batch)
                asked = None if tags is None else tags[part]
                codes = self.codes(z[part], asked, truncation=truncation)
                images.append(self.draw(codes, asked, batch=batch))
        return np.concatenate(images)

    def codes(self, z: Tensor, tags: Tensor | None = None, *, truncation: float = 1.0) -> Tensor:
        """What `ganime.training.styles` works on: styles [N, W], or latents where there are none.

        Args:
            z: float32 [N, Z].
            tags: float32 [N, T] for a generator with conditions.
            truncation: See `images`.
        """
        network = self.network
        found = encode(network, z.to(self.device), None if tags is None else tags.to(self.device))
        if truncation == 1.0:
            return found
        average = torch.zeros_like(found[0])
        if isinstance(network, StyleNetwork):
            average = network.average_style
        return truncate(found, average, truncation)

    def draw(self, codes: Tensor, tags: Tensor | None = None, *, batch: int = 64) -> Images:
        """Images of codes: uint8 sRGB [N, R, R, 3].

        Args:
            codes: [N, W], or styles for each layer [N, L, W].
            tags: float32 [N, T] for a generator with conditions and without styles.
            batch: How many at a time.
        """
        images = np.empty((len(codes), self.resolution, self.resolution, 3), np.uint8)
        with torch.no_grad():
            for start in range(0, len(codes), batch):
                part = slice(start, start + batch)
                asked = None if tags is None else tags[part].to(self.device)
                images[part] = to_pixels(render(self.network, codes[part].to(self.device), asked))
        return images
