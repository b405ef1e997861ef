"""Packages that are wrong, cut short or meant to harm: one sentence each, nothing written."""

import contextlib
import hashlib
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from ganime.errors import ConfigError, GanimeError, WeightsError
from ganime.lite.archive import read_archive, write_archive
from ganime.lite.package import blueprint_in
from ganime.model_packages.export import export_package
from ganime.model_packages.importing import import_package
from ganime.store.workspace import Workspace

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def good(trained_once: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "good.ganime"
    export_package(trained_once.workspace, trained_once.styled, path, members=True)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "target"))


def is_refused(target: Workspace, path: Path, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        import_package(target, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not Path(target.url).exists()


def rewritten(good: Path, tmp_path: Path, **changed: bytes | None) -> Path:
    """The package with other entries under a manifest that fits them; `__` stands for a dot."""
    entries = {**read_archive(good)}
    for name, content in changed.items():
        entries.pop(name.replace("__", "."))
        if content is not None:
            entries[name.replace("__", ".")] = content
    write_archive(tmp_path / "bad.ganime", entries)
    return tmp_path / "bad.ganime"


def described_otherwise(good: Path, tmp_path: Path, change: Change) -> Path:
    model = json.loads(read_archive(good)["model.json"])
    change(model)
    return rewritten(good, tmp_path, model__json=json.dumps(model).encode())


def weighing_otherwise(good: Path, tmp_path: Path, change: Change) -> Path:
    content = read_archive(good)["generator.safetensors"]
    tensors = {name: tensor.copy() for name, tensor in safetensors.numpy.load(content).items()}
    change(tensors)
    metadata = {"ganime": json.dumps(blueprint_in(content))}
    weights = safetensors.numpy.save(tensors, metadata=metadata)
    return rewritten(good, tmp_path, generator__safetensors=weights)


def zipped(tmp_path: Path, entries: list[tuple[str, bytes]]) -> Path:
    path = tmp_path / "bad.ganime"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def manifest(**changes: Any) -> bytes:
    return json.dumps({"format": "ganime model", "schema": 1, "entries": {}, **changes}).encode()


def test_every_byte_is_looked_at(good: Path, target: Workspace, tmp_path: Path) -> None:
    content = good.read_bytes()
    with zipfile.ZipFile(good) as file:
        starts = {info.filename: info.header_offset for info in file.infolist()}
    path = tmp_path / "bad.ganime"
    for name, start in starts.items():
        place = start + 30 + len(name) + 20  # in its content, behind the header
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        is_refused(target, path, name.replace(".", r"\."))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(
    good: Path, target: Workspace, tmp_path: Path, share: float
) -> None:
    content = good.read_bytes()
    path = tmp_path / "bad.ganime"
    path.write_bytes(content[: int(len(content) * share)])
    is_refused(target, path, "is no whole model package")


def test_noise_is_taken_for_a_package_or_refused_in_a_sentence(
    good: Path, target: Workspace, tmp_path: Path
) -> None:
    content, random = good.read_bytes(), np.random.default_rng(0)
    path = tmp_path / "bad.ganime"
    for _ in range(150):
        noisy = bytearray(content)
        # Most of it into what says where things are: names, sizes and offsets at the end.
        first = random.choice([0, len(noisy) - 600])
        for place in random.integers(first, len(noisy), 3):
            noisy[place] = random.integers(256)
        path.write_bytes(bytes(noisy))
        with contextlib.suppress(GanimeError):
            import_package(target, path)


def test_a_missing_file_is_a_wrong_setting(target: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.ganime: No such file"):
        import_package(target, tmp_path / "none.ganime")


@pytest.mark.parametrize("name", ["../model.json", "/etc/passwd", "a/b", "model.pkl", "x" * 9000])
def test_names_that_packages_do_not_have_are_refused(
    target: Workspace, tmp_path: Path, name: str
) -> None:
    path = zipped(tmp_path, [("manifest.json", manifest()), (name, b"")])
    is_refused(target, path, "entry '.{,80}.* is none that a package has")


def test_a_bomb_is_not_unpacked(target: Workspace, tmp_path: Path) -> None:
    zeros = bytes(5 * 2**20)
    path = zipped(tmp_path, [("manifest.json", manifest()), ("card.md", zeros)])
    is_refused(target, path, r"card\.md has 5242880 bytes, at most 4194304 are read")
    path = zipped(tmp_path, [("manifest.json", manifest()), ("generator.safetensors", zeros)])
    is_refused(target, path, r"generator\.safetensors is packed in a way that packages are not")


def test_an_entry_that_claims_to_be_small_gives_no_more_than_it_claims(
    good: Path, target: Workspace, tmp_path: Path
) -> None:
    content = bytearray(good.read_bytes())
    central = content.rindex(b"PK\x01\x02", 0, content.rindex(b"card.md"))
    content[central + 24 : central + 28] = struct.pack("<I", 10)  # its length unpacked
    (tmp_path / "bad.ganime").write_bytes(bytes(content))
    is_refused(target, tmp_path / "bad.ganime", r"card\.md")


def test_an_entry_that_is_there_twice_is_refused(target: Workspace, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path, [("manifest.json", manifest()), ("manifest.json", manifest())])
    is_refused(target, path, r"manifest\.json is there twice")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (manifest(schema=2), r"manifest\.json has schema 2, this ganime reads 1"),
        (manifest(schema="1"), "has schema '1'"),
        (manifest(format="zip"), "is of format 'zip', not 'ganime model'"),
        (manifest(entries=[1]), "is not what a manifest holds"),
        (b"[" * 50_000, "is not what a manifest holds"),
        (b"\xff", "is not what a manifest holds"),
        (b"null", "is not what a manifest holds"),
        (manifest(), r"card\.md is missing"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(
    target: Workspace, tmp_path: Path, content: bytes, message: str
) -> None:
    is_refused(target, zipped(tmp_path, [("manifest.json", content)]), message)


@pytest.mark.parametrize(
    "name", ["model__json", "card__md", "samples__png", "generator__safetensors"]
)
def test_a_missing_entry_is_named(good: Path, target: Workspace, tmp_path: Path, name: str) -> None:
    path = rewritten(good, tmp_path, **{name: None})
    is_refused(target, path, f"{name.replace('__', '.')} is missing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.update(model_id="../../etc"), "model_id"),
        (lambda model: model.update(nimg=-1), "nimg"),
        (lambda model: model.update(nimg=17), "names two snapshots"),
        (lambda model: model.update(more=1), "more: unknown setting"),
        (lambda model: model["blueprint"].update(resolution=2**30), "resolution: wanted 32"),
        (lambda model: model["blueprint"].update(tags=["hat"]), "is of another generator"),
        (lambda model: model["settings"].update(model_id="0" * 12), "of another model"),
        (lambda model: model["settings"].update(config=[]), "has no settings"),
        (lambda model: model["settings"].update(tags=["\x1b[2J"]), "control characters"),
        (lambda model: model["scores"][0].update(model_id="0" * 12), "scores of another model"),
        (lambda model: model["scores"][0].pop("value"), "a score that is none"),
        (lambda model: model["scores"][0].update(value="much"), "a score that is none"),
        (lambda model: model["trained_on"].update(members_sha256="0" * 64), r"members\.txt lists"),
    ],
)
def test_a_description_that_does_not_hold_together_is_refused(
    good: Path, target: Workspace, tmp_path: Path, change: Change, message: str
) -> None:
    is_refused(target, described_otherwise(good, tmp_path, change), message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("generator.constant"), "has none for 'generator.constant'"),
        (
            lambda found: found.update({"generator.constant": np.zeros((1, 9, 4, 4), "f4")}),
            r"has float32 \[1, 9, 4, 4\] for 'generator.constant', wanted float32 \[1, 8, 4, 4\]",
        ),
        (
            lambda found: found.update({"generator.constant": np.zeros((1, 8, 4, 4), "f8")}),
            "has float64",
        ),
        (lambda found: found.update(more=np.zeros(1, "f4")), "for 'more', wanted none"),
        (lambda found: found["generator.constant"].fill(np.nan), "not finite"),
        (lambda found: found.pop("tag_examples"), "has 2 tags but no examples"),
        (lambda found: found.update(tag_examples=np.zeros((0, 2), "u1")), r"uint8 \[0, 2\]"),
    ],
)
def test_weights_that_do_not_fit_the_blueprint_are_refused(
    good: Path, target: Workspace, tmp_path: Path, change: Change, message: str
) -> None:
    path = weighing_otherwise(good, tmp_path, change)
    is_refused(target, path, r"generator\.safetensors .*" + message)


@pytest.mark.parametrize("value", [2**40, float("nan"), -(10**9)])
def test_a_recipe_beyond_all_reason_takes_no_memory(
    good: Path, target: Workspace, tmp_path: Path, value: float
) -> None:
    content = read_archive(good)["generator.safetensors"]
    blueprint = blueprint_in(content)
    blueprint["recipe"]["latent"] = value
    weights = safetensors.numpy.save(
        safetensors.numpy.load(content), metadata={"ganime": json.dumps(blueprint)}
    )
    model = json.loads(read_archive(good)["model.json"])
    model["blueprint"] = blueprint
    path = rewritten(
        good, tmp_path, model__json=json.dumps(model).encode(), generator__safetensors=weights
    )
    is_refused(target, path, "in its recipe is more than 65536")


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x80\x04\x95pickle", b"\x02" + b"\0" * 9])
def test_what_is_no_safetensors_is_refused(
    good: Path, target: Workspace, tmp_path: Path, content: bytes
) -> None:
    path = rewritten(good, tmp_path, generator__safetensors=content)
    is_refused(target, path, r"generator\.safetensors holds no weights")


def test_samples_that_are_no_picture_are_refused(
    good: Path, target: Workspace, tmp_path: Path
) -> None:
    is_refused(target, rewritten(good, tmp_path, samples__png=b"<svg>"), r"samples\.png is no pic")


def test_the_digest_of_the_members_is_plain_sha256(good: Path) -> None:
    entries = read_archive(good)
    told = json.loads(entries["model.json"])["trained_on"]["members_sha256"]
    assert hashlib.sha256(entries["members.txt"]).hexdigest() == told
