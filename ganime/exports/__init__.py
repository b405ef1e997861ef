"""Dataset versions in the layouts that other tools read: one registered file per format.

Equal datasets give equal bytes: members in the order of the shard, times fixed. Images pass one at
a time, so that a dataset larger than memory can be exported.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ganime.errors import ConfigError
from ganime.images import encode_png
from ganime.registry import Component, Registry
from ganime.rows import MemberRow
from ganime.store.pixels import CARD, Dataset


class Export(Component):
    """Base of all formats."""

    def write(self, dataset: Dataset, target: Path) -> None:
        """Write the dataset to `target`, a file or a folder that does not exist yet."""
        raise NotImplementedError


EXPORTS: Registry[Export] = Registry(Export, "ganime.exports")


def export(dataset: Dataset, form: Export, target: Path) -> None:
    """Write a dataset version in a format; `target` appears whole or not at all.

    Raises:
        ConfigError: something is at `target` already.
    """
    if target.exists():
        raise ConfigError(f"{target} exists: give another place, or delete it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        form.write(dataset, partial)
        partial.replace(target)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)


def encoded(dataset: Dataset, split: str = "") -> Iterator[tuple[MemberRow, bytes]]:
    """Members and their PNG bytes, one at a time; of one split if it is named."""
    for member in dataset.members:
        if split in ("", member.split):
            yield member, encode_png(dataset.images[member.offset])


def write_card(dataset: Dataset, folder: Path) -> None:
    """Put the dataset's card beside the images: whose they are must travel with them."""
    (folder / CARD).write_text(dataset.card(), encoding="utf-8")
