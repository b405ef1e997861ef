from dataclasses import astuple
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from ganime.composition import colour_spread, composition, differs, ground_colour
from ganime.config import Config
from ganime.connected import filled
from ganime.fingerprint import fingerprint
from ganime.images import encode_jpeg, encode_png
from ganime.rows import ImageRow
from ganime.stages.dedupe import image_row
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

WHITE = (255, 255, 255)
NEW = (
    *("colour_spread", "figures"),
    *("touched_left", "touched_top", "touched_right", "touched_bottom"),
)


def canvas(width: int = 200, height: int = 240) -> np.ndarray:
    return np.full((height, width, 3), WHITE, np.uint8)


def standing(image: np.ndarray, x: int, top: int = 20, bottom: int = 220) -> np.ndarray:
    """A figure in red and blue, 40 px wide, drawn into a copy."""
    drawn = image.copy()
    middle = (top + bottom) // 2
    drawn[top:middle, x - 20 : x + 20] = (200, 40, 60)
    drawn[middle:bottom, x - 10 : x + 10] = (40, 60, 180)
    return drawn


def measured(image: np.ndarray) -> tuple[float, ...]:
    return astuple(composition(filled(differs(image, np.array(WHITE, np.int16)))))


def test_one_figure_within_the_frame_touches_no_side() -> None:
    assert measured(standing(canvas(), 100)) == (1, 0.0, 0.0, 0.0, 0.0)


def test_figures_that_lie_apart_are_counted() -> None:
    assert measured(standing(standing(canvas(), 50), 140))[0] == 2
    assert measured(standing(standing(canvas(), 50), 90))[0] == 1  # they touch


def test_a_pale_collar_parts_no_head_from_its_body() -> None:
    image = standing(canvas(), 100)
    image[60:64] = WHITE
    assert measured(image)[0] == 1
    image[60:75] = WHITE
    assert measured(image)[0] == 2


def test_a_figure_close_to_the_frame_does_not_touch_it() -> None:
    assert measured(standing(canvas(), 100, bottom=239))[4] == 0.0


def test_marks_and_props_are_no_figures() -> None:
    image = standing(canvas(), 100)
    cv2.putText(image, "mika 24", (5, 232), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
    image[30:50, 160:180] = (20, 160, 90)
    assert measured(image) == (1, 0.0, 0.0, 0.0, 0.0)


def test_an_outline_encloses_its_figure() -> None:
    image = canvas()
    cv2.rectangle(image, (60, 30), (140, 210), (0, 0, 0), 2)
    cv2.circle(image, (100, 80), 20, (0, 0, 0), 2)  # a face within
    assert measured(image)[0] == 1


@pytest.mark.parametrize("turns", range(4))
def test_a_side_says_how_much_of_it_is_touched(turns: int) -> None:
    cut = standing(canvas(), 100, bottom=240)  # 20 of 200 px at the bottom
    touched = [0.0, 0.0, 0.0, 0.1]
    # Turned by a quarter to the left, what was the bottom is the right.
    turned = np.ascontiguousarray(np.rot90(cut, turns))
    order = ["bottom", "right", "top", "left"]
    found = dict(zip(("left", "top", "right", "bottom"), measured(turned)[1:], strict=True))
    assert found[order[turns]] == touched[3]
    assert sorted(found.values()) == touched


def test_a_signature_at_the_frame_does_not_count_as_cut() -> None:
    image = standing(canvas(), 100)
    image[236:, 150:190] = (60, 60, 60)
    assert measured(image)[4] == 0.0


def test_a_busy_border_has_no_ground_and_so_no_figures() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (240, 200, 3), np.uint8)
    assert ground_colour(noise) is None
    facts = fingerprint(encode_png(noise))
    assert [getattr(facts, name) for name in NEW[1:]] == [None] * 5
    assert facts.colour_spread > 5


def test_an_empty_picture_has_no_figure() -> None:
    assert measured(canvas()) == (0, 0.0, 0.0, 0.0, 0.0)
    assert colour_spread(canvas(), np.zeros((240, 200), bool)) == 0.0


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.85, 0.7), (0.6, 0.7, 1.0)])
@pytest.mark.parametrize("quality", [60, 95])
def test_one_ink_has_no_spread_of_colours(tint: tuple[float, ...], quality: int) -> None:
    grey = np.full((240, 200, 1), 255.0)
    ramp = np.linspace(0, 240, 160)[:, None, None]
    grey[40:200, 60:140] = ramp
    content = encode_jpeg((grey * np.array(tint)).astype(np.uint8), quality)
    assert fingerprint(content).colour_spread < 1.3


def test_two_hues_spread_and_the_ground_does_not_thin_them_out() -> None:
    skin, hair, dress = (255, 220, 200), (90, 60, 160), (40, 160, 90)
    image = canvas()
    for i, colour in enumerate((skin, hair, dress)):
        image[80 + 20 * i : 100 + 20 * i, 90:110] = colour
    wide = cv2.copyMakeBorder(image, 90, 90, 90, 90, cv2.BORDER_CONSTANT, value=WHITE)
    narrow_spread, wide_spread = (fingerprint(encode_png(each)) for each in (image, wide))
    assert narrow_spread.colour_spread > 5
    assert wide_spread.colour_spread == pytest.approx(narrow_spread.colour_spread, rel=0.2)


def test_the_spread_is_that_across_the_main_axis_of_chroma() -> None:
    image = np.random.default_rng(2).integers(0, 256, (60, 40, 3), np.uint8)
    chroma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[::2, ::2, 1:].reshape(-1, 2)
    across = np.linalg.eigvalsh(np.cov(chroma.T.astype(float), bias=True))[0]
    assert colour_spread(image) == pytest.approx(np.sqrt(across), abs=1e-5)


def test_a_manifest_from_before_these_facts_still_reads(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    row = image_row("a" * 64, encode_png(standing(canvas(), 100)), "run")
    origin = Provenance(stage="dedupe", revision=1, config=Config(), run_id="run")
    table = Table(workspace, ImageRow)
    table.write("new", [row], origin)
    assert table.rows() == [row]
    assert row.figures == 1
    (part,) = table.parts()
    pq.write_table(pq.read_table(tmp_path / part).drop_columns(list(NEW)), tmp_path / part)
    (read,) = table.rows()
    assert [getattr(read, name) for name in NEW] == [None] * len(NEW)
    assert read.sharpness == row.sharpness
