import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from ganime.practice.files import FAULTS, FORMATS, RELATIONS, TURNS, alter, decode, encode, spoil


def picture(channels: int = 3) -> np.ndarray:
    pixels = np.full((90, 60, channels), 255, np.uint8)
    pixels[10:80, 15:35, :3] = (200, 40, 60)
    pixels[10:25, 15:35, :3] = (30, 60, 200)
    return pixels


@pytest.mark.parametrize("sort", FORMATS)
def test_every_sort_of_file_shows_the_picture(sort: str) -> None:
    pixels = picture(4 if sort == "png_alpha" else 3)
    file = encode(pixels, sort, 92, 6)
    with Image.open(io.BytesIO(file)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.int32)
    assert np.abs(upright - pixels[..., :3]).mean() < 4
    assert FORMATS[sort] in ("jpg", "png")


@pytest.mark.parametrize("orientation", TURNS)
def test_a_turned_file_is_turned_back_by_its_tag(orientation: int) -> None:
    file = encode(picture(), "jpeg_turned", 95, orientation)
    assert np.abs(decode(file).astype(int) - picture()).mean() < 4


@pytest.mark.parametrize("relation", RELATIONS)
def test_an_altered_picture_keeps_its_subject_and_its_source(relation: str) -> None:
    source = picture()
    altered = alter(source, relation, np.random.default_rng(0))
    assert altered.dtype == np.uint8
    assert altered.shape[0] >= 40
    assert np.array_equal(source, picture())
    if relation not in ("reencoded",):
        assert altered.shape != source.shape or not np.array_equal(altered, source)


def test_a_tint_leaves_white_white() -> None:
    tinted = alter(picture(), "tinted", np.random.default_rng(0))
    assert (tinted[0, 0] == 255).all()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoilt_file_is_not_what_its_record_claims(fault: str) -> None:
    whole = encode(picture(), "jpeg", 90)
    served, md5 = spoil(whole, fault, np.random.default_rng(0))
    assert served != whole or fault == "wrong_md5"
    assert (md5 is None) == (fault == "ghost")
