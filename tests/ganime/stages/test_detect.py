import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganime.detectors import Box, Detector, Find
from ganime.detectors.lbp_face import LbpFace
from ganime.errors import ConfigError, ImageError, StoreError, WeightsError
from ganime.images import Pixels, encode_jpeg, encode_png
from ganime.rows import FaceRow
from ganime.stages import detect
from ganime.stages.detect import DetectConfig, find_faces
from ganime.store.manifest import Table, read_footer
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

# Raise REVISION of ganime.stages.detect whenever this changes: found faces then expire.
GOLDEN = {4: [[120, 60, 220, 160]]}


class RedThings(Detector):
    """Finds the bounding box of what is red: faces whose places are known without weights."""

    side: int = 100

    def load(self) -> Find:
        return red_box


def red_box(pixels: Pixels) -> list[Box]:
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 100)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    if not len(rows):
        return []
    return [Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)]


CONFIG = DetectConfig(detector=RedThings(), shard_size=3)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


def picture(box: tuple[int, int, int, int] | None, height: int = 400, width: int = 300) -> Pixels:
    """White paper with a red box, uint8 [H, W, 3]."""
    image = np.full((height, width, 3), 255, np.uint8)
    if box:
        left, top, right, bottom = box
        image[top:bottom, left:right] = (230, 20, 20)
    return image


def put(workspace: Workspace, contents: list[bytes]) -> list[str]:
    originals = Originals(workspace)
    return [originals.put(content) for content in contents]


def faces(workspace: Workspace, config: DetectConfig = CONFIG) -> dict[str, FaceRow]:
    rows = Table(workspace, FaceRow, scope=detect.scope(config)).rows()
    return {row.image_id: row for row in rows}


def test_boxes_change_only_with_a_new_revision() -> None:
    found = find_faces(encode_png(picture((120, 60, 220, 160))), red_box, 100)
    assert [list(box) for box in found] == GOLDEN[detect.REVISION]


def test_boxes_are_in_pixels_of_the_original() -> None:
    for side in (50, 100, 400, 1000):
        (box,) = find_faces(encode_png(picture((120, 60, 220, 160))), red_box, side)
        # A pixel of the searched image is several of the original.
        np.testing.assert_allclose(box, (120, 60, 220, 160), atol=2 * max(1, 400 / side))


def test_a_jpeg_that_is_decoded_at_a_quarter_gives_the_same_boxes() -> None:
    content = encode_jpeg(picture((800, 400, 1200, 1000), height=1600, width=2000))
    (box,) = find_faces(content, red_box, 400)
    np.testing.assert_allclose(box, (800, 400, 1200, 1000), atol=10)


def test_boxes_of_a_turned_photo_are_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the file's top is the picture's right side
    buffer = io.BytesIO()
    lying = Image.fromarray(picture((0, 0, 80, 40), height=200, width=400))
    lying.save(buffer, "JPEG", quality=95, exif=exif)
    (box,) = find_faces(buffer.getvalue(), red_box, 200)
    np.testing.assert_allclose(box, (160, 0, 200, 80), atol=4)


def test_the_largest_comes_first_and_nothing_leaves_the_image() -> None:
    def find(_: Pixels) -> list[Box]:
        return [Box(5, 5, 15, 15), Box(40, 40, 80, 80), Box(5, 30, 15, 40), Box(9, 9, 9, 20)]

    found = find_faces(encode_png(picture(None, 60, 60)), find, 64)
    assert found == [(40, 40, 60, 60), (5, 5, 15, 15), (5, 30, 15, 40)]


def test_a_needle_is_searched_too() -> None:
    assert find_faces(encode_png(picture(None, 1, 900)), red_box, 100) == []


def test_a_broken_file_has_its_reason() -> None:
    with pytest.raises(ImageError) as caught:
        find_faces(encode_jpeg(picture(None, 1600, 1600))[:-300], red_box, 100)
    assert caught.value.reason == "truncated"


