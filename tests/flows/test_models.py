"""`ganime models`: which there are, which is current, and models as files."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.cli.model_store import models
from ganime.errors import ConfigError, WeightsError
from ganime.gans.dcgan import Dcgan
from ganime.stages.train import TrainConfig
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint
from ganime.training.snapshot import save_snapshot

ROOT = Path(__file__).parents[2]
RECIPE = Dcgan(latent=8, width_generator=4, widest=16)
FIRST, SECOND = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two models in the workspace called `workspace` of the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    store = Workspace(str(tmp_path / "workspace"))
    store.write_text("manifests/.keep", "")
    config = TrainConfig(recipe=RECIPE, resolution=32).model_dump(mode="json")
    for model_id in (FIRST, SECOND):
        blueprint = Blueprint(RECIPE, 32)
        save_snapshot(store, model_id, 64, blueprint.network(), blueprint)
        settings = {"model_id": model_id, "dataset_version": "girls/gone", "num_images": 9}
        described = {**settings, "tags": [], "config": config}
        store.write_text(f"models/{model_id}/config.json", json.dumps(described))
    return store


def call(*arguments: str) -> None:
    models(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")


def test_a_list_marks_the_current_model(workspace: Workspace, capsys: Any) -> None:
    call("promote", "aaaa", "--note", "hands are better", "--by", "ann")
    assert "aaaaaaaaaaaa promoted" in capsys.readouterr().out
    call("list")
    shown = capsys.readouterr().out
    (line,) = (line for line in shown.splitlines() if FIRST in line)
    assert "current" in line
    assert "dcgan" in line
    assert shown.count("current") == 1
    call("list", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert {row["model"]: row["current"] for row in listed} == {FIRST: True, SECOND: False}


def test_ids_are_whole_in_a_narrow_terminal(
    workspace: Workspace, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    call("list")
    assert FIRST in capsys.readouterr().out


def test_a_rollback_goes_to_the_model_before(workspace: Workspace, capsys: Any) -> None:
    for model in (FIRST, SECOND):
        call("promote", model, "--by", "ann")
    call("rollback", "--by", "bob", "--note", "it copies")
    assert f"current: {FIRST}" in capsys.readouterr().out
    call("history")
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 3
    assert told[2].endswith("by bob: it copies")
    call("history", "--json")
    assert [entry["model"] for entry in json.loads(capsys.readouterr().out)] == [
        *(FIRST, SECOND, FIRST)
    ]


def test_show_tells_all_and_what_is_missing(workspace: Workspace, capsys: Any) -> None:
    call("promote", FIRST, "--by", "ann", "--note", "the first")
    call("show", "aa")
    told = capsys.readouterr().out
    for part in (
        f"model {FIRST}, the current one",
        "dcgan at 32 px, 64 images shown: not finished",
        "snapshots: 64",
        "trained on 9 images of girls/gone, which is not in this workspace",
        "no metrics yet",
        "by ann: the first",
    ):
        assert part in told
    call("show", "aa", "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["snapshots"], found["dataset_is_here"]) == ([64], False)
    assert found["trained_on"]["num_images"] == 9


def test_a_model_goes_from_one_workspace_to_another(workspace: Workspace, capsys: Any) -> None:
    call("export", "aaaa", "girls.ganime")
    told = capsys.readouterr().out
    assert f"girls.ganime: model {FIRST} at 64 images shown" in told
    assert "the card tells its name alone" in told
    for _ in range(2):
        call("import", "girls.ganime", "--workspace", "other")
        told = capsys.readouterr().out
        assert f"model {FIRST}: dcgan at 32 px" in told
        assert "its dataset girls/gone is not in" in told
    call("list", "--json", "--workspace", "other")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["model"], row["imported"]) == (FIRST, True)


def test_what_is_no_package_is_one_sentence(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(WeightsError, match=r"notes\.txt is no whole model package"):
        call("import", "notes.txt")
    with pytest.raises(ConfigError, match=r"cannot read none\.ganime"):
        call("import", "none.ganime")
    with pytest.raises(ConfigError, match="no current model to go back to"):
        call("rollback")


def test_looking_at_models_imports_no_torch(workspace: Workspace) -> None:
    script = (
        "import sys\n"
        "from flows.cli.model_store import models\n"
        "for line in (['list'], ['show', 'aa'], ['history'], ['promote', 'aa']):\n"
        "    models(line, exit_on_error=False, result_action='return_value')\n"
        "    heavy = {'prefect', 'torch', 'numba'} & set(sys.modules)\n"
        "    assert not heavy, (line, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_every_command_of_the_page_parses() -> None:
    text = (ROOT / "docs/models.md").read_text()
    lines = [line.partition("#")[0] for line in text.splitlines() if line.startswith("ganime mod")]
    assert len(lines) >= 8
    for line in lines:
        _, _, *arguments = shlex.split(line)
        models.parse_args(arguments, exit_on_error=False, print_error=False)
