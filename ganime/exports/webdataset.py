"""Tar shards as WebDataset reads them: `<image_id>.png` and `<image_id>.json` side by side."""

import io
import json
import tarfile
from itertools import islice
from pathlib import Path

from pydantic import Field

from ganime.exports import EXPORTS, Export, encoded, write_card
from ganime.rows import MemberRow
from ganime.store.pixels import Dataset


@EXPORTS.register("webdataset")
class WebDataset(Export):
    """`train-000000.tar`, `holdout-000000.tar` and so on."""

    images_per_shard: int = Field(10_000, ge=1, description="Images in one tar.")

    def write(self, dataset: Dataset, target: Path) -> None:
        """See `Export.write`."""
        target.mkdir()
        for split in ("train", "holdout"):
            images, shard = encoded(dataset, split), 0
            while (first := next(images, None)) is not None:
                path = target / f"{split}-{shard:06d}.tar"
                with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
                    _add(tar, *first)
                    for member, png in islice(images, self.images_per_shard - 1):
                        _add(tar, member, png)
                shard += 1
        write_card(dataset, target)


def _add(tar: tarfile.TarFile, member: MemberRow, png: bytes) -> None:
    tags = json.dumps({"image_id": member.image_id, "tags": member.tags}).encode()
    for suffix, content in (("png", png), ("json", tags)):
        entry = tarfile.TarInfo(f"{member.image_id}.{suffix}")  # its time is 0, its owner nobody
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
