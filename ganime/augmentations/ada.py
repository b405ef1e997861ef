"""Adaptive discriminator augmentation (Karras, Aittala, Hellsten, Laine, Lehtinen, Aila: Training
Generative Adversarial Networks with Limited Data, 2020, 2006.06676).

Every change is made with probability p, which follows how far the discriminator overfits: the share
of reals that it calls real, r_t = E[sign D(real)], is held at a target. Below p of about 0.8 no
change leaks into what the generator makes (2006.06676, 2.2), so p stays there.

Unlike the paper, all geometry is one bilinear resampling without low-pass filters, a tenth of the
cost on a CPU; mirroring belongs to the dataset (`train.mirror`), since it is wrong for asymmetric
characters; and quarter turns are off by default, since these sets stand upright.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ganime.augmentations import AUGMENTATIONS, Augmentation, Augmenter

Change = Literal[
    "quarter_turns",
    "translation",
    "scale",
    "rotation",
    "stretch",
    "brightness",
    "contrast",
    "luma_flip",
    "hue",
    "saturation",
]
CHANGES: tuple[Change, ...] = (
    "translation",
    "scale",
    "rotation",
    "stretch",
    "brightness",
    "contrast",
    "hue",
    "saturation",
)

LARGEST_PROBABILITY = 0.8  # above it changes leak (2006.06676, figure 3)
# Strengths of 2006.06676, appendix B.
SHIFT = 0.125  # of the side, either way
SCALE = 0.2  # standard deviation of the binary logarithm
BRIGHTNESS = 0.2  # standard deviation, of half the range
CONTRAST = 0.5  # standard deviation of the binary logarithm
SATURATION = 1.0  # standard deviation of the binary logarithm


@AUGMENTATIONS.register("ada")
class Ada(Augmentation):
    """Changes as often as the discriminator's overfitting calls for."""

    changes: tuple[Change, ...] = Field(CHANGES, description="What to change.")
    target: float | None = Field(
        0.6,
        gt=0,
        lt=1,
        description="Wanted r_t = E[sign D(real)]; null keeps `probability` as it is.",
    )
    probability: float = Field(
        0.0, ge=0, le=LARGEST_PROBABILITY, description="Probability of a change at the start."
    )
    kimg: float = Field(
        100.0, gt=0, description="Thousands of images in which the probability may go from 0 to 1."
    )
    interval: int = Field(4, ge=1, description="Updates between two adjustments.")

    @property
    def listens(self) -> bool:
        """With a target it adapts."""
        return self.target is not None

    def augmenter(self) -> Augmenter:
        """See `Augmentation`."""
        return AdaptiveAugmenter(self)


class AdaptiveAugmenter(Augmenter):
    """Holds the probability.

    Args:
        settings: What to change, and how fast to adapt.
    """

    probability: Tensor
    signs: Tensor  # sum of signs of D(real), number of them, images shown, updates
    overfit: Tensor

    def __init__(self, settings: Ada) -> None:
        super().__init__()
        self._settings = settings
        self.register_buffer("probability", torch.tensor(settings.probability))
        self.register_buffer("signs", torch.zeros(4))
        self.register_buffer("overfit", torch.tensor(0.0))

    def forward(self, images: Tensor) -> Tensor:
        """See `Augmenter`."""
        # Synchronises with a GPU once per call, and spares all work while nothing is changed.
        probability = float(self.probability)
        if probability == 0:
            return images
        changes = self._settings.changes
        images = _move(images, _geometry(images, changes, probability))
        return _recolour(images, *_colours(images, changes, probability))

    def observe(self, real_logits: Tensor, shown: int) -> None:
        """See `Augmenter`."""
        if self._settings.target is None:
            return
        signs = real_logits.detach().sign().sum()
        self.signs += torch.stack(
            [signs, *torch.tensor([len(real_logits), shown, 1], device=signs.device).unbind()]
        )
        if int(self.signs[3]) >= self._settings.interval:
            self._adjust(self._settings.target)

    def _adjust(self, target: float) -> None:
        total, num, shown, _ = self.signs.tolist()
        self.overfit.fill_(total / max(num, 1))
        change = math.copysign(shown / (self._settings.kimg * 1000), float(self.overfit) - target)
        self.probability.add_(change).clamp_(0, LARGEST_PROBABILITY)
        self.signs.zero_()

    def report(self) -> dict[str, Tensor]:
        """See `Augmenter`."""
        return {"augment_probability": self.probability, "overfit": self.overfit}


