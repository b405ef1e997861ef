import os
from pathlib import Path

import numpy as np
import pytest

from ganime.config import digest_of
from ganime.detectors import Box
from ganime.detectors.lbp_face import LbpFace
from ganime.errors import ConfigError, GanimeError, ImageError, ManifestError, StoreError
from ganime.images import encode_jpeg, encode_png
from ganime.rows import FaceRow, PaddedRow
from ganime.stages import detect, pad
from ganime.stages.detect import DetectConfig
from ganime.stages.pad import PadConfig, crop_to_square, pad_to_square
from ganime.store.manifest import Provenance, Table, read_footer
from ganime.store.originals import Originals
from ganime.store.pixels import PaddedPixels
from ganime.store.workspace import Workspace

CONFIG = PadConfig(size=64, shard_size=3)
FACE = PadConfig(size=64, shard_size=3, crop="face", enlarge=2)
FACES = "some-detector-r1"  # scope of the faces that the tests put down
CREAM, GREEN = (250, 240, 220), (10, 200, 30)

# Raise REVISION of ganime.stages.pad whenever this changes: padded images then expire.
GOLDEN = {3: [250, 176, 108, 250, 240, 148, 126, 240, 220, 127, 240]}
# The same of `crop_to_square`.
GOLDEN_FACE = {3: [10, 240, 188, 250, 175, 168, 127, 240, 147, 176, 62]}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


def picture(seed: int = 0, height: int = 90, width: int = 50) -> np.ndarray:
    """Noise on cream paper, uint8 [H, W, 3]."""
    image = np.full((height, width, 3), CREAM, np.uint8)
    inner = np.random.default_rng(seed).integers(0, 256, (height - 20, width - 20, 3), np.uint8)
    image[10:-10, 10:-10] = inner
    return image


def put(workspace: Workspace, contents: list[bytes]) -> list[str]:
    originals = Originals(workspace)
    return [originals.put(content) for content in contents]


def pad_all(workspace: Workspace, ids: list[str], config: PadConfig = CONFIG) -> None:
    for shard in pad.plan(workspace, ids, config):
        pad.run(workspace, config, shard, "run")


def test_pixels_change_only_with_a_new_revision() -> None:
    padded, _ = pad_to_square(picture(height=200, width=120), 64, CREAM)
    # A level of tolerance: OpenCV's rounding differs between processors.
    sample = padded.ravel()[::1201].astype(int)
    np.testing.assert_allclose(sample, GOLDEN[pad.REVISION], atol=1)


def test_a_tall_image_gets_bars_left_and_right() -> None:
    padded, scale = pad_to_square(picture(height=128, width=64), 64, GREEN)
    assert padded.shape == (64, 64, 3)
    assert scale == 0.5
    assert (padded[:, :16] == GREEN).all()
    assert (padded[:, 48:] == GREEN).all()
    assert (padded[0, 16:48] == CREAM).all()


def test_a_wide_image_gets_bars_above_and_below() -> None:
    padded, scale = pad_to_square(picture(height=20, width=40), 80, GREEN)
    assert scale == 2
    assert (padded[:20] == GREEN).all()
    assert (padded[60:] == GREEN).all()
    assert (padded[20, 0] == CREAM).all()


def test_a_square_of_the_right_size_stays_as_it_is() -> None:
    image = picture(height=64, width=64)
    padded, scale = pad_to_square(image, 64, GREEN)
    np.testing.assert_array_equal(padded, image)
    assert scale == 1
    padded[:] = 0  # a copy, not the image itself
    assert image.any()


def test_shrinking_averages() -> None:
    checks = np.indices((256, 256)).sum(axis=0) % 2 * 255
    padded, _ = pad_to_square(np.stack([checks.astype(np.uint8)] * 3, axis=2), 64, GREEN)
    assert np.abs(padded.astype(int) - 128).max() <= 1


def test_a_needle_is_refused() -> None:
    with pytest.raises(ImageError) as caught:
        pad_to_square(np.zeros((1, 1000, 3), np.uint8), 64, GREEN)
    assert caught.value.reason == "too_narrow"


def test_bars_take_the_colour_of_the_border(workspace: Workspace) -> None:
    pad_all(workspace, put(workspace, [encode_png(picture())]))
    (row,) = Table(workspace, PaddedRow, pad.scope(CONFIG)).rows()
    assert row.fill == list(CREAM)
    assert row.scale == pytest.approx(64 / 90)
    (image,) = PaddedPixels(workspace, pad.scope(CONFIG)).load([row.image_id])
    assert (image[:, :10] == CREAM).all()


def test_bars_take_a_given_colour(workspace: Workspace) -> None:
    config = PadConfig(size=64, fill=GREEN)
    (image_id,) = put(workspace, [encode_png(picture())])
    pad_all(workspace, [image_id], config)
    (image,) = PaddedPixels(workspace, pad.scope(config)).load([image_id])
    assert (image[:, :10] == GREEN).all()


