import dataclasses
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ganime.rows
from ganime.config import Config
from ganime.errors import ManifestError, StoreError
from ganime.rows import EvaluationRow, LabelRow, MetricRow, PostRow, Row
from ganime.store.manifest import (
    Provenance,
    Table,
    from_arrow,
    read_footer,
    read_part,
    schema_of,
    stable_columns,
    to_arrow,
)
from ganime.store.workspace import Workspace


class Settings(Config):
    size: int = 3


PROVENANCE = Provenance(
    stage="train", revision=7, config=Settings(), run_id="run-1", parents={"dataset": "abc"}
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def metric(nimg: int, value: float = 0.5) -> MetricRow:
    return MetricRow(nimg=nimg, name="loss", value=value)


def post(post_id: str, attempt: int, outcome: str) -> PostRow:
    return PostRow(
        crawl_id="c",
        source="safebooru",
        post_id=post_id,
        position=0,
        post_url="http://localhost/1",
        file_url=None,
        query="1girl",
        tags=["1girl", "solo"],
        artist_tags=[],
        copyright_tags=[],
        character_tags=[],
        meta_tags=[],
        rating="general",
        score=None,
        width=3,
        height=4,
        site_md5=None,
        posted_at=datetime(2026, 1, 2, tzinfo=UTC),
        changed_at=None,
        state="active",
        parent_id=None,
        source_link=None,
        version=1,
        outcome=outcome,
        reason=None,
        transient=False,
        attempt=attempt,
        http_status=200,
        num_bytes=9,
        image_id=None,
        fetched_at=None,
        run_id="run-1",
    )


def test_rows_survive_the_way_through_parquet(workspace: Workspace) -> None:
    rows = [post("1", 1, "fetched"), post("2", 1, "failed")]
    table = Table(workspace, PostRow, "c")
    manifest = table.write("part", rows, PROVENANCE)
    assert manifest.num_rows == 2
    assert table.rows() == rows
    assert manifest.key == "manifests/posts/c/part.parquet"


def test_the_footer_tells_where_a_part_came_from(workspace: Workspace) -> None:
    manifest = Table(workspace, MetricRow).write("part", [metric(1)], PROVENANCE)
    footer = read_footer(workspace, manifest.key)
    assert footer == {
        "row": "MetricRow",
        "schema_version": 1,
        "stage": "train",
        "revision": 7,
        "config": {"size": 3},
        "code_version": ganime.__version__,
        "parents": {"dataset": "abc"},
        "run_id": "run-1",
    }


def test_writing_the_same_part_twice_changes_nothing(workspace: Workspace) -> None:
    table = Table(workspace, MetricRow)
    first = table.write("part", [metric(1)], PROVENANCE)
    assert table.write("part", [metric(1)], PROVENANCE) == first
    assert table.read().num_rows == 1


def test_of_equal_keys_the_latest_attempt_counts(workspace: Workspace) -> None:
    table = Table(workspace, PostRow)
    table.write("a", [post("1", 2, "fetched"), post("2", 1, "failed")], PROVENANCE)
    table.write("b", [post("1", 1, "failed")], PROVENANCE)
    assert {row.post_id: row.outcome for row in table.rows()} == {"1": "fetched", "2": "failed"}


def test_two_writers_of_one_fact_make_one_row(workspace: Workspace) -> None:
    table = Table(workspace, MetricRow)
    table.write("a", [metric(1), metric(2)], PROVENANCE)
    table.write("b", [metric(2), metric(3)], PROVENANCE)
    assert table.column("nimg") == [1, 2, 3]


def test_a_null_in_a_required_column_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"MetricRow\.name is null"):
        to_arrow(MetricRow, [MetricRow(nimg=1, name=None, value=1.0)])  # type: ignore[arg-type]
    with pytest.raises(ManifestError, match="does not fit"):
        to_arrow(MetricRow, [MetricRow(nimg="x", name="a", value=1.0)])  # type: ignore[arg-type]


