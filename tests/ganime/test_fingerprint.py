import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from ganime.fingerprint import fingerprint, phash_pair
from ganime.images import encode_jpeg, encode_png
from ganime.stages.dedupe import REVISION
from ganime.trimming import trim

# Raise REVISION of ganime.stages.dedupe whenever these change: stored facts then expire.
GOLDEN = {
    5: {
        "phash": 13747754951607857209,
        "trim_box": [37, 22, 122, 224],
        "thumbnail": [255, 60, 188, 254, 255, 255, 200, 255, 94, 255, 255],
        "background_fraction": 1.0,
        "background_texture": 0.0,
        "sharpness": 2321.35,
        "colour_spread": 12.906,
        "figures": 1,
    }
}


def figure(height: int = 240, width: int = 140, ground: tuple[int, int, int] = (255,) * 3):
    """A standing figure: hair, face, dress, legs."""
    image = np.full((height, width, 3), ground, np.uint8)
    x = width // 2

    def y(share: float) -> int:
        return round(height * share)

    cv2.circle(image, (x, y(0.18)), y(0.09), (90, 60, 160), -1)
    cv2.circle(image, (x, y(0.20)), y(0.06), (255, 220, 200), -1)
    dress = np.array([(x - 15, y(0.28)), (x + 15, y(0.28)), (x + 40, y(0.62)), (x - 34, y(0.62))])
    cv2.fillPoly(image, [dress], (200, 40, 60))
    cv2.rectangle(image, (x - 14, y(0.62)), (x - 4, y(0.93)), (40, 40, 60), -1)
    cv2.rectangle(image, (x + 6, y(0.62)), (x + 16, y(0.93)), (40, 40, 60), -1)
    cv2.line(image, (x + 20, y(0.34)), (x + 48, y(0.20)), (255, 220, 200), 7)
    return image


def box_of(image: np.ndarray) -> np.ndarray:
    return np.array(trim(image).box)


