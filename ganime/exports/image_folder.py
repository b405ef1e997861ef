"""A folder per split with one PNG per image; torchvision reads each with its ImageFolder."""

from pathlib import Path

from ganime.exports import EXPORTS, Export, encoded, write_card
from ganime.store.pixels import Dataset


@EXPORTS.register("image_folder")
class ImageFolder(Export):
    """`train/images/<image_id>.png` and the same in `holdout`: ImageFolder wants a class folder."""

    def write(self, dataset: Dataset, target: Path) -> None:
        """See `Export.write`."""
        for member, png in encoded(dataset):
            path = target / member.split / "images" / f"{member.image_id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png)
        write_card(dataset, target)
