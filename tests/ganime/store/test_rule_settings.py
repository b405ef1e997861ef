"""What people save of single rules: who, when, why, and taking it back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganime.errors import ConfigError, ManifestError
from ganime.store.rule_settings import as_parents, current, of_parents, save, undo
from ganime.store.workspace import Workspace


@pytest.fixture(params=["disk", "memory"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    url = {"disk": str(tmp_path / "workspace"), "memory": f"memory://{tmp_path.name}"}
    return Workspace(url[request.param])


@pytest.fixture
def put(workspace: Workspace) -> Callable[..., None]:
    def save_one(value: float, by: str, rule: str = "chibi") -> None:
        save(workspace, "faces", rule=rule, option="threshold", value=value, by=by, note="why")

    return save_one


def test_the_last_saved_holds_and_undoing_brings_the_one_before_back(
    workspace: Workspace, put: Callable[..., None]
) -> None:
    put(0.7, "ann")
    put(0.8, "bob")
    put(0.5, "ann", rule="background")
    assert [(one.rule, one.value, one.by) for one in current(workspace, "faces")] == [
        ("background", 0.5, "ann"),
        ("chibi", 0.8, "bob"),
    ]
    assert undo(workspace, "faces", rule="chibi", by="eve").by == "bob"
    assert [one.value for one in current(workspace, "faces")] == [0.5, 0.7]
    undo(workspace, "faces", rule="chibi", by="eve")
    assert [one.rule for one in current(workspace, "faces")] == ["background"]
    with pytest.raises(ConfigError, match="none can be undone"):
        undo(workspace, "faces", rule="chibi", by="eve")
    assert current(workspace, "others") == []


def test_two_people_at_once_lose_nothing(workspace: Workspace, put: Callable[..., None]) -> None:
    rules = [f"rule_{i}" for i in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda rule: put(0.5, "ann", rule=rule), rules))
    assert [one.rule for one in current(workspace, "faces")] == sorted(rules)


def test_a_footer_tells_who_set_what(workspace: Workspace, put: Callable[..., None]) -> None:
    put(0.7, "ann")
    settings = current(workspace, "faces")
    parents = {"padded": "abc", **as_parents(settings)}
    assert of_parents(parents) == settings
    assert settings[0].told().startswith("ann set threshold to 0.7 on 20")
    assert settings[0].told().endswith(": why")


def test_what_is_no_number_or_nobodys_is_refused(put: Callable[..., None]) -> None:
    for value, by in ((float("nan"), "ann"), (float("inf"), "ann"), (0.5, "")):
        with pytest.raises(ConfigError):
            put(value, by)


def test_a_damaged_file_is_named(workspace: Workspace) -> None:
    workspace.write_text("settings/faces/broken.json", "{")
    with pytest.raises(ManifestError, match="broken"):
        current(workspace, "faces")
