import os
from pathlib import Path

import numpy as np
import pytest

from ganime.errors import ConfigError, ImageError, StoreError
from ganime.images import encode_jpeg, encode_png
from ganime.rows import PaddedRow
from ganime.stages import pad
from ganime.stages.pad import PadConfig, pad_to_square
from ganime.store.manifest import Table
from ganime.store.originals import Originals
from ganime.store.pixels import PaddedPixels
from ganime.store.workspace import Workspace

CONFIG = PadConfig(size=64, shard_size=3)
CREAM, GREEN = (250, 240, 220), (10, 200, 30)

# Raise REVISION of ganime.stages.pad whenever this changes: padded images then expire.
GOLDEN = {1: [250, 176, 108, 250, 240, 148, 126, 240, 220, 127, 240]}


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
    [{"size": 60}, {"size": 100}, {"size": 1024}, {"fill": "white"}, {"fill": [0, 0, 256]}],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        PadConfig.parse(settings)


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
