"""The zip that StyleGAN's training code reads: PNGs and dataset.json with label vectors."""

import json
import zipfile
from pathlib import Path

from pydantic import Field

from ganime.exports import EXPORTS, Export, encoded
from ganime.store.pixels import CARD, Dataset

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: equal input, equal bytes


@EXPORTS.register("stylegan")
class StyleGan(Export):
    """One uncompressed zip of one split; PNGs are compressed already."""

    split: str = Field("train", pattern="^(train|holdout)$", description="Which split.")
    tags: int = Field(
        64, ge=0, description="Of the dataset's tags, so many in the labels; 0 for no labels."
    )

    def write(self, dataset: Dataset, target: Path) -> None:
        """See `Export.write`."""
        words = dataset.tags[: self.tags]
        labels: list[tuple[str, list[float]]] = []
        with zipfile.ZipFile(target, "w") as archive:
            for place, (member, png) in enumerate(encoded(dataset, self.split)):
                name = f"{place // 1000:05d}/img{place:08d}.png"
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), png)
                vector = dataset.labels[member.offset, : self.tags].astype(float)
                labels.append((name, vector.tolist()))
            described = {"labels": labels if words else None, "tags": words}
            archive.writestr(zipfile.ZipInfo("dataset.json", _EPOCH), json.dumps(described))
            archive.writestr(zipfile.ZipInfo(CARD, _EPOCH), dataset.card())
