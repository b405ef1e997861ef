"""Pictures for pages: small ones re-encoded and kept, padded ones, and originals as they came."""

import io
import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ganime.errors import ImageError
from ganime.images import decode
from ganime.review.cache import Snapshot
from ganime.review.query import NotThereError
from ganime.store.originals import Originals
from ganime.store.pixels import Pixels, open_shard
from ganime.store.workspace import Workspace

SIDE = 256  # [px], longest; shown at up to this many CSS pixels
_QUALITY = 80
_MAX_BYTES = 128_000_000  # of an original; decoding refuses what has too many pixels itself
_AT_ONCE = 2  # decoders: each may need a quarter of a gigabyte
_MAX_SHARDS = 64  # kept open
_SPARE = 0.8  # of the room is left when it was full: not every thumbnail makes room for one
_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
}


class Pictures:
    """Pictures of a workspace. Safe for threads.

    Args:
        workspace: Where.
        max_bytes: Room for thumbnails on the disk; the oldest go when it is full.
    """

    def __init__(self, workspace: Workspace, max_bytes: int) -> None:
        self._workspace = workspace
        self._originals = Originals(workspace)
        self._store = Workspace(str(workspace.shared_folder("review")))
        self._max_bytes = max_bytes
        self._num_bytes = -1  # not counted yet
        self._decoders = threading.Semaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._shards: OrderedDict[str, Pixels] = OrderedDict()

    def thumbnail(self, image_id: str) -> bytes:
        """A small WebP, re-encoded: nothing of the original's bytes but its pixels.

        Raises:
            ImageError: the original cannot be decoded.
            NotThereError: it is not there.
        """
        key = f"thumbnails/{image_id[:2]}/{image_id}.webp"
        if self._store.exists(key):
            return self._store.read_bytes(key)
        with self._decoders:
            content = _small(self._read(image_id))
        self._store.write_bytes(key, content)
        self._count(len(content))
        return content

    def original(self, snapshot: Snapshot, row: int) -> tuple[bytes, str | None]:
        """The bytes as they came, and their type; None for what did not decode as a picture.

        Raises:
            NotThereError: it is not there.
        """
        facts = snapshot.groups["facts"]
        name, problem = int(facts["format"][row]), int(facts["problem"][row])
        media_type = _TYPES.get(facts.notes["format"][name]) if name >= 0 > problem else None
        return self._read(snapshot.ids.text(row)), media_type

    def padded(self, snapshot: Snapshot, row: int) -> bytes | None:
        """The padded image as a PNG; None if it was not padded."""
        padded = snapshot.groups["padded"]
        shard = int(padded["shard"][row])
        if shard < 0:
            return None
        pixels = self._shard(padded.notes["shards"][shard])[int(padded["offset"][row])]
        done, content = cv2.imencode(".png", cv2.cvtColor(np.asarray(pixels), cv2.COLOR_RGB2BGR))
        assert done
        return content.tobytes()

    def _read(self, image_id: str) -> bytes:
        key = self._originals.key(image_id)
        if not self._workspace.exists(key):
            raise NotThereError(f"the original of {image_id} is not in the workspace any more")
        if self._workspace.size(key) > _MAX_BYTES:
            raise ImageError("too_large", f"{image_id} is too long for a page")
        return self._originals.get(image_id)

    def _shard(self, key: str) -> Pixels:
        with self._lock:
            if key not in self._shards:
                self._shards[key] = open_shard(self._workspace, key)
            self._shards.move_to_end(key)
            while len(self._shards) > _MAX_SHARDS:
                self._shards.popitem(last=False)
            return self._shards[key]

    def _count(self, num_bytes: int) -> None:
        """Add a thumbnail to what there is, and make room where it is too much."""
        with self._lock:
            folder = self._store.local_path("thumbnails")
            if self._num_bytes < 0:
                self._num_bytes = sum(size for _, size, _ in _files(folder))
            else:
                self._num_bytes += num_bytes
            if self._num_bytes <= self._max_bytes:
                return
            left = 0
            for _, size, path in sorted(_files(folder), reverse=True):  # the newest first
                if left + size > _SPARE * self._max_bytes:
                    path.unlink(missing_ok=True)
                else:
                    left += size
            self._num_bytes = left


def _small(content: bytes) -> bytes:
    image = decode(content, at_least=SIDE).pixels
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    if scale < 1:
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, target, interpolation=cv2.INTER_AREA), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """Time, length and path of each thumbnail."""
    found = []
    for path in folder.glob("*/*.webp"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # another server made room
        found.append((status.st_mtime, status.st_size, path))
    return found