def test_a_broken_image_gets_a_row_with_its_problem(workspace: Workspace) -> None:
    whole = encode_jpeg(picture())
    needle = encode_png(np.zeros((1, 900, 3), np.uint8))
    ids = put(workspace, [whole[:-300], b"", needle, whole])
    pad_all(workspace, ids)
    rows = {row.image_id: row for row in Table(workspace, PaddedRow, pad.scope(CONFIG)).rows()}
    problems = [rows[image_id].problem for image_id in ids]
    assert problems == ["truncated", "empty", "too_narrow", None]
    assert rows[ids[0]].shard is rows[ids[0]].offset is None
    assert PaddedPixels(workspace, pad.scope(CONFIG)).ids() == [ids[3]]
    assert pad.plan(workspace, ids, CONFIG) == []


def test_a_shard_of_nothing_but_broken_images_has_no_pixels(workspace: Workspace) -> None:
    pad_all(workspace, put(workspace, [b"", b"<html></html>"]))
    assert workspace.list("padded") == []
    assert PaddedPixels(workspace, pad.scope(CONFIG)).ids() == []


def test_each_image_is_found_at_its_place(workspace: Workspace) -> None:
    pictures = {seed: picture(seed) for seed in range(7)}
    ids = put(workspace, [encode_png(image) for image in pictures.values()])
    pad_all(workspace, ids)
    assert len(workspace.list("padded", ".npy")) == 3
    loaded = PaddedPixels(workspace, pad.scope(CONFIG)).load(ids)
    for image, seed in zip(loaded, pictures, strict=True):
        np.testing.assert_array_equal(image, pad_to_square(pictures[seed], 64, CREAM)[0])


def test_shards_can_be_memory_mapped(workspace: Workspace) -> None:
    pad_all(workspace, put(workspace, [encode_png(picture())]))
    (key,) = workspace.list("padded")
    shard = np.load(workspace.local_path(key), mmap_mode="r", allow_pickle=False)
    assert isinstance(shard, np.memmap)
    assert (shard.dtype, shard.shape) == (np.uint8, (1, 64, 64, 3))


def test_a_second_run_writes_the_same_bytes(workspace: Workspace) -> None:
    ids = put(workspace, [encode_jpeg(picture(seed)) for seed in range(3)])
    once = pad.run(workspace, CONFIG, ids, "run")
    (key,) = workspace.list("padded")
    before = workspace.read_bytes(key)
    assert pad.run(workspace, CONFIG, ids, "run") == once
    assert workspace.read_bytes(key) == before


def test_only_what_is_not_padded_yet_is_planned(workspace: Workspace) -> None:
    ids = put(workspace, [encode_png(picture(seed)) for seed in range(5)])
    plan = pad.plan(workspace, ids, CONFIG)
    assert [image_id for shard in plan for image_id in shard] == sorted(ids)
    pad.run(workspace, CONFIG, plan[0], "run")  # and killed here
    assert pad.plan(workspace, ids, CONFIG) == [plan[1]]
    assert pad.plan(workspace, ids, CONFIG.model_copy(update={"size": 72})) != [plan[1]]


def test_pixels_are_there_before_the_rows_that_point_at_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = put(workspace, [encode_png(picture())])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Table, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        pad.run(workspace, CONFIG, ids, "run")
    monkeypatch.undo()
    assert len(workspace.list("padded")) == 1
    assert pad.plan(workspace, ids, CONFIG) == [ids]


def test_a_missing_original_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(StoreError, match="it is not there"):
        pad.run(workspace, CONFIG, ["ab" * 32], "run")


def test_the_scope_follows_what_changes_pixels() -> None:
    scope = pad.scope(CONFIG)
    assert scope.endswith(f"-r{pad.REVISION}")
    assert pad.scope(CONFIG.model_copy(update={"shard_size": 9})) == scope
    assert pad.scope(CONFIG.model_copy(update={"size": 72})) != scope
    assert pad.scope(CONFIG.model_copy(update={"fill": GREEN})) != scope


