import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganime.config import Config
from ganime.decide import PERSON
from ganime.errors import ConfigError
from ganime.filters import Facts
from ganime.gather import gather
from ganime.recurate import Redecision, find_dataset, recurate
from ganime.rows import DecisionRow, ImageRow, PaddedRow, PostRow, ScoreRow
from ganime.stages import curate
from ganime.stages.curate import CurateConfig
from ganime.store.difference import difference
from ganime.store.explain import explain
from ganime.store.labels import Answer, LabelLog
from ganime.store.lineage import crawled_images, crawls_of, latest
from ganime.store.manifest import Provenance, Table
from ganime.store.packing import split_of
from ganime.store.pixels import Dataset, write_shard
from ganime.store.workspace import Workspace

SETTINGS = {
    "rules": [
        "decodable",
        {"name": "min_side", "pixels": 100},
        {"name": "classified", "ask": "chibi"},
    ],
    "resolution": 32,
}
IDS = [f"{i:02x}" * 32 for i in range(6)]
BROKEN, SMALL, CHIBI = IDS[:3]
FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run-0")


@pytest.fixture
def workspace(
    post_row: Callable[..., PostRow], image_row: Callable[..., ImageRow], tmp_path: Path
) -> Workspace:
    """Six images: one broken, one small, one chibi, three good; padded to 64 px."""
    store = Workspace(str(tmp_path))
    posts = [
        post_row(i, image_id, tags=["1girl", f"tag_{i}"])
        for i, image_id in (*enumerate(IDS), (9, IDS[3]))
    ]
    Table(store, PostRow, "crawl").write("part", posts, FROM)
    images = [
        image_row(BROKEN, 200, problem="truncated"),
        image_row(SMALL, 50),
        *(image_row(image_id, 200) for image_id in IDS[2:]),
    ]
    Table(store, ImageRow).write("part", images, FROM)
    scores = [
        ScoreRow(
            image_id=image_id,
            measurement="chibi",
            revision="c1",
            score=0.9 if image_id == CHIBI else 0.1,
            run_id="run-0",
            at=datetime.now(UTC),
        )
        for image_id in IDS
    ]
    Table(store, ScoreRow, "chibi").write("part", scores, FROM)
    pixels = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), dtype=np.uint8)
    write_shard(store, "padded/p/shard.npy", pixels)
    padded = [
        PaddedRow(
            image_id=image_id,
            shard="padded/p/shard.npy",
            offset=i,
            scale=1.0,
            fill=[255, 255, 255],
            problem=None,
            run_id="run-0",
        )
        for i, image_id in enumerate(IDS)
    ]
    Table(store, PaddedRow, "p").write("part", padded, FROM)
    return store


def run(workspace: Workspace, **changes: object) -> curate.DatasetRef:
    return curate.run(
        workspace,
        CurateConfig.parse({**SETTINGS, **changes}),
        images=crawled_images(workspace, ["crawl"]),
        classifiers={"chibi": ("c1", 0.5)},
        labels=LabelLog(workspace).current(),
        pad_scope="p",
        crawl_ids=["crawl"],
        run_id="run-1",
    )


def members(workspace: Workspace, reference: curate.DatasetRef) -> list[str]:
    return [row.image_id for row in Dataset(workspace, reference.name, reference.version).members]


def test_what_no_rule_drops_is_packed_at_the_resolution(workspace: Workspace) -> None:
    reference = run(workspace)
    data = Dataset(workspace, reference.name, reference.version)
    assert members(workspace, reference) == IDS[3:]
    assert data.images.shape == (3, 32, 32, 3)
    padded = np.load(Path(workspace.url) / "padded/p/shard.npy")
    by_hand = padded[3].reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(data.images[0] - by_hand).max() <= 0.5


def test_tags_and_posts_of_one_image_are_joined(workspace: Workspace) -> None:
    reference = run(workspace)
    row = Dataset(workspace, reference.name, reference.version).members[0]
    assert row.tags == ["1girl", "tag_3", "tag_9"]


def test_tag_vectors_lie_beside_the_images(workspace: Workspace) -> None:
    reference = run(workspace, holdout=0.015, vocabulary={"num": 3, "min_share": 0.3})
    data = Dataset(workspace, reference.name, reference.version)
    assert data.tags == ["1girl", "tag_3", "tag_4"]
    assert [row.image_id for row in data.members] == [IDS[4], IDS[5], IDS[3]]  # holdout comes last
    assert [row.split for row in data.members] == ["train", "train", "holdout"]
    assert data.labels.tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]
    assert data.split_labels("train").tolist() == data.labels[:2].tolist()
    assert isinstance(data.labels, np.memmap)


