import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.review.cache import Cache
from ganime.review.digests import Ids, rows_of
from ganime.review.service import Service
from ganime.stages.curate import CurateConfig
from ganime.store.lineage import crawled_images, crawls, mark_variant
from ganime.store.workspace import Workspace


def files(workspace: Workspace) -> dict[str, float]:
    folder = workspace.shared_folder("review") / "r1"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}


def test_ids_that_begin_alike_are_told_apart() -> None:
    digests = np.zeros((4, 32), np.uint8)
    digests[1:, 31] = [1, 2, 4]
    ids = Ids(digests)
    asked = [f"{last:064x}" for last in (0, 1, 2, 3, 4, 5)]
    assert rows_of(ids, asked).tolist() == [0, 1, 2, -1, 3, -1]
    assert [ids.after(image_id) for image_id in asked] == [1, 2, 3, 3, 4, 4]
    assert rows_of(ids, []).tolist() == []
    assert Ids(np.zeros((0, 32), np.uint8)).row("0" * 64) is None


def test_what_did_not_change_is_not_made_again(workspace: Workspace) -> None:
    first = Cache(workspace).open()
    before = files(workspace)
    assert len(before) == 10
    again = Cache(workspace).open()
    assert again.key == first.key
    assert files(workspace) == before
    assert Cache(workspace).open(first) is first


def test_a_new_version_makes_its_decisions_anew_and_nothing_about_posts(
    workspace: Workspace, decide: Callable[..., str], curated: CurateConfig
) -> None:
    first = Cache(workspace).open()
    before = files(workspace)
    rules = [{"name": "min_side", "pixels": 140}, "decodable"]
    decide(workspace, curated.model_copy(update={"rules": curated.parse({"rules": rules}).rules}))
    second = Cache(workspace).open(first)
    made = {name.split("-")[0] for name in files(workspace).keys() - before.keys()}
    assert made == {"decisions", "cell", "cells", "scores"}
    assert second.dataset != first.dataset
    assert first.groups["decisions"]["status"].shape == second.groups["decisions"]["status"].shape
    # The classifier that no rule asks any more is still there to sort by.
    assert second.scores["chibi"].order is None
    assert second.scores["chibi"].threshold == 0.6


def test_a_damaged_file_is_made_anew(workspace: Workspace) -> None:
    digests = Cache(workspace).open().ids.digests.copy()
    folder = workspace.shared_folder("review") / "r1"
    for path in folder.glob("*.arrow"):
        content = path.read_bytes()
        path.unlink()  # who has it open keeps it
        path.write_bytes(content[: len(content) // 2])
    np.testing.assert_array_equal(Cache(workspace).open().ids.digests, digests)


def test_before_anything_is_decided_images_are_shown_undecided(
    workspace: Workspace, tmp_path: Path
) -> None:
    for path in (tmp_path / "workspace" / "datasets").rglob("*"):
        if path.is_file():
            path.unlink()
    service = Service(workspace)
    snapshot = service.snapshot
    assert snapshot.dataset == ""
    assert snapshot.num_rows == len(crawled_images(workspace, crawls(workspace)))
    assert set(snapshot.groups["decisions"]["status"].tolist()) == {-2}
    assert list(snapshot.scores) == ["chibi"]


def test_an_empty_workspace_has_no_images(tmp_path: Path) -> None:
    assert Cache(Workspace(str(tmp_path))).open().num_rows == 0


def test_a_wrong_dataset_is_named(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"no dataset is called 'pets'; there: \['characters'\]"):
        Cache(workspace, "pets").open()


def test_a_variant_is_shown_only_where_it_is_named(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "datasets"
    shutil.copytree(folder / "characters", folder / "no-filters")
    with pytest.raises(ConfigError, match=r"which dataset\? There are characters, no-filters"):
        Cache(workspace).open()
    mark_variant(workspace, "no-filters", "characters")
    assert Cache(workspace).open().dataset.startswith("characters/")
    assert Cache(workspace, "no-filters").open().dataset.startswith("no-filters/")


def test_two_processes_make_the_same_cache_at_once(workspace: Workspace) -> None:
    script = """
    import sys
    from ganime.review.cache import Cache
    from ganime.store.workspace import Workspace
    snapshot = Cache(Workspace(sys.argv[1])).open()
    print(snapshot.key, snapshot.num_rows)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), workspace.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {process.communicate()[0] for process in processes}
    assert len(told) == 1
    assert [process.returncode for process in processes] == [0, 0]
    folder = workspace.shared_folder("review")
    assert not list(folder.rglob("*.partial"))


def test_the_page_needs_neither_prefect_nor_torch() -> None:
    script = (
        "import sys, ganime.review.serve; print(sorted({'prefect', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
