import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ganime.config import Config
from ganime.errors import ConfigError
from ganime.exports import EXPORTS, export
from ganime.rows import MemberRow
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import Dataset, write_shard
from ganime.store.workspace import Workspace

FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run-0")
IDS = [f"{i:02x}" * 32 for i in range(5)]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    store = Workspace(str(tmp_path / "workspace"))
    shard = "datasets/girls/v1/images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    write_shard(store, shard, pixels)
    rows = [
        MemberRow(
            image_id=image_id,
            shard=shard,
            offset=i,
            split="holdout" if i == 0 else "train",
            tags=["1girl", f"tag_{i}"],
        )
        for i, image_id in enumerate(IDS)
    ]
    Table(store, MemberRow, root="datasets/girls/v1").write("members", rows, FROM)
    tags = ["1girl", "tag_0", "tag_2"]
    listed = [{"tag": tag, "images": sum(tag in row.tags for row in rows)} for tag in tags]
    store.write_text("datasets/girls/v1/tags.json", json.dumps({"tags": listed}))
    labels = np.array([[tag in row.tags for tag in tags] for row in rows], np.uint8)
    write_shard(store, "datasets/girls/v1/labels.npy", labels)
    store.write_text("datasets/girls/v1/README.md", "# girls/v1\n\nWhose images these are.\n")
    return Dataset(store, "girls", "v1")


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("name", EXPORTS.names())
def test_equal_datasets_give_equal_bytes_and_leave_nothing_else(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    for place in ("one", "two"):
        export(dataset, EXPORTS.build(name), tmp_path / "out" / place)
    assert contents(tmp_path / "out/one") == contents(tmp_path / "out/two")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one", "two"]


def test_an_existing_target_is_left_alone(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists"):
        export(dataset, EXPORTS.build("image_folder"), tmp_path)


def test_an_image_folder_holds_every_image_in_its_split(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, EXPORTS.build("image_folder"), tmp_path / "out")
    for row in dataset.members:
        png = (tmp_path / "out" / row.split / "images" / f"{row.image_id}.png").read_bytes()
        assert (pixels(png) == dataset.images[row.offset]).all()


def test_a_stylegan_zip_labels_images_by_their_tags(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, EXPORTS.build({"name": "stylegan", "tags": 2}), tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        described = json.loads(archive.read("dataset.json"))
        images = [pixels(archive.read(name)) for name, _ in described["labels"]]
    assert described["tags"] == ["1girl", "tag_0"]
    assert [label for _, label in described["labels"]] == [[1.0, 0.0]] * 4
    assert (np.stack(images) == dataset.images[1:]).all()


def test_webdataset_shards_hold_pairs(dataset: Dataset, tmp_path: Path) -> None:
    form = EXPORTS.build({"name": "webdataset", "images_per_shard": 3})
    export(dataset, form, tmp_path / "out")
    shards = sorted((tmp_path / "out").glob("train-*.tar"))
    names = []
    for shard in shards:
        with tarfile.open(shard) as tar:
            names += tar.getnames()
            for name in tar.getnames():
                content = tar.extractfile(name).read()  # type: ignore[union-attr]
                if name.endswith(".png"):
                    assert (pixels(content) == dataset.images[IDS.index(name[:-4])]).all()
                else:
                    assert json.loads(content)["image_id"] == name[:-5]
    assert len(shards) == 2
    assert names == [f"{i}.{suffix}" for i in IDS[1:] for suffix in ("png", "json")]


def test_hugging_face_parquet_holds_images_as_bytes_and_path(
    dataset: Dataset, tmp_path: Path
) -> None:
    form = EXPORTS.build({"name": "hugging_face", "rows_per_group": 3})
    export(dataset, form, tmp_path / "out")
    table = pq.read_table(tmp_path / "out/data/train.parquet")
    assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["image"]
    for row in table.to_pylist():
        there = dataset.images[IDS.index(row["image_id"])]
        assert (pixels(row["image"]["bytes"]) == there).all()
        assert row["image"]["path"] == f"{row['image_id']}.png"
    assert table.num_rows == 4
    assert "split: holdout" in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize("name", EXPORTS.names())
def test_whose_images_they_are_travels_with_them(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    export(dataset, EXPORTS.build(name), target)
    if target.is_dir():
        told = (target / "README.md").read_text()
    else:
        with zipfile.ZipFile(target) as archive:
            told = archive.read("README.md").decode()
    assert told.endswith("Whose images these are.\n")