def bits(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_facts_change_only_with_a_new_revision() -> None:
    facts = fingerprint(encode_png(figure()))
    golden = GOLDEN[REVISION]
    assert bits(facts.phash, golden["phash"]) == 0
    assert facts.trim_box == golden["trim_box"]
    # A level of tolerance: OpenCV's rounding differs between processors.
    np.testing.assert_allclose(list(facts.thumbnail[::307]), golden["thumbnail"], atol=1)
    for name in ("background_fraction", "background_texture", "sharpness", "colour_spread"):
        assert getattr(facts, name) == pytest.approx(golden[name], rel=0.01)
    assert facts.figures == golden["figures"]


@pytest.mark.parametrize("encode", [encode_png, encode_jpeg])
def test_a_reduced_decode_measures_what_a_whole_one_does(
    encode: Callable[[np.ndarray], bytes],
) -> None:
    drawn, stream = figure(1200, 700), io.BytesIO()
    Image.fromarray(drawn).save(stream, "WEBP", lossless=True)  # which has no reduced decode
    whole, reduced = fingerprint(stream.getvalue()), fingerprint(encode(drawn))
    assert bits(whole.phash, reduced.phash) <= 4
    assert reduced.sharpness == pytest.approx(whole.sharpness, rel=0.2)
    assert reduced.background_fraction == pytest.approx(whole.background_fraction, abs=0.01)
    assert reduced.colour_spread == pytest.approx(whole.colour_spread, rel=0.1)
    np.testing.assert_allclose(reduced.trim_box, whole.trim_box, atol=1200 / 256)


def test_strips_along_the_sides_are_measured() -> None:
    captioned = figure()
    captioned[-36:] = (0, 120, 0)
    assert fingerprint(encode_png(figure())).strip_fraction == 0
    assert fingerprint(encode_png(captioned)).strip_fraction == pytest.approx(36 / 240, abs=0.01)


def test_the_hash_of_the_mirror_image_is_the_mirrored_hash() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    straight, mirrored = phash_pair(grey)
    assert phash_pair(grey[:, ::-1]) == (mirrored, straight)


def test_the_hash_is_that_of_the_definition() -> None:
    grey = np.random.default_rng(1).integers(0, 256, (32, 32), np.uint8)
    lowest = cv2.dct(grey.astype(np.float64))[:8, :8]
    lowest[1:, 0] *= np.sqrt(2)  # cv2's is orthonormal, which scales the first row and column
    lowest[0, 1:] *= np.sqrt(2)
    lowest[0, 0] *= 2
    above = (lowest > np.median(lowest.ravel()[1:])).ravel()
    assert phash_pair(grey)[0] == int("".join("01"[bit] for bit in above.astype(int)), 2)


@pytest.mark.parametrize("ground", [(255, 255, 255), (0, 0, 0), (243, 236, 221), (190, 210, 230)])
def test_the_border_goes_whatever_its_colour(ground: tuple[int, int, int]) -> None:
    tight = box_of(figure(ground=ground))
    left, top = tight[:2]
    assert 10 <= left <= 40
    assert 15 <= top <= 30
    wide = cv2.copyMakeBorder(figure(ground=ground), 3, 9, 5, 2, cv2.BORDER_CONSTANT, value=ground)
    np.testing.assert_allclose(box_of(wide), tight + np.array([5, 3, 5, 3]))


def test_each_side_has_its_own_colour() -> None:
    image = figure()
    framed = cv2.copyMakeBorder(image, 0, 20, 0, 0, cv2.BORDER_CONSTANT, value=(30, 30, 30))
    framed = cv2.copyMakeBorder(framed, 0, 0, 15, 0, cv2.BORDER_CONSTANT, value=(200, 100, 30))
    np.testing.assert_allclose(box_of(framed), box_of(image) + np.array([15, 0, 15, 0]), atol=1)


@pytest.mark.parametrize("ground", [(255, 255, 255), (20, 20, 20), (200, 220, 255)])
def test_a_caption_below_does_not_count(ground: tuple[int, int, int]) -> None:
    image = figure()
    strip = cv2.copyMakeBorder(image, 0, 18, 0, 0, cv2.BORDER_CONSTANT, value=ground)
    ink = tuple(255 - channel for channel in ground)
    cv2.putText(strip, "mika 2024", (20, 252), cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
    np.testing.assert_allclose(box_of(strip), box_of(image), atol=1)


def test_a_signature_across_the_feet_does_not_count() -> None:
    image = figure()
    signed = image.copy()
    where = (40, 232)
    cv2.putText(
        signed, "@hoshi_draws", where, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (90, 60, 60), 1, cv2.LINE_AA
    )
    np.testing.assert_allclose(box_of(signed), box_of(image), atol=3)


def test_a_flat_picture_keeps_its_box() -> None:
    for colour in (0, 128, 255):
        facts = fingerprint(encode_png(np.full((50, 70, 3), colour, np.uint8)))
        assert facts.trim_box == [0, 0, 70, 50]
        assert facts.background_fraction == 1.0
        assert facts.sharpness == 0.0


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (2, 3), (31, 900)])
def test_every_shape_has_a_fingerprint(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (*size, 3), np.uint8)
    facts = fingerprint(encode_png(pixels))
    left, top, right, bottom = facts.trim_box
    assert 0 <= left < right <= size[1]
    assert 0 <= top < bottom <= size[0]
    assert len(facts.thumbnail) == 32 * 32 * 3


def test_a_busy_ground_is_told_from_a_plain_one() -> None:
    plain = fingerprint(encode_png(figure()))
    noise = np.random.default_rng(5).integers(0, 256, (240, 140, 3), np.uint8)
    busy = fingerprint(encode_png(np.where(figure() == 255, noise, figure())))
    assert plain.background_fraction > 0.95
    assert plain.border_colour == [255, 255, 255]
    assert busy.background_fraction < 0.2
    assert busy.background_texture > 10 * (plain.background_texture + 1)


def test_a_blurred_picture_is_less_sharp() -> None:
    sharp = fingerprint(encode_png(figure())).sharpness
    blurred = fingerprint(encode_png(cv2.GaussianBlur(figure(), (0, 0), 3))).sharpness
    assert blurred < sharp / 5


def test_box_and_size_are_those_of_the_file_not_of_the_working_copy() -> None:
    large = np.asarray(Image.fromarray(figure()).resize((1120, 1920)))
    small, big = fingerprint(encode_png(figure())), fingerprint(encode_jpeg(large, 92))
    assert (big.width, big.height) == (1120, 1920)
    np.testing.assert_allclose(big.trim_box, np.array(small.trim_box) * 8, atol=24)
    assert bits(small.phash, big.phash) <= 4
