import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ganime.config import Config
from ganime.rows import EvaluationRow, ScoreRow
from ganime.store import merging
from ganime.store.lookup import Lookup, id_range
from ganime.store.manifest import Provenance, Table, read_footer, read_part
from ganime.store.workspace import Workspace

FEW = 5


def made_by(run_id: str) -> Provenance:
    return Provenance(
        stage="classify", revision=3, config=Config(), run_id=run_id, parents={"weights": "abc"}
    )


def score(i: int) -> ScoreRow:
    return ScoreRow(
        image_id=f"{i:064x}",
        measurement="chibi",
        revision="c1",
        score=i / 1000,
        run_id="run",
        at=datetime(2026, 1, 2, tzinfo=UTC),
    )


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table[ScoreRow]:
    monkeypatch.setattr(merging, "MAX_SMALL", FEW)
    monkeypatch.setattr(merging, "_CHECK_EVERY", 1)
    return Table(Workspace(str(tmp_path)), ScoreRow, "chibi")


def commit(table: Table[ScoreRow], numbers: range) -> None:
    for i in numbers:
        table.write(f"{i:04d}", [score(i)], made_by(f"run-{i // 4}"))


def in_order(table: Table[ScoreRow]) -> list[ScoreRow]:
    return sorted(table.rows(), key=lambda row: row.score)


def files(table: Table[ScoreRow]) -> set[str]:
    return {path.name for path in Path(table.workspace.url, table.folder).glob("*.parquet")}


def test_many_little_parts_become_one_with_the_same_rows(table: Table[ScoreRow]) -> None:
    commit(table, range(FEW))
    before = table.parts()
    assert len(before) == FEW
    commit(table, range(FEW, 40))
    assert len(table.parts()) <= FEW
    assert in_order(table) == [score(i) for i in range(40)]
    assert set(before) <= {f"{table.folder}/{name}" for name in files(table)}


def test_a_reader_that_holds_names_of_parts_still_finds_them(table: Table[ScoreRow]) -> None:
    commit(table, range(FEW))
    held = table.parts()
    commit(table, range(FEW, 20))
    assert not set(held) & set(table.parts())
    assert sum(read_part(table.workspace, key, ScoreRow).num_rows for key in held) == FEW


def test_parts_merged_long_ago_are_removed(
    table: Table[ScoreRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_GRACE_S", -1.0)
    commit(table, range(60))
    assert {f"{table.folder}/{name}" for name in files(table)} == set(table.parts())
    assert len(files(table)) <= FEW
    assert sorted(table.column("score")) == [i / 1000 for i in range(60)]


def test_the_digest_is_that_of_what_was_committed(
    table: Table[ScoreRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(table, range(FEW))
    monkeypatch.setattr(merging, "_CHECK_EVERY", 10**9)
    commit(table, range(FEW, 30))
    apart = table.digest()
    for _ in range(3):
        merging.tidy(table.workspace, table.folder, ScoreRow)
    assert len(table.parts()) == 1
    assert table.digest() == apart


def test_a_merged_part_tells_where_each_of_its_parts_came_from(table: Table[ScoreRow]) -> None:
    commit(table, range(30))
    told: dict[str, str] = {}
    for key in table.parts():
        footer = read_footer(table.workspace, key)
        assert (footer["stage"], footer["revision"]) == ("classify", 3)
        for group in footer.get("merged", {"from": []})["from"]:
            assert group["footer"]["parents"] == {"weights": "abc"}
            told |= dict.fromkeys(group["names"], group["footer"]["run_id"])
    assert len(told) >= 30 - FEW
    assert all(run_id == f"run-{int(name[:4]) // 4}" for name, run_id in told.items())


def test_large_parts_are_left_alone(
    table: Table[ScoreRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_SMALL", 10)
    commit(table, range(3 * FEW))
    assert len(table.parts()) == 3 * FEW


def test_scopes_are_merged_each_for_itself(table: Table[ScoreRow]) -> None:
    other = Table(table.workspace, ScoreRow, "chibi/deeper")
    commit(table, range(20))
    commit(other, range(20, 24))
    assert len(other.parts()) == 4
    assert in_order(table) == [score(i) for i in range(24)]


def test_rows_that_are_asked_for_by_part_are_not_merged() -> None:
    assert not EvaluationRow.MERGES


def test_a_damaged_part_stops_no_commit(
    table: Table[ScoreRow], caplog: pytest.LogCaptureFixture
) -> None:
    commit(table, range(FEW))
    Path(table.workspace.url, table.parts()[0]).write_bytes(b"PAR1")
    commit(table, range(FEW, FEW + 3))
    assert len(table.parts()) == FEW + 3
    assert "is not tidied" in caplog.text


def test_an_index_follows_its_rows_into_a_merged_part(table: Table[ScoreRow]) -> None:
    commit(table, range(FEW))
    lookup = Lookup(table.workspace, ScoreRow)
    lookup.refresh()
    commit(table, range(FEW, 30))
    for i in (0, 17, 29):
        keys = id_range(f"{i:064x}")
        assert keys
        found = Lookup(table.workspace, ScoreRow).find(keys)
        assert f"{i:064x}" in found["image_id"].to_pylist()


def test_readers_see_all_rows_while_parts_are_merged(table: Table[ScoreRow]) -> None:
    committed, seen, stop = [0], [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            least = committed[0]
            seen.append(Table(table.workspace, ScoreRow, "chibi").read().num_rows - least)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(80):
        commit(table, range(i, i + 1))
        committed[0] = i + 1
    stop.set()
    reader.join()
    assert len(seen) > 5
    assert min(seen) >= 0


WRITER = """
import sys
from ganime.store import merging
from tests_of_merging import commit
from ganime.rows import ScoreRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
merging.MAX_SMALL, merging._CHECK_EVERY, merging._GRACE_S = 3, 1, -1.0
table = Table(Workspace(sys.argv[1]), ScoreRow, "chibi")
for i in range(int(sys.argv[2]), 10**6):
    commit(table, range(i, i + 1))
    print(i, flush=True)
"""


def test_what_was_committed_outlives_kill_9_at_any_moment(tmp_path: Path) -> None:
    (tmp_path / "tests_of_merging.py").write_text(Path(__file__).read_text())
    random.seed(5)
    done = -1
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "workspace"), str(done + 1)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        )
        assert writer.stdout
        enough = done + random.randint(10, 40)
        for line in writer.stdout:
            done = int(line)
            if done >= enough:
                break
        writer.send_signal(signal.SIGKILL)
        done = max([done, *(int(line) for line in writer.stdout)])
        writer.wait()
        table = Table(Workspace(str(tmp_path / "workspace")), ScoreRow, "chibi")
        ids = table.column("image_id")
        assert set(ids) >= {f"{i:064x}" for i in range(done + 1)}
        assert len(ids) == len(set(ids)) <= done + 2  # the last may be there before it was said
    assert len(table.parts()) < 12
