"""Batches of real images; which images come next depends on nothing but the seed and `nimg`."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganime.training.tensors import to_tensor

_ORDER, _MIRROR = 1, 2  # tell the random streams apart


@dataclass(frozen=True, slots=True)
class Examples:
    """What a generator learns from.

    Attributes:
        images: uint8 sRGB [N, R, R, 3]; may be memory-mapped.
        tags: Tag vectors uint8 [N, T], 1 where an image has the tag; None without conditions.
        tag_names: What the T tags are called.
    """

    images: npt.NDArray[np.uint8]
    tags: npt.NDArray[np.uint8] | None = None
    tag_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Real images and what they show.

    Attributes:
        images: float32 [B, 3, R, R] in [-1, 1], channels last.
        tags: float32 [B, T], 0 or 1; None without conditions.
    """

    images: Tensor
    tags: Tensor | None

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        tags = None if self.tags is None else self.tags.to(device, non_blocking=True)
        return Batch(self.images.to(device, non_blocking=True), tags)


class Batches:
    """Shuffled passes over the images, addressed by how many were shown.

    The next batch is read while the one before is learnt from.

    Args:
        examples: The images; of memory-mapped ones only the batch is read.
        batch: Images per batch of all processes together, B.
        seed: Of the order and the flips.
        mirror: Whether to flip every second image, on average, left to right.
        rank: Which share of each batch to give, of `size`.
        size: Into how many shares batches are cut.
    """

    def __init__(
        self,
        examples: Examples,
        batch: int,
        seed: int,
        *,
        mirror: bool,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        self._examples, self._batch, self._seed, self._mirror = examples, batch, seed, mirror
        self._share = slice(rank * batch // size, (rank + 1) * batch // size)
        self._passes: dict[int, npt.NDArray[np.int64]] = {}
        self._reader: ThreadPoolExecutor | None = None
        self._ahead: tuple[int, Future[Batch]] | None = None

    @property
    def batch(self) -> int:
        """Images per batch of all processes together."""
        return self._batch

    def indices(self, nimg: int) -> npt.NDArray[np.int64]:
        """Which images are shown after `nimg` others: [B], each once per pass over the data."""
        num = len(self._examples.images)
        shown = np.arange(nimg, nimg + self._batch)
        passes, places = shown // num, shown % num
        wanted = [int(number) for number in np.unique(passes)]
        self._passes = {number: self._order(number) for number in wanted}
        chosen = np.empty(self._batch, np.int64)
        for number in wanted:
            here = passes == number
            chosen[here] = self._passes[number][places[here]]
        return chosen

    def at(self, nimg: int) -> Batch:
        """This process's share of the batch shown after `nimg` images."""
        if self._ahead is not None and self._ahead[0] == nimg:
            batch = self._ahead[1].result()
        else:
            batch = self._read(nimg)
        if self._reader is not None:
            following = nimg + self._batch
            self._ahead = (following, self._reader.submit(self._read, following))
        return batch

    @contextmanager
    def reading_ahead(self) -> Iterator[None]:
        """Read the following batch in a thread while the caller works on one."""
        with ThreadPoolExecutor(1, "batches") as self._reader:
            try:
                yield
            finally:
                self._reader, self._ahead = None, None

    def _read(self, nimg: int) -> Batch:
        chosen = self.indices(nimg)[self._share]
        pixels = self._examples.images[chosen]
        if self._mirror:
            random = np.random.default_rng((self._seed, _MIRROR, nimg))
            flipped = (random.random(self._batch) < 0.5)[self._share]
            pixels[flipped] = pixels[flipped, :, ::-1]
        tags = self._examples.tags
        chosen_tags = None if tags is None else torch.from_numpy(tags[chosen]).float()
        return Batch(to_tensor(pixels), chosen_tags)

    def _order(self, number: int) -> npt.NDArray[np.int64]:
        if number in self._passes:
            return self._passes[number]
        random = np.random.default_rng((self._seed, _ORDER, number))
        return random.permutation(len(self._examples.images))