def test_every_image_gets_one_row(workspace: Workspace) -> None:
    contents = [
        encode_png(picture((100, 100, 200, 200))),
        encode_png(picture(None)),
        b"",
        b"<html>",
    ]
    ids = put(workspace, contents)
    for shard in detect.plan(workspace, ids, CONFIG):
        detect.run(workspace, CONFIG, shard, "run")
    rows = faces(workspace)
    assert sorted(rows) == sorted(ids)
    assert [len(rows[image_id].boxes) for image_id in ids] == [1, 0, 0, 0]
    problems = [rows[image_id].problem for image_id in ids]
    assert problems == [None, None, "empty", "not_an_image"]


def test_only_what_was_not_searched_yet_is_planned(workspace: Workspace) -> None:
    ids = put(workspace, [encode_png(picture((n, n, n + 20, n + 20))) for n in range(0, 100, 20)])
    plan = detect.plan(workspace, ids, CONFIG)
    assert [image_id for shard in plan for image_id in shard] == sorted(ids)
    assert [len(shard) for shard in plan] == [3, 2]
    detect.run(workspace, CONFIG, plan[0], "run")  # and killed here
    assert detect.plan(workspace, ids, CONFIG) == [plan[1]]
    detect.run(workspace, CONFIG, plan[1], "run")
    assert detect.plan(workspace, ids, CONFIG) == []
    assert len(faces(workspace)) == 5


def test_a_second_run_writes_the_same_bytes(workspace: Workspace) -> None:
    ids = put(workspace, [encode_png(picture((n, n, 90, 90))) for n in (10, 20, 30)])
    assert detect.run(workspace, CONFIG, ids, "run") == detect.run(workspace, CONFIG, ids, "run")


def test_another_detector_searches_anew(workspace: Workspace) -> None:
    ids = put(workspace, [encode_png(picture((10, 10, 90, 90)))])
    detect.run(workspace, CONFIG, ids, "run")
    finer = DetectConfig(detector=RedThings(side=200), shard_size=3)
    assert detect.plan(workspace, ids, finer) == [ids]
    assert detect.plan(workspace, ids, CONFIG.model_copy(update={"shard_size": 9})) == []


def test_the_footer_names_the_detector(workspace: Workspace, shared: Path) -> None:
    weights = str(shared / "weights" / "lbpcascade_animeface.xml")
    config = DetectConfig.parse({"detector": {"name": "lbp_face", "weights": weights}})
    manifest = detect.run(workspace, config, put(workspace, [encode_png(picture(None))]), "run")
    footer = read_footer(workspace, manifest.key)
    assert footer["stage"] == "detect"
    assert footer["config"]["detector"]["name"] == "lbp_face"


def test_a_missing_original_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(StoreError, match="it is not there"):
        detect.run(workspace, CONFIG, ["ab" * 32], "run")


def test_a_missing_cascade_is_said_before_anything_is_searched(workspace: Workspace) -> None:
    config = DetectConfig(detector=LbpFace(weights="nowhere/faces.xml"))
    with pytest.raises(WeightsError, match=r"nowhere/faces\.xml .*download"):
        detect.plan(workspace, [], config)


@pytest.mark.parametrize("settings", [{"shard_size": 0}, {"detector": "none"}])
def test_a_setting_out_of_range_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        DetectConfig.parse(settings)


def test_faces_of_real_art_are_found_where_they_are(workspace: Workspace, shared: Path) -> None:
    weights = str(shared / "weights" / "lbpcascade_animeface.xml")
    config = DetectConfig(detector=LbpFace(weights=weights))
    folder = shared / "real" / "fullbody"
    ids = put(workspace, [path.read_bytes() for path in sorted(folder.iterdir())[:30]])
    (shard,) = detect.plan(workspace, ids, config)
    detect.run(workspace, config, shard, "run")
    rows = faces(workspace, config)
    boxes = [rows[image_id].boxes[0] for image_id in ids if rows[image_id].boxes]
    assert len(boxes) >= 15  # 18 when this was written; 123 of all 160
    # Faces of standing figures are in the upper half; the longer side of these pictures is 512 px.
    assert np.mean([(top + bottom) / 2 < 256 for _, top, _, bottom in boxes]) > 0.9