def _geometry(images: Tensor, changes: Sequence[Change], probability: float) -> Tensor:
    """Matrices [B, 2, 3] from places in the result to places in the source, sides being [-1, 1]."""
    num, device = len(images), images.device
    matrix = torch.eye(3, device=device).expand(num, 3, 3)

    def maybe(values: Tensor, neutral: float) -> Tensor:
        chosen = torch.rand(num, device=device) < probability
        return torch.where(chosen, values, torch.full_like(values, neutral))

    for change in changes:
        if change == "quarter_turns":
            turns = torch.randint(0, 4, (num,), device=device).float()
            matrix = matrix @ _rotation(maybe(turns, 0.0) * (math.pi / 2))
        elif change == "rotation":
            angles = (torch.rand(num, device=device) * 2 - 1) * math.pi / 12
            matrix = matrix @ _rotation(maybe(angles, 0.0))
        elif change == "scale":
            factors = maybe(torch.exp2(torch.randn(num, device=device) * SCALE), 1.0)
            matrix = matrix @ _scaling(factors, factors)
        elif change == "stretch":
            factors = maybe(torch.exp2(torch.randn(num, device=device) * SCALE / 2), 1.0)
            matrix = matrix @ _scaling(factors, 1 / factors)
        elif change == "translation":
            chosen = maybe(torch.ones(num, device=device), 0.0)[:, None]
            shifts = (torch.rand(num, 2, device=device) * 2 - 1) * (2 * SHIFT) * chosen
            matrix = matrix @ _translation(_whole_pixels(shifts, images.shape[-1]))
    return matrix[:, :2]


def _whole_pixels(shifts: Tensor, resolution: int) -> Tensor:
    return (shifts * (resolution / 2)).round() / (resolution / 2)


def _rotation(angles: Tensor) -> Tensor:
    cosine, sine, zero, one = angles.cos(), angles.sin(), angles * 0, angles * 0 + 1
    return _matrix([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])


def _scaling(across: Tensor, down: Tensor) -> Tensor:
    zero, one = across * 0, across * 0 + 1
    return _matrix([[1 / across, zero, zero], [zero, 1 / down, zero], [zero, zero, one]])


def _translation(shifts: Tensor) -> Tensor:
    across, down = shifts.unbind(1)
    zero, one = across * 0, across * 0 + 1
    return _matrix([[one, zero, -across], [zero, one, -down], [zero, zero, one]])


def _matrix(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Entries [B] -> matrices [B, rows, columns]."""
    return torch.stack([torch.stack(list(row), dim=1) for row in rows], dim=1)


def _move(images: Tensor, matrices: Tensor) -> Tensor:
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    # The border's colour goes on outside: these grounds are plain, and black corners would be
    # the first thing a discriminator learns.
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)


def _colours(
    images: Tensor, changes: Sequence[Change], probability: float
) -> tuple[Tensor, Tensor]:
    """Matrices [B, 3, 3] and offsets [B, 3, 1] for RGB columns."""
    num, device = len(images), images.device
    identity = torch.eye(3, device=device)
    matrix, offset = identity.expand(num, 3, 3), torch.zeros(num, 3, 1, device=device)
    grey = torch.full((3, 3), 1 / 3, device=device)  # projects onto the axis from black to white
    for change in changes:
        if change not in _COLOURS:
            continue
        chosen = (torch.rand(num, device=device) < probability).float()[:, None, None]
        strength = torch.randn(num, 1, 1, device=device)
        if change == "brightness":
            offset = offset + chosen * strength * BRIGHTNESS
        elif change == "contrast":
            factor = torch.lerp(torch.ones_like(strength), torch.exp2(strength * CONTRAST), chosen)
            matrix, offset = matrix * factor, offset * factor
        elif change == "luma_flip":
            flip = identity - 2 * grey * chosen * (strength > 0).float()
            matrix, offset = flip @ matrix, flip @ offset
        elif change == "hue":
            angles = (torch.rand(num, device=device) * 2 - 1) * math.pi * chosen.flatten()
            turn = _turn_about_grey(angles)
            matrix, offset = turn @ matrix, turn @ offset
        else:
            factor = torch.lerp(
                torch.ones_like(strength), torch.exp2(strength * SATURATION), chosen
            )
            towards = grey + (identity - grey) * factor
            matrix, offset = towards @ matrix, towards @ offset
    return matrix, offset


_COLOURS = {"brightness", "contrast", "luma_flip", "hue", "saturation"}


def _turn_about_grey(angles: Tensor) -> Tensor:
    """Rotations of colours about the axis from black to white (Rodrigues' formula), [B, 3, 3]."""
    third = math.sqrt(1 / 3)
    cross = torch.tensor(
        [[0.0, -third, third], [third, 0.0, -third], [-third, third, 0.0]], device=angles.device
    )
    sine, cosine = angles.sin()[:, None, None], angles.cos()[:, None, None]
    identity = torch.eye(3, device=angles.device)
    return identity + sine * cross + (1 - cosine) * (cross @ cross)


def _recolour(images: Tensor, matrices: Tensor, offsets: Tensor) -> Tensor:
    columns = images.flatten(2)
    changed = torch.baddbmm(offsets.to(columns.dtype), matrices.to(columns.dtype), columns)
    return changed.view_as(images)
