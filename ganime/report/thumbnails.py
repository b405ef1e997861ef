"""Pictures inside the page: small, as data URIs."""

import base64
import io

import cv2
import numpy as np
from PIL import Image

from ganime.rows import MemberRow
from ganime.store.pixels import PaddedPixels, Pixels, open_shard
from ganime.store.workspace import Workspace

SIDE = 128  # [px]; shown at up to this many CSS pixels
GRID_SIDE = 768  # a grid of 8x8 images needs no more on a laptop
# What one picture may add to the page [bytes], before base64 adds a third. Drawings need a half of
# it; photographs and noise are compressed until they fit.
MOST_THUMBNAIL, MOST_GRID = 6_000, 120_000
_QUALITIES = (82, 70, 55, 40, 25)  # of WebP, tried in turn


def data_uri(image: Pixels, side: int = SIDE, most: int = MOST_THUMBNAIL) -> str:
    """An image as a WebP data URI of bounded length.

    Args:
        image: uint8 sRGB [H, W, 3].
        side: Longest side of the result at most [px]; images are never enlarged.
        most: Bytes of the result at most, before base64; quality goes first, then the side.
    """
    small = _reduced(image, side)
    content = b""
    for quality in _QUALITIES:
        content = _webp(small, quality)
        if len(content) <= most:
            return as_uri(content)
    return data_uri(image, max(small.shape[:2]) * 2 // 3, most) if side > 8 else as_uri(content)


def as_uri(content: bytes) -> str:
    """A WebP file as a data URI."""
    return "data:image/webp;base64," + base64.b64encode(content).decode()


def _reduced(image: Pixels, side: int) -> Pixels:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _webp(image: Pixels, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


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
    return data_uri(grid[:used], GRID_SIDE, MOST_GRID)
