import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ganime.errors import ConfigError
from ganime.lite.archive import SCHEMA
from ganime.lite.generator import OnnxGenerator
from ganime.lite.package import open_package
from ganime.model_packages.export import export_package


def test_a_package_holds_all_that_a_model_is(trained: Any, tmp_path: Path) -> None:
    path = tmp_path / "girls.ganime"
    export_package(trained.workspace, trained.styled, path, members=True)
    with zipfile.ZipFile(path) as file:
        assert file.namelist() == [
            *("manifest.json", "model.json", "card.md", "samples.png"),
            *("generator.safetensors", "members.txt"),
        ]
        manifest = json.loads(file.read("manifest.json"))
        ids = file.read("members.txt")
        weights = file.read("generator.safetensors")
    assert (manifest["format"], manifest["schema"]) == ("ganime model", SCHEMA)
    digest = hashlib.sha256(weights).hexdigest()
    assert manifest["entries"]["generator.safetensors"] == {
        "bytes": len(weights),
        "sha256": digest,
    }
    described = open_package(path).description
    assert described.trained_on.members_sha256 == hashlib.sha256(ids).hexdigest()
    assert (len(ids.splitlines()), described.trained_on.num_images) == (10, 10)
    assert [score["value"] for score in described.scores] == [7.0, 2.0]


def test_the_card_tells_images_sites_rules_and_metrics(trained: Any, tmp_path: Path) -> None:
    package = export_package(trained.workspace, trained.styled, tmp_path / "a.ganime")
    card = package.entries["card.md"].decode()
    for told in (
        f"# Model {trained.styled}",
        "10 images of the dataset girls/0123456789ab",
        str(package.description.trained_on.members_sha256),
        "| folder | 10 |",
        "| min_side | pixels 32 |",
        "| fd_small | 7 |",
        "small 000000000000",
        "## Limits",
        "no licence to them",
    ):
        assert told in card, told


def test_exporting_twice_gives_equal_bytes(trained: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "a.ganime", tmp_path / "b.ganime"
    for path in (first, second):
        export_package(trained.workspace, trained.plain, path, members=True)
    assert first.read_bytes() == second.read_bytes()


def test_members_of_a_dataset_that_is_gone_cannot_be_listed(
    without_dataset: Any, tmp_path: Path
) -> None:
    store, model = without_dataset.workspace, without_dataset.plain
    with pytest.raises(ConfigError, match=r"--members: the dataset girls/0.* is not in"):
        export_package(store, model, tmp_path / "a.ganime", members=True)
    assert not (tmp_path / "a.ganime").exists()
    package = export_package(store, model, tmp_path / "a.ganime")
    assert "was not at hand" in package.entries["card.md"].decode()


def test_another_ending_of_the_name_is_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.zip: a model package is called NAME\.ganime"):
        export_package(trained.workspace, trained.plain, tmp_path / "model.zip")


def test_without_graphs_nothing_is_drawn_without_torch(trained: Any, tmp_path: Path) -> None:
    package = export_package(trained.workspace, trained.plain, tmp_path / "a.ganime")
    with pytest.raises(ConfigError, match=r"export it anew with --onnx"):
        OnnxGenerator(package)
