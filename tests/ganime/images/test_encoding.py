"""Our PNGs are what others read too, lossless and with their texts."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganime.images import encode_png, encoding

RNG = np.random.default_rng(5)


def smooth(height: int, width: int, *channels: int) -> Any:
    """Slopes and a little noise, as drawings are."""
    down, along = np.mgrid[:height, :width]
    slopes = (3 * down + 2 * along)[..., *(None for _ in channels)]
    return (slopes + RNG.integers(0, 4, (height, width, *channels))).astype(np.uint8)


@pytest.mark.parametrize("level", [1, 6])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (17, 23)])
def test_pillow_reads_back_every_pixel(
    size: tuple[int, int], channels: tuple[int, ...], level: int
) -> None:
    for pixels in (smooth(*size, *channels), RNG.integers(0, 256, (*size, *channels), np.uint8)):
        image = Image.open(io.BytesIO(encode_png(pixels, level=level)))
        assert image.mode == {(): "L", (3,): "RGB", (4,): "RGBA"}[channels]
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_bands_of_lines_go_on_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = smooth(33, 20, 3)
    whole = encode_png(pixels)
    monkeypatch.setattr(encoding, "_BAND_BYTES", 4 * 61)
    assert encode_png(pixels) == whole


def test_texts_of_any_script_are_told_apart_and_read_back() -> None:
    texts = {"Software": "ganime", "ganime:tags": "blå hår", "ganime:name": "初音ミク"}
    image = Image.open(io.BytesIO(encode_png(smooth(3, 3, 3), texts=texts)))
    image.load()
    assert getattr(image, "text", None) == texts


def test_filters_make_drawings_smaller_than_pillow_makes_them() -> None:
    pixels = smooth(256, 256, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    assert len(encode_png(pixels)) < 1.05 * len(buffer.getvalue())


def test_parts_of_larger_pictures_need_not_be_copied_first() -> None:
    pixels = smooth(40, 40, 3)[5:25:2, ::-1]
    image = Image.open(io.BytesIO(encode_png(pixels)))
    np.testing.assert_array_equal(np.asarray(image), pixels)
