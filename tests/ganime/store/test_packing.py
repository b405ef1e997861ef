from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ganime.config import Config
from ganime.rows import MemberRow
from ganime.store.manifest import Provenance, Table
from ganime.store.packing import VocabularyConfig, split_of, vocabulary
from ganime.store.pixels import Dataset, write_shard
from ganime.store.word_sets import WordSets
from ganime.store.workspace import Workspace

FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run-0")
TAGS = WordSets.of(
    [
        {"1girl", "solo", "hat"},
        {"1girl", "solo", "artist_a"},
        {"1girl", "bow"},
        {"1girl", "hat", "artist_a"},
    ]
)


def test_the_most_frequent_general_tags_are_learnt() -> None:
    config = VocabularyConfig(num=10, min_share=0.5)
    assert vocabulary(TAGS, {"artist_a"}, config) == ["1girl", "hat", "solo"]
    assert vocabulary(TAGS, frozenset(), config) == ["1girl", "artist_a", "hat", "solo"]
    assert vocabulary(TAGS, {"artist_a"}, VocabularyConfig(num=2, min_share=0)) == ["1girl", "hat"]
    assert vocabulary(TAGS, frozenset(), VocabularyConfig(num=0)) == []
    assert vocabulary(WordSets.of([]), frozenset(), config) == []


def test_about_as_many_images_are_held_out_as_was_asked_for() -> None:
    ids = [f"{i * 2654435761 % 2**32:08x}" for i in range(2000)]
    for holdout in (0.0, 0.05, 0.3):
        share = sum(split_of(image_id, holdout) == "holdout" for image_id in ids) / len(ids)
        assert share == pytest.approx(holdout, abs=0.02)


@pytest.fixture
def rows(tmp_path: Path) -> list[MemberRow]:
    return [
        MemberRow(
            image_id=f"{i:064x}",
            shard="datasets/girls/v1/images.npy",
            offset=i,
            split="train" if i < 4 else "holdout",
            tags=[],
        )
        for i in range(6)
    ]


def dataset(tmp_path: Path, rows: list[MemberRow]) -> Dataset:
    store = Workspace(str(tmp_path))
    pixels = np.arange(6 * 12, dtype=np.uint8).reshape(6, 2, 2, 3)
    write_shard(store, rows[0].shard, pixels)
    Table(store, MemberRow, root="datasets/girls/v1").write("members", rows, FROM)
    return Dataset(store, "girls", "v1")


def test_a_split_is_a_view_of_the_file(tmp_path: Path, rows: list[MemberRow]) -> None:
    data = dataset(tmp_path, rows)
    train, holdout = data.split("train"), data.split("holdout")
    assert np.shares_memory(train, data.images)
    assert np.shares_memory(holdout, data.images)
    assert np.array_equal(np.concatenate([train, holdout]), data.images)
    assert len(data.split("test")) == 0


def test_a_version_of_old_that_mixes_its_splits_is_read_all_the_same(
    tmp_path: Path, rows: list[MemberRow]
) -> None:
    mixed = [replace(row, split="train" if row.offset % 2 else "holdout") for row in rows]
    data = dataset(tmp_path, mixed)
    assert np.array_equal(data.split("train"), data.images[1::2])
    assert data.tags == []
    assert data.split_labels("train").shape == (3, 0)
