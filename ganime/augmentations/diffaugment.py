"""DiffAugment (Zhao, Liu, Lin, Zhu, Han: Differentiable Augmentation for Data-Efficient GAN
Training, 2020, 2006.10738): what the discriminator sees, real or fake, is changed at random.

Changes are applied to reals and fakes alike and let gradients through, so the generator never
learns to make them. Shifts are products with permutation matrices: exact, differentiable any number
of times, and far quicker on a CPU than gathering pixels.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ganime.augmentations import AUGMENTATIONS, Augmentation, Augmenter

Change = Literal["colour", "translation", "cutout"]

SHIFT = 1 / 8  # largest shift, of the side (2006.10738, 3.2)
HOLE = 1 / 2  # side of the cut-out square, of the side


@AUGMENTATIONS.register("diffaugment")
class DiffAugment(Augmentation):
    """Every image is changed, always: simple, and enough for a few thousand images."""

    changes: tuple[Change, ...] = Field(
        ("translation",), description="What to change: colour, translation, cutout."
    )

    def augmenter(self) -> Augmenter:
        """See `Augmentation`."""
        return _Always(self.changes)


class _Always(Augmenter):
    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__()
        self._changes = changes

    def forward(self, images: Tensor) -> Tensor:
        return augment(images, self._changes)


def augment(images: Tensor, changes: Sequence[Change]) -> Tensor:
    """Change every image at random, in the order given.

    Args:
        images: [B, 3, R, R] in [-1, 1].
        changes: Which kinds of change.

    Returns:
        [B, 3, R, R]; colours may leave [-1, 1].
    """
    for change in changes:
        images = _CHANGES[change](images)
    return images


def _colour(images: Tensor) -> Tensor:
    """Brightness ± 0.5, saturation 0-2 times, contrast 0.5-1.5 times."""
    brightness, saturation, contrast = _uniform(images, 3).unbind(1)
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = torch.lerp(grey, images, saturation * 2)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, contrast + 0.5)


def _translation(images: Tensor) -> Tensor:
    """Shift by up to 1/8 of the side both ways; the border colour fills what is laid bare."""
    rows, columns = _uniform(images, 2).unbind(1)
    resolution = images.shape[-1]
    down, right = _shift(rows, resolution), _shift(columns, resolution)
    return torch.matmul(torch.matmul(down, images), right.transpose(-1, -2))


def _shift(uniform: Tensor, resolution: int) -> Tensor:
    """Matrices [B, 1, R, R] that move rows: a one in each row, where its content comes from."""
    largest = round(resolution * SHIFT)
    moves = (uniform.view(-1, 1) * (2 * largest + 1)).floor() - largest
    places = torch.arange(resolution, device=uniform.device)
    sources = (places - moves).clamp(0, resolution - 1)
    return (sources[:, None, :, None] == places).to(uniform.dtype)


def _cutout(images: Tensor) -> Tensor:
    """Grey out a square of half the side, centred anywhere."""
    rows, columns = _uniform(images, 2).unbind(1)
    resolution = images.shape[-1]
    places = (torch.arange(resolution, device=images.device) + 0.5) / resolution
    above = (places.view(1, 1, -1, 1) - rows).abs() < HOLE / 2
    beside = (places.view(1, 1, 1, -1) - columns).abs() < HOLE / 2
    return images * ~(above & beside)


def _uniform(images: Tensor, num: int) -> Tensor:
    return torch.rand((len(images), num, 1, 1, 1), device=images.device, dtype=images.dtype)


_CHANGES: dict[Change, Callable[[Tensor], Tensor]] = {
    "colour": _colour,
    "translation": _translation,
    "cutout": _cutout,
}
