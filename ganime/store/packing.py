"""Pack the images of a dataset version: pixels, tag vectors and the members' rows."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
from pydantic import Field

from ganime.config import Config
from ganime.errors import ConfigError
from ganime.rows import MemberRow
from ganime.store.manifest import Provenance, Table, schema_of
from ganime.store.pixels import LABELS, TAGS, PaddedPixels, Pixels
from ganime.store.word_sets import WordSets
from ganime.store.workspace import Workspace

_ROWS = 4096  # of the label matrix that are made at once


class VocabularyConfig(Config):
    """Which tags the label vectors tell of: the most frequent general ones of what is kept."""

    num: int = Field(128, ge=0, le=4096, description="At most so many tags.")
    min_share: float = Field(
        0.01, ge=0, le=1, description="Of the images, that a tag must be on to be learnt."
    )


@dataclass(frozen=True)
class Members:
    """The images of a version, first those for training, each part sorted by id.

    Attributes:
        ids: Their ids [N], text.
        splits: `train` or `holdout` [N].
        tags: Of all their posts, and of the duplicates that they stand for [N].
        sources: How many posts of each source they came from.
    """

    ids: pa.Array
    splits: Sequence[str]
    tags: WordSets
    sources: Counter[str]


def split_of(image_id: str, holdout: float) -> str:
    """`holdout` or `train`, by hash of the id: an image never changes sides as a set grows."""
    return "holdout" if int(image_id[:8], 16) < holdout * 2**32 else "train"


def vocabulary(tags: WordSets, special: Collection[str], config: VocabularyConfig) -> list[str]:
    """The tags that label vectors tell of, the most frequent first, ties by name.

    Args:
        tags: Of the kept images.
        special: Tags that are not about the picture: artists, works, characters, meta.
        config: How many.
    """
    least = max(1, config.min_share * len(tags))
    counts = dict(zip(tags.words, tags.counts().tolist(), strict=True))
    general = [word for word in tags.words if counts[word] >= least and word not in special]
    return sorted(general, key=lambda word: (-counts[word], word))[: config.num]


def pack(
    workspace: Workspace,
    folder: str,
    members: Members,
    words: Sequence[str],
    pad_scope: str,
    resolution: int,
    provenance: Provenance,
) -> None:
    """Write a version's pixels, label vectors and members, in the same order.

    Args:
        workspace: Where.
        folder: Of the version.
        members: Its images.
        words: From `vocabulary`.
        pad_scope: Where the pixels come from.
        resolution: Side of the packed images [px].
        provenance: Of the members.

    Raises:
        ConfigError: the padded images are smaller than the resolution.
    """
    num = len(members.ids)
    shard = f"{folder}/images.npy"
    padded = PaddedPixels(workspace, pad_scope)
    with workspace.writing(shard) as path:
        packed = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.uint8, shape=(num, resolution, resolution, 3)
        )
        for i, image_id in enumerate(members.ids.to_pylist()):
            packed[i] = _shrink(padded.load([image_id])[0], resolution)
        packed.flush()
    _write_labels(workspace, folder, members.tags, words)
    columns = {
        "image_id": members.ids,
        "shard": pa.repeat(shard, num),
        "offset": pa.array(range(num), pa.int64()),
        "split": pa.array(members.splits, pa.string()),
        "tags": members.tags.to_arrow(),
    }
    table = pa.table(columns, schema=schema_of(MemberRow))
    Table(workspace, MemberRow, root=folder).write("members", table, provenance)


def _write_labels(workspace: Workspace, folder: str, tags: WordSets, words: Sequence[str]) -> None:
    if words:
        with workspace.writing(f"{folder}/{LABELS}") as path:
            labels = np.lib.format.open_memmap(
                path, mode="w+", dtype=np.uint8, shape=(len(tags), len(words))
            )
            for start in range(0, len(tags), _ROWS):
                labels[start : start + _ROWS] = tags.part(start, start + _ROWS).matrix(words)
            labels.flush()
    counts = dict(zip(tags.words, tags.counts().tolist(), strict=True))
    listed = [{"tag": word, "images": counts[word]} for word in words]
    workspace.write_text(f"{folder}/{TAGS}", json.dumps({"tags": listed}, indent=1))


def _shrink(image: Pixels, side: int) -> Pixels:
    if image.shape[0] < side:
        raise ConfigError(
            f"curate.resolution is {side} px but images were padded to {image.shape[0]} px: "
            f"set pad.size={side} or more"
        )
    if image.shape[0] == side:
        return image
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
