"""The story of one image among two million, against pyarrow's own filtered read of the same rows.

    python benchmarks/explain.py           # about a minute to make the workspace, 3 GB of memory

A workspace is made up with as many posts, facts, comparisons, scores and decisions. The index is
made once and then grows with the manifests; what is timed is a question in a fresh process state
(nothing held in memory, files in the page cache). The baseline is `pyarrow.dataset` with the same
columns and a filter on the image.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from ganime.config import Config
from ganime.decide import ABSTAIN, KEEP, Judged, to_table
from ganime.rows import DecisionRow, ImageRow, NeighbourRow, PostRow, Row, ScoreRow
from ganime.store.explain import explain
from ganime.store.lookup import refresh_all
from ganime.store.manifest import Provenance, Table, schema_of
from ganime.store.workspace import Workspace

MADE = Provenance(stage="benchmark", revision=1, config=Config(), run_id="benchmark")
VERSION = "datasets/girls/v1"
NUM_RULES = 10


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=2_000_000)
    options.add_argument("--part", type=int, default=5_000, help="rows per part")
    chosen = options.parse_args()
    num = chosen.images
    ids = image_ids(num)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        _, made_s = timed(lambda: make(workspace, ids, chosen.part))
        print(f"{num:,} images, parts of {chosen.part:,}: made in {made_s:.0f} s of CPU")
        _, first_s = timed(lambda: refresh_all(workspace))
        print(f"  index made in {first_s:.1f} s of CPU")
        for i in (0, num // 3, num - 1):
            compare(folder, ids[i].as_py(), i)


def compare(folder: str, image_id: str, number: int) -> None:
    """How long each way of asking for an image takes, and pyarrow's read of the same rows."""
    workspace = Workspace(folder)
    best_s = float("inf")
    for asked in (image_id, image_id[:12], f"safebooru/{number}", f"https://localhost/{number}"):
        (story,), told_s = timed(partial(explain, workspace, asked))
        assert story.image_id == image_id
        best_s = min(best_s, told_s)
        print(f"  {asked[:24]:24} {1000 * told_s:6.0f} ms, {len(story.chapters)} chapters")
    _, read_s = timed(lambda: read_all(folder, image_id))
    print(
        f"  pyarrow.dataset          {1000 * read_s:6.0f} ms, {read_s / best_s:.0f} times as long"
    )


def read_all(folder: str, image_id: str) -> int:
    """Rows about an image, as pyarrow finds them without an index."""
    wanted = pc.field("image_id") == image_id
    tables = [f"manifests/{row.FOLDER}" for row in (PostRow, ImageRow, NeighbourRow, ScoreRow)]
    return sum(
        ds.dataset(f"{folder}/{name}", format="parquet").to_table(filter=wanted).num_rows
        for name in (*tables, f"{VERSION}/decisions")
    )


def image_ids(num: int) -> pa.Array:
    """Sorted, evenly spread, 64 hex digits."""
    words = np.random.default_rng(num).integers(0, 2**63, num).astype(np.uint64) * np.uint64(2)
    return pa.array(sorted(f"{word:016x}" * 4 for word in words.tolist()))


def make(workspace: Workspace, ids: pa.Array, part: int) -> None:
    order = np.random.default_rng(0).permutation(len(ids))  # parts come as the crawl goes
    for start in range(0, len(ids), part):
        places = order[start : start + part]
        some = ids.take(pa.array(places))
        numbers = pa.array(places).cast(pa.string())
        for row, columns in {
            PostRow: {
                "image_id": some,
                "source": "safebooru",
                "post_id": numbers,
                "post_url": pc.binary_join_element_wise("https://localhost/", numbers, ""),
                "outcome": "fetched",
                "crawl_id": "crawl",
            },
            ImageRow: {"image_id": some, "format": "PNG", "width": 500, "height": 700},
            NeighbourRow: {"image_id": some},
            ScoreRow: {"image_id": some, "measurement": "chibi", "revision": "c1", "score": 0.1},
        }.items():
            Table(workspace, row).write(f"{start:09d}", table_of(row, len(some), columns), MADE)
    judged = [rule(f"rule_{i}", len(ids)) for i in range(NUM_RULES)]
    decisions = Table(workspace, DecisionRow, root=VERSION)
    decisions.write("decisions", to_table(ids, judged), MADE)


def table_of(row: type[Row], num: int, columns: dict[str, Any]) -> pa.Table:
    """Some columns, the others null or empty."""
    arrays = []
    for field in schema_of(row):
        value = columns.get(field.name)
        if isinstance(value, pa.Array):
            arrays.append(value)
        elif value is not None or field.nullable:
            arrays.append(pa.repeat(pa.scalar(value, field.type), num))
        else:
            empty: Any = {"string": "", "bool": False}.get(str(field.type), 0)
            empty = [] if pa.types.is_list(field.type) else empty
            arrays.append(pa.array([empty] * num, field.type))
    return pa.table(arrays, schema=schema_of(row))


def rule(name: str, num: int) -> Judged:
    codes = np.where(np.arange(num) % 7 == 0, ABSTAIN, KEEP).astype(np.int8)
    return Judged(
        rule=name,
        codes=codes,
        reasons=np.where(codes == ABSTAIN, 0, -1).astype(np.int32),
        words=["no_fact"],
        score=np.random.default_rng(num).random(num),
        threshold=0.5,
        by=np.zeros(num, np.int8),
        evidence={},
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
