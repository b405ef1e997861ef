import numpy as np
import pytest

from ganime.practice.characters import random_character
from ganime.practice.scenes import Scene, render
from ganime.studio.matte import cut_out

GROUNDS = ("#ffffff", "#f4f4f4", "#e8eef7")


def scene(number: int, ground: str) -> Scene:
    return Scene(
        kind="chibi" if number % 5 == 4 else "standing",
        characters=(random_character(np.random.default_rng(number)),),
        viewpoint="front",
        ground=ground,
        height=256 if number % 2 else 128,
        slack=0.3,
        fill=0.9,
        seed=(0, number),
    )


def test_drawn_figures_are_cut_out_as_they_were_drawn() -> None:
    errors = []
    for number in range(24):
        truth = render(scene(number, "transparent"))[..., 3] / 255
        found = cut_out(render(scene(number, GROUNDS[number % 3])))[..., 3] / 255
        errors.append(np.abs(truth - found).mean())
    assert np.mean(errors) < 0.006  # 0.004 when this was written
    assert max(errors) < 0.03


def test_edges_hold_nothing_of_the_ground() -> None:
    """On magenta the cut-out figure looks as the drawn one does: no pale seam."""
    magenta = np.array([255, 0, 255])

    def shown(pixels: np.ndarray) -> np.ndarray:
        share = pixels[..., 3:] / 255
        return share * pixels[..., :3] + (1 - share) * magenta

    errors = [
        np.abs(
            shown(cut_out(render(scene(number, "#ffffff"))))
            - shown(render(scene(number, "transparent")))
        ).mean()
        for number in range(0, 24, 2)
    ]
    assert np.mean(errors) < 0.6  # levels of 255


def disc(ground: int = 250, inside: int = 90) -> np.ndarray:
    """A ring on a plain ground, which is seen through its middle."""
    rows, columns = np.mgrid[:64, :64]
    radius = np.hypot(rows - 31.5, columns - 31.5)
    image = np.full((64, 64, 3), ground, np.uint8)
    image[(radius < 26) & (radius > 12)] = inside
    return image


def test_enclosed_ground_is_ground_and_white_cloth_is_not() -> None:
    ring = disc()
    assert cut_out(ring)[32, 32, 3] == 0
    cloth = disc()
    cloth[20:44, 20:44][disc()[20:44, 20:44] == 250] = 245
    assert cut_out(cloth)[32, 32, 3] == 255
    assert cut_out(cloth)[2, 2, 3] == 0


def test_a_noisy_ground_is_ground_all_the_same() -> None:
    noise = np.random.default_rng(0).normal(0, 4, (64, 64, 3))
    found = cut_out(np.clip(disc() + noise, 0, 255).astype(np.uint8))[..., 3]
    rows, columns = np.mgrid[:64, :64]
    radius = np.hypot(rows - 31.5, columns - 31.5)
    assert (found[radius > 29] < 30).mean() > 0.99
    assert (found[(radius < 24) & (radius > 14)] > 225).mean() > 0.99


@pytest.mark.parametrize("side", [1, 2, 5, 32])
def test_an_image_of_one_colour_stays_whole(side: int) -> None:
    plain = np.full((side, side, 3), 200, np.uint8)
    assert (cut_out(plain)[..., 3] == 255).all()
    assert cut_out(plain).shape == (side, side, 4)