@pytest.mark.parametrize(
    "settings",
    [
        *({"size": 60}, {"size": 100}, {"size": 1024}, {"fill": "white"}, {"fill": [0, 0, 256]}),
        *({"crop": "head"}, {"enlarge": 0.9}, {"enlarge": 5}),
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        PadConfig.parse(settings)


def find(workspace: Workspace, faces: dict[str, list[list[int]] | str], scope: str = FACES) -> None:
    """Put down boxes by image id; a word is the problem of an image."""
    rows = [
        FaceRow(
            image_id=image_id,
            boxes=[] if isinstance(found, str) else found,
            problem=found if isinstance(found, str) else None,
            run_id="run",
        )
        for image_id, found in faces.items()
    ]
    provenance = Provenance(stage="detect", revision=1, config=CONFIG, run_id="run")
    Table(workspace, FaceRow, scope=scope).write(digest_of(*faces), rows, provenance)


def cropped(
    workspace: Workspace, ids: list[str], config: PadConfig = FACE, faces: str = FACES
) -> dict[str, PaddedRow]:
    for shard in pad.plan(workspace, ids, config, faces):
        pad.run(workspace, config, shard, "run", faces)
    rows = Table(workspace, PaddedRow, pad.scope(config, faces)).rows()
    return {row.image_id: row for row in rows}


def test_cropped_pixels_change_only_with_a_new_revision() -> None:
    image = picture(height=200, width=120)
    square, _ = crop_to_square(image, Box(60, 20, 110, 70), 2, 64, GREEN)
    sample = square.ravel()[::1201].astype(int)
    np.testing.assert_allclose(sample, GOLDEN_FACE[pad.REVISION], atol=1)


def test_a_face_is_cut_out_with_what_is_around_it() -> None:
    image = picture(height=300, width=300)
    square, scale = crop_to_square(image, Box(100, 120, 132, 152), 2, 64, GREEN)
    np.testing.assert_array_equal(square, image[104:168, 84:148])
    assert scale == 1


def test_a_box_that_is_not_square_gives_a_square_by_its_longer_side() -> None:
    image = picture(height=300, width=300)
    square, scale = crop_to_square(image, Box(100, 100, 120, 164), 1, 64, GREEN)
    np.testing.assert_array_equal(square, image[100:164, 78:142])
    assert scale == 1


def test_what_lies_outside_the_image_is_filled() -> None:
    image = picture(height=100, width=100)
    square, scale = crop_to_square(image, Box(0, 0, 32, 32), 2, 128, GREEN)
    assert scale == 2
    assert (square[:32] == GREEN).all()
    assert (square[:, :32] == GREEN).all()
    assert (square[32:48, 32:] == CREAM).all()  # 10 px of paper, less what the noise reaches
    square, _ = crop_to_square(image, Box(68, 68, 100, 100), 2, 64, GREEN)
    assert (square[48:] == GREEN).all()
    assert (square[:, 48:] == GREEN).all()
    np.testing.assert_array_equal(square[:48, :48], image[52:, 52:])


def test_a_face_as_large_as_the_image_has_bars_all_around() -> None:
    square, _ = crop_to_square(picture(height=64, width=64), Box(0, 0, 64, 64), 2, 64, GREEN)
    assert (square[16:48, 16:48][0, 0] == CREAM).all()
    for bar in (square[:16], square[48:], square[:, :16], square[:, 48:]):
        assert (bar == GREEN).all()


def test_a_crop_leaves_its_image_as_it_was() -> None:
    image = picture(height=64, width=64)
    square, _ = crop_to_square(image, Box(16, 16, 48, 48), 2, 64, GREEN)
    square[:] = 0
    assert image.any()


def test_a_needle_has_no_crop() -> None:
    with pytest.raises(ImageError) as caught:
        crop_to_square(np.zeros((1, 900, 3), np.uint8), Box(0, 0, 900, 1), 2, 64, GREEN)
    assert caught.value.reason == "too_narrow"


def test_the_largest_face_is_cropped_on_the_colour_of_the_border(workspace: Workspace) -> None:
    (image_id,) = put(workspace, [encode_png(picture(height=200, width=200))])
    find(workspace, {image_id: [[150, 150, 160, 160], [0, 84, 32, 116], [90, 90, 100, 100]]})
    row = cropped(workspace, [image_id])[image_id]
    assert (row.scale, row.fill, row.problem) == (1, list(CREAM), None)
    (image,) = PaddedPixels(workspace, pad.scope(FACE, FACES)).load([image_id])
    assert (image[:, :16] == CREAM).all()
    np.testing.assert_array_equal(image[:, 16:], picture(height=200, width=200)[68:132, :48])


def test_an_image_without_a_face_says_so(workspace: Workspace) -> None:
    ids = put(workspace, [encode_png(picture(1)), encode_png(picture(2)), b""])
    find(workspace, {ids[0]: [[10, 10, 40, 40]], ids[1]: [], ids[2]: "empty"})
    rows = cropped(workspace, ids)
    assert [rows[image_id].problem for image_id in ids] == [None, "no_face", "empty"]
    assert rows[ids[1]].shard is rows[ids[1]].offset is rows[ids[1]].scale is None
    assert PaddedPixels(workspace, pad.scope(FACE, FACES)).ids() == [ids[0]]
    assert pad.plan(workspace, ids, FACE, FACES) == []


def test_faces_are_found_whatever_shards_they_were_searched_in(workspace: Workspace) -> None:
    ids = sorted(put(workspace, [encode_png(picture(seed)) for seed in range(5)]))
    find(workspace, {image_id: [[10, 10, 40, 40]] for image_id in ids[:2]})
    find(workspace, {image_id: [[20, 20, 50, 50]] for image_id in ids[2:]})
    assert all(row.problem is None for row in cropped(workspace, ids).values())


@pytest.mark.parametrize("searched", [0, 2])
def test_images_that_were_not_searched_are_an_error(workspace: Workspace, searched: int) -> None:
    ids = sorted(put(workspace, [encode_png(picture(seed)) for seed in range(3)]))
    if searched:
        find(workspace, {image_id: [[10, 10, 40, 40]] for image_id in ids[:searched]})
    message = rf"{3 - searched} of 3 images .* the first {ids[searched]}.*run detect first"
    with pytest.raises(ManifestError, match=message):
        pad.run(workspace, FACE, ids, "run", FACES)
    assert workspace.list("padded") == []


def test_faces_of_another_detector_do_not_count(workspace: Workspace) -> None:
    (image_id,) = put(workspace, [encode_png(picture())])
    find(workspace, {image_id: [[10, 10, 40, 40]]}, scope="another-r1")
    with pytest.raises(ManifestError, match="run detect first"):
        cropped(workspace, [image_id])


def test_a_crop_of_nobodys_faces_is_an_error(workspace: Workspace) -> None:
    ids = put(workspace, [encode_png(picture())])
    with pytest.raises(GanimeError, match="run detect first"):
        pad.plan(workspace, ids, FACE)
    with pytest.raises(GanimeError, match="run detect first"):
        pad.run(workspace, FACE, ids, "run")


def test_the_crop_and_the_detector_make_other_scopes() -> None:
    assert pad.scope(CONFIG, FACES) == pad.scope(CONFIG)
    assert pad.scope(CONFIG.model_copy(update={"enlarge": 3})) == pad.scope(CONFIG)
    scopes = [
        pad.scope(CONFIG),
        pad.scope(FACE, FACES),
        pad.scope(FACE, "another-r1"),
        pad.scope(FACE.model_copy(update={"enlarge": 3}), FACES),
        pad.scope(FACE.model_copy(update={"size": 72}), FACES),
    ]
    assert len(set(scopes)) == len(scopes)


def test_whole_images_keep_the_scope_they_had_before_there_were_crops() -> None:
    # Of the settings {"size":256,"fill":"border"}: workspaces hold images under this name.
    settings = digest_of('{"size":256,"fill":"border"}')
    assert pad.scope(PadConfig()) == f"{settings}-r{pad.REVISION}"


def test_the_footer_names_the_faces(workspace: Workspace) -> None:
    (image_id,) = put(workspace, [encode_png(picture())])
    find(workspace, {image_id: [[10, 10, 40, 40]]})
    manifest = pad.run(workspace, FACE, [image_id], "run", FACES)
    assert read_footer(workspace, manifest.key)["parents"] == {"faces": FACES}


def test_faces_of_real_art_fill_their_crops(workspace: Workspace, shared: Path) -> None:
    detector = LbpFace(weights=str(shared / "weights" / "lbpcascade_animeface.xml"))
    searched = DetectConfig(detector=detector)
    portraits = sorted((shared / "real" / "halfbody").iterdir())[:20]
    ids = put(workspace, [path.read_bytes() for path in portraits])
    for shard in detect.plan(workspace, ids, searched):
        detect.run(workspace, searched, shard, "run")
    config = PadConfig(size=128, crop="face")
    rows = cropped(workspace, ids, config, detect.scope(searched))
    found = [image_id for image_id in ids if rows[image_id].problem is None]
    assert len(found) >= 10
    crops = PaddedPixels(workspace, pad.scope(config, detect.scope(searched))).load(found)
    sides = [box.right - box.left for crop in crops for box in detector.load()(crop)[:1]]
    assert len(sides) >= 0.8 * len(found)
    # The box's side is the crop's by `enlarge`.
    assert np.median(sides) == pytest.approx(128 / 1.6, rel=0.1)


@pytest.mark.slow
def test_real_art_is_padded_whole(workspace: Workspace) -> None:
    shared = Path(os.environ.get("GANIME_SHARED", Path(__file__).parents[4] / "shared"))
    folder = shared / "real" / "fullbody_original"
    if not folder.exists():
        pytest.skip(f"no real images in {shared}: set GANIME_SHARED")
    ids = put(workspace, [path.read_bytes() for path in sorted(folder.iterdir())])
    pad_all(workspace, ids, PadConfig())
    images = PaddedPixels(workspace, pad.scope(PadConfig())).load(ids)
    assert images.shape == (len(ids), 256, 256, 3)
    # Transparent art lies on white, never on black.
    assert (images[:, 0, 0] == 255).all()
