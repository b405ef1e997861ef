import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Sets
from ganime.metrics.extractors import EXTRACTORS, Extractor

Damage = Callable[[np.ndarray, float], np.ndarray]


def blur(images: np.ndarray, radius: float) -> np.ndarray:
    soft = ImageFilter.GaussianBlur(radius)
    return np.stack([np.asarray(Image.fromarray(image).filter(soft)) for image in images])


def noise(images: np.ndarray, deviation: float) -> np.ndarray:
    rough = images + np.random.default_rng(0).normal(size=images.shape) * deviation
    return rough.round().clip(0, 255).astype(np.uint8)


def jpeg(images: np.ndarray, quality: float) -> np.ndarray:
    def stored(image: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=int(quality))
        return np.asarray(Image.open(file))

    return np.stack([stored(image) for image in images])


def mode_dropping(images: np.ndarray, kept: float) -> np.ndarray:
    return images[np.arange(len(images)) % int(kept)]


def mixing(images: np.ndarray, share: float) -> np.ndarray:
    return (images * (1 - share) + np.roll(images, 1, 0) * share).round().astype(np.uint8)


@dataclass(frozen=True)
class Case:
    """What a damage of rising strength does: values that grow, and values that fall."""

    damage: Damage
    strengths: tuple[float, ...]
    grow: tuple[str, ...]
    fall: tuple[str, ...]


ALL_DISTANCES = ("fd", "fd_infinity", "kid")
CASES = [
    Case(blur, (1.2, 1.8, 2.5), ALL_DISTANCES, ("precision", "recall", "density", "coverage")),
    Case(noise, (12, 24, 40), ALL_DISTANCES, ("precision", "recall", "density", "coverage")),
    # JPEG makes pictures more alike, which raises density and coverage before it lowers them.
    Case(jpeg, (20, 10, 4), ALL_DISTANCES, ("precision", "recall")),
    # Few modes and averages of two pictures look real each: only what asks for all reals tells.
    Case(mode_dropping, (50, 15, 5), ALL_DISTANCES, ("recall", "coverage", "diversity")),
    Case(mixing, (0.15, 0.3, 0.5), ALL_DISTANCES, ("recall", "coverage", "diversity")),
]


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return EXTRACTORS.build({"name": "backbone", "backbone": {"weights": "none", "size": 64}}).open(
        None
    )


def measured(sets: Sets) -> dict[str, float]:
    settings = [
        *({"name": "fd_infinity", "parts": 2, "bootstraps": 0}, "fd", "kid", "diversity"),
        *("precision_recall", "density_coverage"),
    ]
    metrics = [METRICS.build(setting) for setting in settings]
    return {value.base: value.value for metric in metrics for value in metric.measure(sets)}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.damage.__name__)
def test_rising_damage_moves_each_metric_that_sees_it_one_way(
    case: Case, drawings: np.ndarray, extractor: Extractor
) -> None:
    real, intact = extractor.features(drawings[:150]), drawings[150:]
    damaged = [intact, *(case.damage(intact, strength) for strength in case.strengths)]
    found = [measured(Sets(real, extractor.features(images))) for images in damaged]

    for name in (*case.grow, *case.fall):
        values = [step[name] for step in found]
        wanted = sorted(values, reverse=name in case.fall)
        assert values == wanted, name
        assert values[0] != values[-1], name


def test_planted_copies_of_drawings_are_found(drawings: np.ndarray, extractor: Extractor) -> None:
    fake = drawings[200:].copy()
    fake[[3, 50]] = jpeg(drawings[[7, 99]], 95)
    real, unseen = drawings[:150], drawings[150:200]
    sets = Sets(*(extractor.features(images) for images in (real, fake, unseen)))

    value = METRICS.build({"name": "memorisation", "worst": 2}).measure(sets)[0]

    assert {(sample, original) for sample, original, _ in value.details["pairs"]} == {
        (3, 7),
        (50, 99),
    }
    assert value.value >= 0.02


@pytest.mark.parametrize("name", METRICS.names())
def test_the_same_sets_give_the_same_numbers_and_stay_as_they_were(name: str) -> None:
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=(60, 6)).astype(np.float32) for _ in range(2))
    head = rng.normal(size=(6, 4)).astype(np.float32)
    before = real.copy(), fake.copy()
    metric = METRICS.build(name)

    first, again = (metric.measure(Sets(real, fake, None, head, seed=3)) for _ in range(2))

    assert first == again
    assert all(isinstance(value.value, float) for value in first)
    np.testing.assert_array_equal(real, before[0])
    np.testing.assert_array_equal(fake, before[1])


def test_every_metric_is_found_by_its_name() -> None:
    assert METRICS.names() == [
        *("density_coverage", "diversity", "fd", "fd_infinity", "inception_score", "kid"),
        *("memorisation", "precision_recall"),
    ]


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (np.zeros((5, 3), np.float32), r"fake features are \[5, 3\].*\[9, 4\]"),
        (np.zeros((1, 4), np.float32), "at least 2 rows"),
        (np.full((5, 4), np.nan, np.float32), "a fake feature is not finite"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(fake: np.ndarray, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Sets(np.zeros((9, 4), np.float32), fake)
