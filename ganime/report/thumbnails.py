"""Pictures inside the page: small, as data URIs."""

import base64
import io

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from ganime.rows import MemberRow
from ganime.store.pixels import PaddedPixels, Pixels, open_shard
from ganime.store.workspace import Workspace

SIDE = 128  # [px]; shown at up to this many CSS pixels
_GRID_SIDE = 768  # a grid of 8x8 images needs no more on a laptop


def data_uri(image: Pixels, side: int = SIDE, quality: int = 78) -> str:
    """An image as a WebP data URI.

    Args:
        image: uint8 sRGB [H, W, 3].
        side: Longest side of the result at most [px]; images are never enlarged.
        quality: Of WebP, 0-100.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


class Thumbnails:
    """Thumbnails of padded images, by image id; each is encoded once.

    Args:
        workspace: Where.
        scope: `ganime.stages.pad.scope`; empty if nothing was padded.
    """

    def __init__(self, workspace: Workspace, scope: str) -> None:
        self._padded = PaddedPixels(workspace, scope) if scope else None
        self._uris: dict[str, str] = {}

    def get(self, image_id: str | None) -> str | None:
        """The thumbnail, or None of an image that has no padded pixels."""
        if image_id is None or self._padded is None or image_id not in self._padded:
            return None
        if image_id not in self._uris:
            self._uris[image_id] = data_uri(self._padded.load([image_id])[0])
        return self._uris[image_id]


def real_grid(workspace: Workspace, members: list[MemberRow], cells: int = 8) -> str | None:
    """A square grid of training images, evenly spread over the dataset; None if there are none.

    Args:
        workspace: Where.
        members: The dataset's images.
        cells: Images per side.
    """
    train = [row for row in members if row.split == "train"]
    if not train:
        return None
    chosen = np.linspace(0, len(train) - 1, min(cells * cells, len(train))).round().astype(int)
    rows = [train[i] for i in chosen]
    images = [open_shard(workspace, row.shard)[row.offset] for row in rows]
    side = images[0].shape[0]
    grid = np.full((cells * side, cells * side, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // cells * side, i % cells * side
        grid[top : top + side, left : left + side] = image
    used = -(-len(images) // cells) * side
    return data_uri(grid[:used], _GRID_SIDE, quality=85)


def sample_grid(workspace: Workspace, key: str) -> str | None:
    """A stored grid of samples; None if the file is damaged."""
    try:
        with Image.open(io.BytesIO(workspace.read_bytes(key))) as image:
            pixels: Pixels = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    return data_uri(pixels, _GRID_SIDE, quality=85)
