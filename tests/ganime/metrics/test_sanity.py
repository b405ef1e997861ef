"""What any distance of images has to do: grow with whatever is wrong, find copies, and know when
there is nothing to find. The network is random, so that no weights are needed."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ganime.backbones import BackboneConfig, load_backbone
from ganime.metrics import Sets
from ganime.metrics.extractors.backbone import BackboneExtractor
from ganime.metrics.frechet import Frechet
from ganime.metrics.kid import Kid
from ganime.metrics.memorisation import Memorisation

NUM, SIDE = 120, 32
Pictures = np.ndarray
Damage = Callable[[Pictures, float], Pictures]


@pytest.fixture(scope="module")
def extractor() -> BackboneExtractor:
    return BackboneExtractor(load_backbone(BackboneConfig(weights="none", size=SIDE)))


def figures(count: int, seed: int, colours: int = 4) -> Pictures:
    """Discs and bars of a few colours on white, nowhere twice alike."""
    rng = np.random.default_rng(seed)
    palette = np.array([(200, 40, 40), (40, 160, 60), (50, 70, 200), (220, 180, 30)])[:colours]
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pictures = np.full((count, SIDE, SIDE, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = rng.uniform(9, 23, 2)
        colour = palette[number % colours]
        picture[(rows - y) ** 2 + (columns - x) ** 2 < rng.uniform(20, 70)] = colour
        picture[int(y) : int(y) + 6, 2 : int(x)] = 255 - colour
    return pictures


def blurred(pictures: Pictures, radius: float) -> Pictures:
    made = [Image.fromarray(one).filter(ImageFilter.GaussianBlur(radius)) for one in pictures]
    return np.stack([np.asarray(one) for one in made])


def noisy(pictures: Pictures, deviation: float) -> Pictures:
    noise = np.random.default_rng(5).normal(0, deviation, pictures.shape)
    return (pictures + noise).clip(0, 255).astype(np.uint8)


def compressed(pictures: Pictures, loss: float) -> Pictures:
    made = []
    for one in pictures:
        buffer = io.BytesIO()
        Image.fromarray(one).save(buffer, "JPEG", quality=round(100 - loss))
        made.append(np.asarray(Image.open(buffer)))
    return np.stack(made)


def dropped_modes(pictures: Pictures, missing: float) -> Pictures:
    """As many pictures of fewer colours, which come in turn."""
    more = figures(4 * len(pictures), 1)
    kept = np.flatnonzero(np.arange(len(more)) % 4 < 4 - missing)
    return more[kept[: len(pictures)]]


def mixed_labels(pictures: Pictures, share: float) -> Pictures:
    """A share of pictures of another kind: upside down in hue and in shade."""
    mixed = pictures.copy()
    mixed[: round(share * len(mixed))] = 255 - mixed[: round(share * len(mixed))]
    return mixed


@pytest.mark.parametrize(
    ("damage", "strengths"),
    [
        (blurred, (0.6, 1.5, 4)),
        (noisy, (30, 60, 120)),
        (compressed, (50, 90, 99)),
        (dropped_modes, (2, 3)),
        (mixed_labels, (0.1, 0.3, 0.8)),
    ],
)
def test_distances_grow_with_what_is_wrong(
    extractor: BackboneExtractor, damage: Damage, strengths: tuple[float, ...]
) -> None:
    real, unharmed = (extractor.features(figures(NUM, seed)) for seed in (0, 1))
    harmed = [extractor.features(damage(figures(NUM, 1), one)) for one in strengths]

    for metric in (Frechet(), Kid()):
        values = [metric.measure(Sets(real, fake))[0].value for fake in (unharmed, *harmed)]
        assert values == sorted(values), f"{metric.component} of {strengths}: {values}"
        assert len(set(values)) == len(values)


def test_planted_copies_are_found_behind_a_little_noise(
    extractor: BackboneExtractor,
) -> None:
    learned, unseen, drawn = (figures(NUM, seed) for seed in (0, 1, 2))
    planted = {3: 40, 50: 7, 99: 81}
    for place, original in planted.items():
        drawn[place] = noisy(learned[[original]], 0.7)[0]
    features = [extractor.features(one) for one in (learned, drawn, unseen)]

    value = Memorisation().measure(Sets(features[0], features[1], held_out=features[2]))[0]

    pairs = value.details["pairs"][: len(planted)]
    assert {(fake, real) for fake, real, _ in pairs} == set(planted.items())
    assert value.value >= len(planted) / NUM


def test_the_interval_of_two_halves_of_one_set_contains_zero(extractor: BackboneExtractor) -> None:
    whole = extractor.features(figures(2 * NUM, 4))
    order = np.random.default_rng(0).permutation(len(whole))

    value = Kid().measure(Sets(whole[order[:NUM]], whole[order[NUM:]]))[0]

    assert value.low is not None
    assert value.high is not None
    assert value.low < 0 < value.high
