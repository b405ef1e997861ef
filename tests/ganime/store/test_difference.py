from pathlib import Path

import pytest

from ganime.errors import ManifestError
from ganime.rows import DecisionRow, MemberRow
from ganime.stages.curate import CurateConfig
from ganime.store.difference import difference
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

STAYS, LOOSER, PERSON, STRICTER, LABELLED, NEW, GONE = [f"{i:02x}" * 32 for i in range(7)]


def write(
    store: Workspace, version: str, pixels: int, verdicts: dict[str, tuple[str, str]]
) -> None:
    """A version with one rule's verdicts; what it keeps is its members."""
    config = CurateConfig.parse({"rules": [{"name": "min_side", "pixels": pixels}]})
    made = Provenance(stage="curate", revision=1, config=config, run_id="run-0")
    decisions = [
        DecisionRow(
            image_id=image_id,
            rule="min_side",
            order=0,
            verdict=verdict,
            reason=None,
            score=None,
            threshold=None,
            evidence=None,
            decided_by=by,
        )
        for image_id, (verdict, by) in verdicts.items()
    ]
    kept = [image_id for image_id, (verdict, _) in verdicts.items() if verdict == "keep"]
    members = [
        MemberRow(image_id=image_id, shard="none", offset=i, split="train", tags=[])
        for i, image_id in enumerate(kept)
    ]
    root = f"datasets/girls/{version}"
    Table(store, DecisionRow, root=root).write("decisions", decisions, made)
    Table(store, MemberRow, root=root).write("members", members, made)


def test_every_image_that_comes_or_goes_has_a_reason(tmp_path: Path) -> None:
    store, keep, drop = Workspace(str(tmp_path)), ("keep", "rule"), ("drop", "rule")
    was = {STAYS: keep, LOOSER: drop, PERSON: drop, STRICTER: keep, LABELLED: keep, GONE: keep}
    now = {STAYS: keep, LOOSER: keep, PERSON: ("keep", "person"), STRICTER: drop, NEW: keep}
    write(store, "v1", 100, was)
    write(store, "v2", 200, {**now, LABELLED: ("drop", "person")})
    found = difference(store, "girls/v1", "girls/v2")
    assert (found.before, found.after) == (4, 4)
    assert found.added == {
        "no longer dropped by min_side": [LOOSER],
        "a person keeps what min_side dropped": [PERSON],
        "newly crawled": [NEW],
    }
    assert found.removed == {
        "now dropped by min_side": [STRICTER],
        "dropped by a person (min_side)": [LABELLED],
        "not in these crawls": [GONE],
    }
    assert [line[:7] for line in found.settings] == ["- rule ", "+ rule "]
    assert "4 -> 4 images" in found.lines()[0]
    assert difference(store, "girls/v1", "girls/v1").lines() == ["4 -> 4 images"]


def test_a_version_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="girls/v1"):
        difference(Workspace(str(tmp_path)), "girls/v1", "girls/v2")
