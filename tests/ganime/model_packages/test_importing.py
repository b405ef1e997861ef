import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganime import promotion
from ganime.errors import ConfigError
from ganime.lite.archive import read_archive, write_archive
from ganime.model_packages.export import export_package
from ganime.model_packages.facts import facts_of, images_of, read_facts
from ganime.model_packages.importing import import_package
from ganime.recurate import find_dataset
from ganime.store.workspace import Workspace
from ganime.training.mixing import mixture_table
from ganime.training.pictures import find_model
from ganime.training.snapshot import load_generator


@pytest.fixture
def package(trained: Any, tmp_path: Path) -> Path:
    path = tmp_path / "girls.ganime"
    export_package(trained.workspace, trained.styled, path, members=True)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "elsewhere"))


def files(workspace: Workspace) -> dict[str, bytes]:
    root = Path(workspace.url)
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_an_imported_model_draws_mixes_and_is_promoted(
    trained: Any, package: Path, elsewhere: Workspace
) -> None:
    facts = import_package(elsewhere, package)
    assert find_model(elsewhere, "") == facts.model_id == trained.styled
    before = load_generator(trained.workspace, trained.styled)
    after = load_generator(elsewhere, trained.styled)
    tags = ["hat"]
    np.testing.assert_array_equal(before.sample(4, 1, tags=tags), after.sample(4, 1, tags=tags))
    assert mixture_table(after, [0], [1, 2], [0, 1]).shape == (64, 96, 3)
    promotion.promote(elsewhere, trained.styled, by="ann")
    assert promotion.current(elsewhere) == trained.styled


def test_what_was_known_of_it_comes_with_it(
    trained: Any, package: Path, elsewhere: Workspace
) -> None:
    facts = import_package(elsewhere, package)
    home = facts_of(trained.workspace, trained.styled)
    assert facts.scores == home.scores
    assert facts.settings == home.settings
    assert facts.finished == home.finished
    assert images_of(elsewhere, facts) == images_of(trained.workspace, home)
    assert [one.row()["imported"] for one in read_facts(elsewhere)] == [True]


def test_its_dataset_is_absent_and_that_is_said(package: Path, elsewhere: Workspace) -> None:
    facts = import_package(elsewhere, package)
    assert not facts.dataset_is_here
    with pytest.raises(ConfigError, match=r"no dataset is 'girls/0123456789ab'; .* none yet"):
        find_dataset(elsewhere, facts.dataset)


def test_importing_again_changes_nothing(package: Path, elsewhere: Workspace) -> None:
    import_package(elsewhere, package)
    before = files(elsewhere)
    import_package(elsewhere, package)
    assert files(elsewhere) == before


def test_importing_where_it_was_trained_changes_nothing(trained: Any, package: Path) -> None:
    before = files(trained.workspace)
    assert import_package(trained.workspace, package).origin is None
    assert files(trained.workspace) == before


def test_an_import_that_was_cut_off_is_made_whole(package: Path, elsewhere: Workspace) -> None:
    facts = import_package(elsewhere, package)
    whole = files(elsewhere)
    (Path(elsewhere.url) / f"models/{facts.model_id}/config.json").unlink()
    shutil.rmtree(Path(elsewhere.url) / f"models/{facts.model_id}/snapshots")
    import_package(elsewhere, package)
    assert files(elsewhere) == whole


def test_what_was_imported_is_exported_as_it_came(
    package: Path, elsewhere: Workspace, tmp_path: Path
) -> None:
    facts = import_package(elsewhere, package)
    again = export_package(elsewhere, facts.model_id, tmp_path / "again.ganime")
    first = {**read_archive(package)}
    del first["members.txt"]
    assert dict(again.entries) == first


def test_another_model_of_the_same_id_is_not_overwritten(
    trained: Any, package: Path, elsewhere: Workspace, tmp_path: Path
) -> None:
    import_package(elsewhere, package)
    config = Path(elsewhere.url) / f"models/{trained.styled}/config.json"
    config.write_text("{}")
    with pytest.raises(ConfigError, match=r"has a model .* already, with other settings"):
        import_package(elsewhere, package)
    assert config.read_text() == "{}"


def test_two_snapshots_of_one_model_can_be_imported(
    trained: Any, elsewhere: Workspace, tmp_path: Path
) -> None:
    taken = facts_of(trained.workspace, trained.plain).snapshots
    entries = read_archive(
        export_package(trained.workspace, trained.plain, tmp_path / "a.ganime").path
    )
    write_archive(tmp_path / "b.ganime", entries)
    import_package(elsewhere, tmp_path / "b.ganime")
    assert facts_of(elsewhere, trained.plain).snapshots == taken[-1:]
