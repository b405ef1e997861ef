import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.studio.sprites import atlas, pack, sprite


def picture(side: int, box: tuple[int, int, int, int], colour: int = 9) -> np.ndarray:
    """Transparent but for a box: top, bottom, left, right."""
    pixels = np.zeros((side, side, 4), np.uint8)
    top, bottom, left, right = box
    pixels[top:bottom, left:right] = (colour, colour, colour, 255)
    return pixels


def test_trimming_is_told_so_that_engines_can_undo_it() -> None:
    one = sprite("a.png", picture(16, (2, 12, 5, 9)), trim=True)
    canvas, corners = pack([one], power_of_two=False)
    entry = atlas([one], corners, canvas)["frames"]["a.png"]
    assert entry["frame"] == {"x": 0, "y": 0, "w": 4, "h": 10}
    assert entry["spriteSourceSize"] == {"x": 5, "y": 2, "w": 4, "h": 10}
    assert entry["sourceSize"] == {"w": 16, "h": 16}
    assert entry["trimmed"]


def test_an_empty_picture_is_kept_whole() -> None:
    assert sprite("a.png", np.zeros((8, 8, 4), np.uint8), trim=True).pixels.shape == (8, 8, 4)


def test_no_sprites_overlap() -> None:
    random = np.random.default_rng(0)
    sides = random.integers(4, 40, (50, 2))
    sprites = [
        sprite(f"{place}.png", np.full((*sizes, 3), place + 1, np.uint8), trim=False)
        for place, sizes in enumerate(sides.tolist())
    ]
    for power_of_two in (False, True):
        canvas, corners = pack(sprites, power_of_two=power_of_two)
        for one, (left, top) in zip(sprites, corners, strict=True):
            height, width = one.pixels.shape[:2]
            part = canvas[top : top + height, left : left + width]
            assert np.array_equal(part, one.pixels)
        assert np.count_nonzero(canvas[..., 3]) == sides.prod(axis=1).sum()
        assert sides.prod(axis=1).sum() > 0.35 * canvas[..., 0].size


def test_a_sheet_that_no_gpu_takes_is_refused() -> None:
    large = [sprite(f"{n}.png", np.zeros((1024, 1024, 4), np.uint8), trim=False) for n in range(70)]
    with pytest.raises(ConfigError, match="8192"):
        pack(large, power_of_two=True)
