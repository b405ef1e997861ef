"""One model is the current one, and how it came to be is written down."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from ganime.errors import ConfigError, ManifestError
from ganime.promotion import KEY, current, history, promote, rollback
from ganime.store.workspace import Workspace

MODELS = ("aaaa", "bbbb", "cccc")


@pytest.fixture(params=["disk", "memory"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """Three models with a snapshot each, and one that has not come so far."""
    url = str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}"
    workspace = Workspace(url)
    for model in (*MODELS, "early"):
        workspace.write_text(f"models/{model}/config.json", "{}")
    for model in MODELS:
        workspace.write_bytes(f"models/{model}/snapshots/000000001.safetensors", b"weights")
    return workspace


def test_before_the_first_promotion_no_model_is_current(workspace: Workspace) -> None:
    assert current(workspace) is None
    assert history(workspace) == []


def test_a_promotion_says_who_when_why_and_by_what_comparison(workspace: Workspace) -> None:
    made = promote(workspace, "aaaa", by="ann", note="looks best", comparison={"fd": [2.0, 1.5]})
    assert current(workspace) == "aaaa"
    assert history(workspace) == [made]
    assert (made.action, made.by, made.note) == ("promote", "ann", "looks best")
    assert made.comparison == {"fd": [2.0, 1.5]}
    assert made.at.tzinfo is not None
    assert json.loads(workspace.read_bytes(KEY))["current"] == "aaaa"


def test_promoting_the_current_model_again_changes_nothing(workspace: Workspace) -> None:
    first = promote(workspace, "aaaa", by="ann")
    assert promote(workspace, "aaaa", by="bob") == first
    assert len(history(workspace)) == 1


def test_rollbacks_go_back_one_by_one_and_past_what_was_rolled_back(workspace: Workspace) -> None:
    promote(workspace, "aaaa", by="ann")
    promote(workspace, "bbbb", by="ann")
    assert rollback(workspace, by="bob", note="it copies") == "aaaa"
    promote(workspace, "cccc", by="ann")
    assert rollback(workspace, by="bob") == "aaaa"
    assert current(workspace) == "aaaa"
    with pytest.raises(ConfigError, match="aaaa is the first"):
        rollback(workspace, by="bob")
    actions = [entry.action for entry in history(workspace)]
    assert actions == ["promote", "promote", "rollback", "promote", "rollback"]


def test_there_is_nothing_to_roll_back_to_before_the_first(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="none was ever promoted"):
        rollback(workspace, by="ann")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("dddd", "holds: aaaa, bbbb, cccc, early"),
        ("early", "no snapshot yet"),
        ("../models", "no model"),
        ("", "no model"),
    ],
)
def test_only_a_model_that_can_draw_is_promoted(
    workspace: Workspace, model: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        promote(workspace, model, by="ann")
    assert current(workspace) is None


def test_a_model_deleted_since_is_no_way_back(workspace: Workspace) -> None:
    promote(workspace, "aaaa", by="ann")
    promote(workspace, "bbbb", by="ann")
    workspace.remove("models/aaaa/config.json")
    with pytest.raises(ConfigError, match="no model is 'aaaa'"):
        rollback(workspace, by="ann")
    assert current(workspace) == "bbbb"


def test_many_promoters_at_once_lose_no_entry(workspace: Workspace) -> None:
    def change(number: int) -> None:
        promote(workspace, MODELS[number % 3], by=f"person {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(24)))
    entries = history(workspace)
    pairs = pairwise(entries)
    assert all(one.model != other.model and one.at <= other.at for one, other in pairs)
    assert len({entry.by for entry in entries}) == len(entries)
    assert current(workspace) == entries[-1].model


def test_a_damaged_file_is_named_with_what_to_do(workspace: Workspace) -> None:
    workspace.write_text(KEY, '{"current": "aaaa"')
    with pytest.raises(ManifestError, match=r"current\.json is damaged: put back"):
        current(workspace)
