"""Batches of real images; which images come next depends on nothing but the seed and `nimg`."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_ORDER, _MIRROR = 1, 2  # tell the random streams apart


class Batches:
    """Shuffled passes over the images, addressed by how many were shown.

    Args:
        images: uint8 sRGB [N, R, R, 3]; may be memory-mapped, only the batch is read.
        batch: Images per batch, B.
        seed: Of the order and the flips.
        mirror: Whether to flip every second image, on average, left to right.
    """

    def __init__(
        self, images: npt.NDArray[np.uint8], batch: int, seed: int, *, mirror: bool
    ) -> None:
        self._images = images
        self._batch = batch
        self._seed = seed
        self._mirror = mirror
        self._passes: dict[int, npt.NDArray[np.int64]] = {}

    def indices(self, nimg: int) -> npt.NDArray[np.int64]:
        """Which images are shown after `nimg` others: [B], each once per pass over the data."""
        shown = np.arange(nimg, nimg + self._batch)
        passes, places = shown // len(self._images), shown % len(self._images)
        wanted = {int(number) for number in np.unique(passes)}
        self._passes = {number: self._order(number) for number in wanted}
        return np.array(
            [self._passes[int(a)][b] for a, b in zip(passes, places, strict=True)], dtype=np.int64
        )

    def at(self, nimg: int) -> Tensor:
        """The batch shown after `nimg` images: float32 [B, 3, R, R] in [-1, 1], channels last."""
        pixels = self._images[self.indices(nimg)]
        if self._mirror:
            random = np.random.default_rng((self._seed, _MIRROR, nimg))
            flipped = random.random(len(pixels)) < 0.5
            pixels[flipped] = pixels[flipped, :, ::-1]
        return to_tensor(pixels)

    def _order(self, number: int) -> npt.NDArray[np.int64]:
        if number in self._passes:
            return self._passes[number]
        random = np.random.default_rng((self._seed, _ORDER, number))
        return random.permutation(len(self._images))


def to_tensor(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 [B, R, R, 3] -> float32 [B, 3, R, R] in [-1, 1], channels last."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_pixels(images: Tensor) -> npt.NDArray[np.uint8]:
    """Images [B, 3, R, R] in [-1, 1] -> uint8 [B, R, R, 3], rounded to nearest."""
    scaled = images.float().add(1.0).mul(127.5).round().clamp(0, 255)
    pixels: npt.NDArray[np.uint8] = scaled.byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels
