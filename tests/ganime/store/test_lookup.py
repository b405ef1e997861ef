from dataclasses import replace
from pathlib import Path

import pytest

from ganime.config import Config
from ganime.rows import NeighbourRow, PostRow, ScoreRow
from ganime.store import lookup
from ganime.store.lookup import Lookup, id_range, refresh_all, word_range
from ganime.store.manifest import Provenance, Table, from_arrow, read_equal, read_places, to_arrow
from ganime.store.workspace import Workspace

FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run-0")
IDS = [f"{i * 2654435761 % 2**32:08x}" * 8 for i in range(60)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def edges(image_id: str, others: list[str]) -> NeighbourRow:
    num = len(others)
    return NeighbourRow(
        image_id=image_id,
        others=others,
        hamming=[1] * num,
        similarity=[0.9] * num,
        mirrored=[False] * num,
        run_id="run-0",
    )


def whole(image_id: str) -> tuple[int, int]:
    keys = id_range(image_id)
    assert keys
    return keys


def write(workspace: Workspace, numbers: range, name: str) -> None:
    rows = [edges(IDS[i], [IDS[i - 1]] if i else []) for i in numbers]
    Table(workspace, NeighbourRow).write(name, rows, FROM)


def test_an_image_is_found_by_its_id_its_beginning_and_in_lists(workspace: Workspace) -> None:
    write(workspace, range(30), "a")
    write(workspace, range(30, 60), "b")
    for i in (0, 29, 30, 59):
        for digits in (IDS[i], IDS[i][:8], IDS[i][:16]):
            rows = from_arrow(NeighbourRow, Lookup(workspace, NeighbourRow).find(whole(digits)))
            assert {row.image_id for row in rows} == set(IDS[i : i + 2])
    assert Lookup(workspace, NeighbourRow).find((5, 6)).num_rows == 0


def test_what_is_no_id_has_no_keys() -> None:
    assert id_range("safebooru/12") is None
    assert id_range("") is None
    assert id_range("ABCDEF") is None
    assert word_range("safebooru/12") == word_range("safebooru/12")
    assert word_range("safebooru/12") != word_range("safebooru/21")
    assert word_range("日本") != word_range("本日")


def test_new_parts_are_found_and_old_ones_not_read_again(workspace: Workspace) -> None:
    write(workspace, range(30), "a")
    Lookup(workspace, NeighbourRow).refresh()
    first = list(Path(workspace.url, ".index").rglob("*.npy"))
    write(workspace, range(30, 60), "b")
    found = Lookup(workspace, NeighbourRow).find(whole(IDS[45]))
    assert found["image_id"].to_pylist() == IDS[45:47]
    later = set(Path(workspace.url, ".index").rglob("*.npy"))
    assert len(first) == 1
    assert set(first) < later


def test_many_small_additions_become_one_file_without_the_parts_that_are_gone(
    workspace: Workspace,
) -> None:
    for i in range(12):
        write(workspace, range(i * 5, i * 5 + 5), f"part-{i:02d}")
        Lookup(workspace, NeighbourRow).refresh()
        if i == 6:
            workspace.remove("manifests/neighbours/part-02.parquet")
    assert len(list(Path(workspace.url, ".index").rglob("*.npy"))) < lookup._MAX_GENERATIONS
    for i in (0, 30, 57):
        found = Lookup(workspace, NeighbourRow).find(whole(IDS[i]))
        assert found["image_id"].to_pylist() == IDS[i : i + 2]
    assert Lookup(workspace, NeighbourRow).find(whole(IDS[12])).num_rows == 0


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"not an array"])
def test_a_damaged_index_is_made_anew(workspace: Workspace, damage: bytes) -> None:
    write(workspace, range(60), "a")
    refresh_all(workspace)
    for path in Path(workspace.url, ".index").rglob("*"):
        if path.is_file() and "neighbours" in str(path):
            path.write_bytes(damage)
    found = Lookup(workspace, NeighbourRow).find(whole(IDS[7]))
    assert found["image_id"].to_pylist() == IDS[7:9]


def test_where_the_index_cannot_be_kept_it_serves_once(workspace: Workspace) -> None:
    write(workspace, range(60), "a")
    Path(workspace.url, ".index").write_text("a file where the folder would be")
    found = Lookup(workspace, NeighbourRow).find(whole(IDS[7]))
    assert found["image_id"].to_pylist() == IDS[7:9]


def test_of_several_attempts_the_latest_is_found(workspace: Workspace, a_post: PostRow) -> None:
    failed = replace(a_post, outcome="failed", image_id=None)
    fetched = replace(a_post, outcome="fetched", image_id=IDS[3], attempt=2)
    Table(workspace, PostRow, "crawl").write("b", [failed], FROM)
    Table(workspace, PostRow, "crawl").write("a", [fetched], FROM)
    for keys in (whole(IDS[3]), word_range("safebooru/7"), word_range(a_post.post_url)):
        (row,) = from_arrow(PostRow, Lookup(workspace, PostRow).find(keys))
        assert row == fetched


@pytest.fixture
def a_post() -> PostRow:
    words = {"source": "safebooru", "post_id": "7", "post_url": "https://localhost/7"}
    nothing = dict.fromkeys(
        [
            *("file_url", "score", "width", "height", "site_md5", "posted_at", "changed_at"),
            *("parent_id", "source_link", "reason", "http_status", "num_bytes", "image_id"),
            "fetched_at",
        ]
    )
    return PostRow(
        **{**words, **nothing},  # type: ignore[arg-type]
        tags=["1girl"],
        artist_tags=[],
        copyright_tags=[],
        character_tags=[],
        meta_tags=[],
        query="1girl",
        position=0,
        rating="general",
        state="active",
        version=1,
        crawl_id="crawl",
        outcome="fetched",
        transient=False,
        attempt=1,
        run_id="run-0",
    )


def test_single_rows_are_read_from_their_row_groups(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganime.store.parts._GROUP_ROWS", 7)
    rows = [edges(image_id, []) for image_id in sorted(IDS)]
    key = Table(workspace, NeighbourRow).write("a", rows, FROM).key
    for places in ([0], [59], [6, 7, 8], [3, 20, 41, 42, 59], []):
        table = read_places(workspace, key, NeighbourRow, places, ["image_id"])
        assert table["image_id"].to_pylist() == [rows[i].image_id for i in places]
    for i in (0, 30, 59):
        table = read_equal(workspace, key, NeighbourRow, "image_id", rows[i].image_id)
        assert table.equals(to_arrow(NeighbourRow, [rows[i]]))
    assert read_equal(workspace, key, NeighbourRow, "image_id", "zz").num_rows == 0


def test_an_index_of_nothing_finds_nothing(workspace: Workspace) -> None:
    refresh_all(workspace)
    assert Lookup(workspace, ScoreRow).find(whole(IDS[0])).num_rows == 0