def test_a_damaged_part_is_named_with_what_to_do(workspace: Workspace, tmp_path: Path) -> None:
    key = Table(workspace, MetricRow).write("part", [metric(1)], PROVENANCE).key
    content = (tmp_path / key).read_bytes()
    for damage in (content[: len(content) // 2], b"", b"PAR1" + bytes(40) + b"PAR1"):
        (tmp_path / key).write_bytes(damage)
        with pytest.raises(ManifestError, match=r"part\.parquet is damaged.*delete it and run"):
            Table(workspace, MetricRow).read()


def test_a_part_that_is_gone_is_said_to_be_gone_at_any_place(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"memory://{tmp_path.name}"):
        store = Workspace(url)
        with pytest.raises(StoreError, match=r"a/part\.parquet: it is not there"):
            read_part(store, "a/part.parquet", MetricRow)
        with pytest.raises(StoreError, match=r"a/part\.parquet: it is not there"):
            read_footer(store, "a/part.parquet")


def test_someone_elses_parquet_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "manifests/metrics"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"nimg": [1]}), folder / "other.parquet")
    with pytest.raises(ManifestError, match="not written by ganime"):
        Table(workspace, MetricRow).read()


def test_another_kind_of_manifest_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    key = Table(workspace, MetricRow).write("part", [metric(1)], PROVENANCE).key
    wrong = tmp_path / "manifests/evaluations/part.parquet"
    wrong.parent.mkdir()
    (tmp_path / key).rename(wrong)
    with pytest.raises(ManifestError, match="holds MetricRow, wanted EvaluationRow"):
        Table(workspace, EvaluationRow).read()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewerMetricRow(MetricRow):
    """What MetricRow may become: one more column, which old parts lack."""

    VERSION = 2
    note: str | None = ganime.rows.column("a remark")


def test_an_older_part_is_upgraded_on_read(workspace: Workspace, tmp_path: Path) -> None:
    key = Table(workspace, MetricRow).write("part", [metric(1)], PROVENANCE).key
    table = pq.read_table(tmp_path / key)
    footer = table.schema.metadata[b"ganime"].replace(b"MetricRow", b"NewerMetricRow")
    pq.write_table(table.replace_schema_metadata({b"ganime": footer}), tmp_path / key)
    (row,) = Table(workspace, NewerMetricRow).rows()
    assert row == NewerMetricRow(nimg=1, name="loss", value=0.5, note=None)


def test_a_newer_part_stops_the_reader(workspace: Workspace, tmp_path: Path) -> None:
    new = NewerMetricRow(nimg=1, name="loss", value=0.5, note="x")
    key = Table(workspace, NewerMetricRow).write("part", [new], PROVENANCE).key
    table = pq.read_table(tmp_path / key)
    footer = table.schema.metadata[b"ganime"].replace(b"NewerMetricRow", b"MetricRow")
    pq.write_table(table.replace_schema_metadata({b"ganime": footer}), tmp_path / key)
    with pytest.raises(ManifestError, match=r"newer ganime .*upgrade ganime"):
        Table(workspace, MetricRow).read()


ROWS = [
    item
    for item in vars(ganime.rows).values()
    if isinstance(item, type) and issubclass(item, Row) and hasattr(item, "KEY")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_every_row_is_documented_and_has_a_key(row: type[Row]) -> None:
    schema = schema_of(row)
    assert all(field.metadata[b"doc"] for field in schema)
    assert set(row.KEY) <= set(schema.names)
    assert set(row.KEY) <= set(stable_columns(row))
    assert from_arrow(row, schema.empty_table()) == []


def test_a_column_of_a_later_schema_is_filled_with_what_it_meant_before(workspace) -> None:
    whole = to_arrow(PostRow, [post("1", 1, "fetched")])
    old = whole.drop_columns(["version", "state", "meta_tags", "changed_at"])
    footer = {"row": "PostRow", "schema_version": 1, "code_version": "0"}
    metadata = {b"ganime": json.dumps(footer).encode()}
    buffer = io.BytesIO()
    pq.write_table(old.replace_schema_metadata(metadata), buffer)
    workspace.write_bytes("manifests/posts/c/old.parquet", buffer.getvalue())
    (row,) = Table(workspace, PostRow, "c").rows()
    assert (row.version, row.state, row.meta_tags, row.changed_at) == (1, "active", [], None)


def test_labels_keep_an_answer_that_was_taken_back() -> None:
    row = LabelRow(
        label_id=1,
        image_id="a",
        question="keep",
        answer=None,
        by="me",
        at=datetime(2026, 1, 2, tzinfo=UTC),
        how="by hand",
        note="",
        supersedes=None,
    )
    assert from_arrow(LabelRow, to_arrow(LabelRow, [row])) == [row]
