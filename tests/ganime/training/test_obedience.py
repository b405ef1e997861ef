"""What a generator is asked for is what it draws, once it was trained."""

from typing import Any

import numpy as np
import pytest
import torch

from ganime.augmentations.plain import Plain
from ganime.gans import GANS, Recipe
from ganime.training.batches import Batches, Examples
from ganime.training.loop import Options, Trainer

COLOURS = np.array([[220, 40, 40], [40, 180, 60], [50, 70, 220]], np.uint8)
NARROW: dict[str, Any] = {"latent": 16, "width_generator": 16, "width_discriminator": 16}
SMALL: dict[str, tuple[dict[str, Any], int]] = {  # settings, and images to show
    "dcgan": (NARROW, 6_000),
    "lsgan": (NARROW, 6_000),
    "fastgan": (NARROW, 6_000),
    "r3gan": ({"latent": 16, "width": 16, "widest": 64, "lr": 1e-3}, 9_000),
}
VARIETY = 0.5


def coloured(num: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Squares somewhere on white, and which of three colours each has, one-hot."""
    random = np.random.default_rng(0)
    images = np.full((num, 32, 32, 3), 250, np.uint8)
    which = random.integers(3, size=num)
    for image, colour in zip(images, which, strict=True):
        top, left = random.integers(2, 14, size=2)
        image[top : top + 16, left : left + 16] = COLOURS[colour]
    return images, np.eye(3, dtype=np.uint8)[which]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_nine_of_ten_images_show_what_was_asked_for_and_are_not_all_one(name: str) -> None:
    settings, nimg = SMALL[name]
    recipe: Recipe = GANS.build({"name": name, **settings})
    images, tags = coloured(600)
    trainer = Trainer(
        recipe,
        32,
        Batches(Examples(images, tags, ("red", "green", "blue")), 16, 0, mirror=True),
        total=nimg,
        options=Options(augmentation=Plain(), ema_nimg=500, variety=VARIETY),
        device=torch.device("cpu"),
        num_tags=3,
    )
    while not trainer.done:
        trainer.step()
    asked = torch.arange(192) % 3
    z = recipe.latents(torch.randn(192, recipe.num_latents))
    with torch.no_grad():
        drawn = trainer.generator.train()(z, torch.eye(3)[asked])
    pixels = drawn[:, :, 12:20, 12:20].mean(dim=(2, 3)) * 127.5 + 127.5
    distance = torch.cdist(pixels, torch.from_numpy(COLOURS).float())
    assert (distance.argmin(dim=1) == asked).double().mean() >= 0.9
    real = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
    for colour in range(3):
        ours, theirs = drawn[asked == colour], real[torch.from_numpy(tags)[:, colour] == 1]
        assert spread(ours) > 0.3 * spread(theirs)  # below 0.07 where nothing asks for variety


def spread(images: torch.Tensor) -> float:
    """How much images differ."""
    return float(images.std(dim=0).mean())
