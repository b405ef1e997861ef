"""Padded pixels and packed datasets: memory-mapped uint8 shards, read by image id."""

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ganime.errors import ManifestError
from ganime.rows import MemberRow, PaddedRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
TAGS, LABELS, CARD = "tags.json", "labels.npy", "README.md"  # of a dataset version


class PaddedPixels:
    """All padded images of one size and fill.

    Args:
        workspace: Where.
        scope: `ganime.stages.pad.scope(config)`.
    """

    def __init__(self, workspace: Workspace, scope: str) -> None:
        self._workspace = workspace
        self._shards: dict[str, Pixels] = {}
        rows = Table(workspace, PaddedRow, scope).rows()
        self._rows = {row.image_id: row for row in rows if row.shard is not None}

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._rows

    def ids(self) -> list[str]:
        """Ids of all images that could be padded, sorted."""
        return sorted(self._rows)

    def load(self, image_ids: Sequence[str]) -> Pixels:
        """Copy images out of their shards.

        Returns:
            uint8 sRGB [N, S, S, 3], in the order asked for.

        Raises:
            ManifestError: one of them was not padded.
        """
        if missing := [image_id for image_id in image_ids if image_id not in self._rows]:
            raise ManifestError(f"{len(missing)} images are not padded, the first {missing[0]}")
        return np.stack([self._one(image_id) for image_id in image_ids])

    def _one(self, image_id: str) -> Pixels:
        row = self._rows[image_id]
        if row.shard is None or row.offset is None:
            raise ManifestError(f"the padded row of {image_id} names no shard")
        if row.shard not in self._shards:
            self._shards[row.shard] = open_shard(self._workspace, row.shard)
        pixels: Pixels = self._shards[row.shard][row.offset]
        return pixels


class Dataset:
    """One immutable dataset version.

    Args:
        workspace: Where.
        name: The dataset's name.
        version: Its version.

    Attributes:
        members: Its images, in the order of the shard.
        images: uint8 sRGB [N, R, R, 3], memory-mapped.
        tags: The T tags that label vectors tell of, the most frequent first; none in versions made
            before there were any.
        labels: 1 where an image has the tag, uint8 [N, T], memory-mapped.
    """

    def __init__(self, workspace: Workspace, name: str, version: str) -> None:
        self._workspace = workspace
        self.name = name
        self.version = version
        self.folder = f"datasets/{name}/{version}"
        self.members = Table(workspace, MemberRow, root=self.folder).rows()
        if not self.members:
            raise ManifestError(f"{workspace.describe(self.folder)} holds no dataset")
        self.images = open_shard(workspace, self.members[0].shard)
        self.tags: list[str] = []
        self.labels: Labels = np.zeros((len(self.members), 0), np.uint8)
        if workspace.exists(f"{self.folder}/{TAGS}"):
            listed = json.loads(workspace.read_bytes(f"{self.folder}/{TAGS}"))["tags"]
            self.tags = [item["tag"] for item in listed]
        if self.tags:
            self.labels = open_shard(workspace, f"{self.folder}/{LABELS}")

    def card(self) -> str:
        """What is in it, in Markdown; a title alone for versions made before there were cards."""
        key = f"{self.folder}/{CARD}"
        title = f"# {self.name}/{self.version}\n"
        return self._workspace.read_bytes(key).decode() if self._workspace.exists(key) else title

    def split(self, name: str) -> Pixels:
        """The images of one split, not copied: uint8 sRGB [N, R, R, 3], not to be written."""
        return self.images[self._places(name)]

    def split_labels(self, name: str) -> Labels:
        """The label vectors of one split, in the order of `split`: uint8 [N, T]."""
        return self.labels[self._places(name)]

    def _places(self, name: str) -> slice | list[int]:
        chosen = [row.offset for row in self.members if row.split == name]
        if not chosen or chosen == list(range(chosen[0], chosen[-1] + 1)):
            return slice(chosen[0], chosen[-1] + 1) if chosen else slice(0)
        return chosen  # versions of old mix their splits; those are copied


def open_shard(workspace: Workspace, key: str) -> Pixels:
    """Memory-map a `.npy` file: uint8, for example sRGB [N, S, S, 3].

    Raises:
        ManifestError: it is damaged.
    """
    path = workspace.local_path(key)
    try:
        shard: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ManifestError(f"{path} is damaged ({error}): delete it and run again") from error
    return shard


def write_shard(workspace: Workspace, key: str, images: Pixels) -> None:
    """Write a `.npy` shard, whole or not at all."""
    with workspace.writing(key) as path, path.open("wb") as file:
        np.save(file, images, allow_pickle=False)
