"""Parquet with images inside, in the layout of Hugging Face's `datasets` (feature `Image`)."""

import json
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from ganime.exports import EXPORTS, Export, encoded
from ganime.store.pixels import Dataset

_STRING = {"dtype": "string", "_type": "Value"}
_FEATURES = {
    "image": {"_type": "Image"},
    "image_id": _STRING,
    "tags": {"feature": _STRING, "_type": "Sequence"},
}
_SCHEMA = pa.schema(
    [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("image_id", pa.string()),
        ("tags", pa.list_(pa.string())),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


@EXPORTS.register("hugging_face")
class HuggingFace(Export):
    """`data/<split>.parquet` and a README.md card."""

    rows_per_group: int = Field(256, ge=1, description="Images held in memory at once.")

    def write(self, dataset: Dataset, target: Path) -> None:
        """See `Export.write`."""
        (target / "data").mkdir(parents=True)
        splits = [s for s in ("train", "holdout") if any(m.split == s for m in dataset.members)]
        for split in splits:
            images = encoded(dataset, split)
            with pq.ParquetWriter(target / "data" / f"{split}.parquet", _SCHEMA) as writer:
                while rows := [
                    {
                        "image": {"bytes": png, "path": f"{member.image_id}.png"},
                        "image_id": member.image_id,
                        "tags": member.tags,
                    }
                    for member, png in islice(images, self.rows_per_group)
                ]:
                    writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
        (target / "README.md").write_text(_card(dataset, splits), encoding="utf-8")


def _card(dataset: Dataset, splits: list[str]) -> str:
    files = [f"  - split: {split}\n    path: data/{split}.parquet" for split in splits]
    return "\n".join(
        [
            "---",
            "configs:",
            "- config_name: default",
            "  data_files:",
            *files,
            "---",
            "",
            dataset.card(),
        ]
    )
