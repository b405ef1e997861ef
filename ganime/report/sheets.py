"""The pictures of a model: samples over time, by tags, beside their nearest training images."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, UnidentifiedImageError

from ganime.report.examples import spread
from ganime.report.thumbnails import GRID_SIDE, MOST_GRID, as_uri, data_uri
from ganime.store.pixels import Pixels
from ganime.store.workspace import Workspace
from ganime.training.video import animation

_GRIDS_SHOWN = 12
_GRID = re.compile(r"/samples/(\d+)\.png$")
_TAG_SHEET = re.compile(r"/samples/(\d+)-tags\.png$")
_TAG_COLUMNS = 8  # samples of each tag
MOST_SHEET = 150_000  # bytes; sheets show more than a grid does
MOST_ANIMATION = 400_000  # bytes; a longer one is thinned out and reduced until it fits
_FRAMES = 16
_SIDES = (384, 256, 160, 96)  # of a reduced animation [px]
_FPS = 4.0


@dataclass(frozen=True, slots=True)
class Sheet:
    """Samples of one snapshot, as a data URI; `rows` names the rows where they have names."""

    nimg: int
    picture: str
    rows: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """What a model drew; every part may be missing.

    Attributes:
        grids: Of snapshots spread evenly over the run, the first and the last among them.
        num_grids: Snapshots in all.
        by_tag: Of the last snapshot, a row for each tag, a latent for each column.
        nearest: A sample in each row, and the training images nearest to it.
        animation: All grids after each other.
    """

    grids: list[Sheet]
    num_grids: int
    by_tag: Sheet | None
    nearest: str | None
    animation: str | None


def read_gallery(workspace: Workspace, model_id: str, tags: Sequence[str]) -> Gallery:
    """The pictures of a model; damaged ones are left out.

    At most 12 grids of 120 kB, two sheets of 150 kB and an animation of 400 kB: 2.1 MB, and
    2.9 MB in base64.

    Args:
        workspace: Where.
        model_id: Which model.
        tags: What it can be asked for, in its order.
    """
    root = f"models/{model_id}"
    keys = workspace.list(f"{root}/samples", ".png")
    grids = _numbered(keys, _GRID)
    sheets = _numbered(keys, _TAG_SHEET)
    shown = [_grid(workspace, nimg, key) for nimg, key in spread(grids, _GRIDS_SHOWN)]
    nearest = read_picture(workspace, f"{root}/nearest.png")
    return Gallery(
        grids=[grid for grid in shown if grid is not None],
        num_grids=len(grids),
        by_tag=_by_tag(workspace, *sheets[-1], tags) if sheets else None,
        nearest=None if nearest is None else data_uri(nearest, GRID_SIDE, MOST_SHEET),
        animation=_animation(workspace, f"{root}/progress.webp"),
    )


def last_sheets(workspace: Workspace, model_id: str) -> tuple[str | None, str | None]:
    """Keys of a model's last grid and of its last sheet by tags."""
    keys = workspace.list(f"models/{model_id}/samples", ".png")
    grids, sheets = _numbered(keys, _GRID), _numbered(keys, _TAG_SHEET)
    return grids[-1][1] if grids else None, sheets[-1][1] if sheets else None


def read_picture(workspace: Workspace, key: str) -> Pixels | None:
    """A stored picture, uint8 sRGB [H, W, 3]; None if there is none or it is damaged."""
    image = _opened(workspace, key)
    if image is None:
        return None
    try:
        return np.asarray(image.convert("RGB"))
    except OSError:
        return None


def _numbered(keys: Sequence[str], pattern: re.Pattern[str]) -> list[tuple[int, str]]:
    return sorted((int(found[1]), key) for key in keys if (found := pattern.search(key)))


def _grid(workspace: Workspace, nimg: int, key: str) -> Sheet | None:
    pixels = read_picture(workspace, key)
    return None if pixels is None else Sheet(nimg, data_uri(pixels, GRID_SIDE, MOST_GRID))


def _by_tag(workspace: Workspace, nimg: int, key: str, tags: Sequence[str]) -> Sheet | None:
    pixels = read_picture(workspace, key)
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    num_rows = max(1, round(height * _TAG_COLUMNS / width))
    # It may be taller than it is wide: its width is what the page has little of.
    side = max(GRID_SIDE, round(GRID_SIDE * height / width))
    return Sheet(nimg, data_uri(pixels, side, MOST_SHEET), list(tags[:num_rows]))


def _animation(workspace: Workspace, key: str) -> str | None:
    image = _opened(workspace, key)
    if image is None or image.format != "WEBP":
        return None
    content = workspace.read_bytes(key)
    if len(content) > MOST_ANIMATION:
        content = _shortened(image)
    return as_uri(content)


def _shortened(film: Image.Image) -> bytes:
    """The same in fewer and smaller pictures."""
    chosen = set(spread(range(getattr(film, "n_frames", 1)), _FRAMES))
    frames = []
    for i in sorted(chosen):
        film.seek(i)
        frames.append(film.convert("RGB"))
    content = b""
    for side in _SIDES:
        small = [np.asarray(frame.resize((side, side), Image.Resampling.BOX)) for frame in frames]
        content = animation(small, _FPS, ".webp", hold=True)
        if len(content) <= MOST_ANIMATION:
            break
    return content


def _opened(workspace: Workspace, key: str) -> Image.Image | None:
    if not workspace.exists(key):
        return None
    try:
        return Image.open(io.BytesIO(workspace.read_bytes(key)))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