def test_the_card_tells_what_is_in_it_why_and_how_to_make_it_again(workspace: Workspace) -> None:
    answer = Answer(image_id=IDS[5], question="keep", answer=False)
    LabelLog(workspace).append([answer], by="ann", how="by hand")
    rows = Table(workspace, PostRow, "crawl").rows()
    posted = datetime(2019, 5, 6, tzinfo=UTC)
    spelt = [replace(row, posted_at=posted, tags=["1girl", "|<b>x</b>"]) for row in rows]
    Table(workspace, PostRow, "crawl").write("part", spelt, FROM)
    reference = run(workspace)
    told = (Path(workspace.url) / f"datasets/{reference}/README.md").read_text()
    for line in (
        f"# {reference}",
        "| holdout | 2 |",
        "| safebooru | 3 |",
        "| general | 2 |",
        "| 2019 | 2 |",
        "| person |  | 1 | 1 | 5 | 1 |",
        "| min_side | pixels 100 | 1 | 1 | 0 | 0 |",
        '| chibi | ask "chibi" | 1 | 1 | 0 | 0 |',
        "| chibi | c1 | 0.5 |",
        "| 1girl | 2 | 100.0% |",
    ):
        assert line in told.splitlines()
    assert "rights in the images stay with their artists" in told
    assert "<b>" not in told.replace("\\<b", "")
    settings = tomllib.loads(told.split("```toml")[1].split("```")[0])
    assert CurateConfig.parse(settings["curate"]) == CurateConfig.parse(SETTINGS)


def test_sides_stay_as_they_are_when_more_is_crawled(workspace: Workspace) -> None:
    few = run(workspace, holdout=0.015)
    rows = {row.image_id: row for row in Table(workspace, PostRow, "crawl").rows()}
    some = [rows[image_id] for image_id in IDS[2:4]]
    Table(workspace, PostRow, "before").write("part", some, FROM)
    earlier = curate.run(
        workspace,
        CurateConfig.parse({**SETTINGS, "holdout": 0.015}),
        images=crawled_images(workspace, ["before"]),
        classifiers={},
        labels=[],
        pad_scope="p",
        crawl_ids=["before"],
        run_id="run-1",
    )
    sides = [
        {row.image_id: row.split for row in Dataset(workspace, name.name, name.version).members}
        for name in (earlier, few)
    ]
    assert len(sides[0].keys() & sides[1].keys()) > 0
    assert all(sides[1].get(image_id, side) == side for image_id, side in sides[0].items())


def test_the_same_facts_give_the_same_version(workspace: Workspace) -> None:
    assert run(workspace) == run(workspace)
    assert latest(workspace) == [("characters", run(workspace).version)]
    assert crawls_of(workspace, "characters", run(workspace).version) == ["crawl"]


def test_a_new_threshold_makes_a_new_version_and_leaves_the_old(workspace: Workspace) -> None:
    old = run(workspace)
    rules = [{"name": "classified", "ask": "chibi", "threshold": 0.95}, "decodable"]
    new = run(workspace, rules=rules)
    assert new.version != old.version
    assert CHIBI in members(workspace, new)
    assert CHIBI not in members(workspace, old)
    assert latest(workspace) == [("characters", new.version)]


def test_a_label_counts_in_the_next_version(workspace: Workspace) -> None:
    LabelLog(workspace).append(
        [
            Answer(image_id=CHIBI, question="keep", answer=True),
            Answer(image_id=IDS[5], question="keep", answer=False, note="ugly"),
        ],
        by="ann",
        how="by hand",
    )
    reference = run(workspace)
    assert members(workspace, reference) == [CHIBI, *IDS[3:5]]
    rows = Table(workspace, DecisionRow, root=f"datasets/{reference}").rows()
    (row,) = [row for row in rows if row.image_id == IDS[5] and row.rule == PERSON]
    assert json.loads(row.evidence or "")["note"] == "ugly"


def test_the_whole_story_of_an_image_is_told(workspace: Workspace) -> None:
    reference = run(workspace)
    (story,) = explain(workspace, "safebooru/2")
    assert story.image_id == CHIBI
    told = dict(story.chapters)
    assert "http://localhost/2" in told["crawl"][0]
    assert told["classify"][0].startswith("chibi 0.900 by classifier c1")
    assert told[f"curate {reference}"][-1] == "status: dropped by chibi"
    (by_digits,) = explain(workspace, CHIBI[:8])
    assert by_digits == story
    (kept,) = explain(workspace, IDS[4])
    assert dict(kept.chapters)[f"curate {reference}"][-1] == "status: kept"


def test_an_unknown_image_is_asked_for_in_words(workspace: Workspace) -> None:
    for reference in ("abcdef0123", "safebooru/77", "x"):
        with pytest.raises(ConfigError, match=r"nothing in .* answers to"):
            explain(workspace, reference)


def test_when_nothing_is_left_the_decisions_are_kept_and_the_rule_is_named(
    workspace: Workspace,
) -> None:
    with pytest.raises(ConfigError, match=r"no image is left.*min_side 5"):
        run(workspace, rules=["decodable", {"name": "min_side", "pixels": 9999}])
    ((name, version),) = latest(workspace)
    rows = Table(workspace, DecisionRow, root=f"datasets/{name}/{version}").rows()
    assert len(rows) == 3 * len(IDS)


def test_a_resolution_beyond_the_padding_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"padded to 64 px: set pad.size=128 or more"):
        run(workspace, resolution=128)


def test_an_image_never_changes_sides_as_a_set_grows() -> None:
    ids = [f"{i * 2654435761 % 2**32:08x}" for i in range(2000)]
    sides = [split_of(image_id, 0.1) for image_id in ids]
    assert 150 < sides.count("holdout") < 250
    assert all(
        split_of(image_id, 0.2) == "holdout"
        for image_id, side in zip(ids, sides, strict=True)
        if side == "holdout"
    )


def test_what_could_not_be_made_square_is_dropped_with_that_reason(workspace: Workspace) -> None:
    narrow = PaddedRow(
        image_id=IDS[5],
        shard=None,
        offset=None,
        scale=None,
        fill=[255, 255, 255],
        problem="too_narrow",
        run_id="run-1",
    )
    rows = [row for row in Table(workspace, PaddedRow, "p").rows() if row.image_id != IDS[5]]
    Table(workspace, PaddedRow, "p").write("part", [*rows, narrow], FROM)
    reference = run(workspace)
    assert members(workspace, reference) == IDS[3:5]
    decisions = Table(workspace, DecisionRow, root=f"datasets/{reference}").rows()
    (row,) = [row for row in decisions if (row.image_id, row.rule) == (IDS[5], "decodable")]
    assert (row.verdict, row.reason) == ("drop", "too_narrow")


def redecide(
    workspace: Workspace, changes: dict[str, dict[str, float]], **more: bool
) -> Redecision:
    workspace.write_text("classifiers/c1/figures.json", '{"threshold": 0.5}')
    labels = LabelLog(workspace).current()
    return recurate(workspace, "", changes, labels=labels, run_id="run-2", **more)


def test_a_new_threshold_says_what_flips_before_anything_is_written(workspace: Workspace) -> None:
    reference = run(workspace)
    found = redecide(workspace, {"chibi": {"threshold": 0.95}}, write=False)
    assert found.flips == {("chibi", "kept"): [CHIBI]}
    assert found.after is None
    assert f"     1 chibi -> kept, for example {CHIBI[:12]}" in found.lines()
    assert find_dataset(workspace, "characters").version == reference.version


def test_a_new_decision_makes_a_new_version_and_the_old_one_stays(workspace: Workspace) -> None:
    reference = run(workspace)
    found = redecide(workspace, {"min_side": {"pixels": 10}})
    assert found.after is not None
    assert found.after.version != reference.version
    assert found.flips == {("min_side", "kept"): [SMALL]}
    assert members(workspace, found.after) == [SMALL, *IDS[3:]]
    assert members(workspace, reference) == IDS[3:]
    lines = difference(workspace, str(reference), str(found.after)).lines()
    assert lines[0] == "3 -> 4 images"
    assert any("no longer dropped by min_side" in line for line in lines)


def test_labels_stay_on_top_of_a_new_threshold(workspace: Workspace) -> None:
    run(workspace)
    answer = Answer(image_id=CHIBI, question="chibi", answer=True)
    LabelLog(workspace).append([answer], by="ann", how="by hand")
    found = redecide(workspace, {"chibi": {"threshold": 0.95}})
    assert found.flips == {}
    assert "nothing flips" in found.lines()


def test_deciding_again_gathers_the_facts_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(workspace)
    calls: list[int] = []

    def counted(*arguments: Any) -> Facts:
        calls.append(1)
        return gather(*arguments)

    monkeypatch.setattr(curate, "gather", counted)
    found = redecide(workspace, {"min_side": {"pixels": 10}})
    assert found.after is not None
    assert len(calls) == 1
    again = run(
        workspace,
        rules=[
            "decodable",
            {"name": "min_side", "pixels": 10},
            {"name": "classified", "ask": "chibi"},
        ],
    )
    assert again == found.after
