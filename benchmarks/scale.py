"""What the manifests of ten million posts cost: to plan, decide, ask, count and merge.

    python benchmarks/scale.py                    # 10,000,000 rows each: minutes, 8 GB of memory
    python benchmarks/scale.py --posts 1000000    # a tenth of everything

Real Parquet is written and read by the code that a run uses; only the rows are drawn. Each step is
a process of its own, so that its peak of memory is its own; times are CPU times. docs/scale.md
says what follows for a billion.
"""

import argparse
import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from decide import made_up
from explain import MADE, image_ids, table_of

from ganime.decide import decide, to_table
from ganime.filters import Filter
from ganime.presets import build
from ganime.rows import DecisionRow, ImageRow, ListingRow, PaddedRow, PostRow
from ganime.sources.listing import listing_table
from ganime.stages import crawl, dedupe, pad
from ganime.stages.curate import CurateConfig
from ganime.store import merging
from ganime.store.explain import explain
from ganime.store.lineage import crawled_images
from ganime.store.lookup import refresh_all
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

TAGS = 26  # per post, as on Danbooru
NUM_TAGS = 40_000
SMALL = 500  # rows of a part as a nightly crawl leaves it
CONFIG = build("default", {"crawl": {"source": {"name": "safebooru"}, "tags": "1girl solo"}})
DATASET = "datasets/girls"
SLICE = 2_500_000  # images of a dataset: to write ten decisions on each takes 1.2 GB a million


@dataclass(frozen=True)
class Figure:
    """What one step cost.

    Attributes:
        step: What was done.
        cpu_s: CPU time [s].
        peak_mb: Most memory of its process [MB].
        rows: Rows that it was about.
        num_bytes: What it left in the workspace.
    """

    step: str
    cpu_s: float
    peak_mb: float
    rows: int
    num_bytes: int = 0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--posts", type=int, default=10_000_000)
    options.add_argument("--part", type=int, default=50_000, help="rows per part")
    options.add_argument("--folder", type=Path, help="where to make it; a temporary folder if not")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        figures = [measured(step, folder, chosen.posts, chosen.part) for step in STEPS]
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))


def measured(
    step: Callable[[Workspace, int, int], int], folder: str, num: int, part: int
) -> Figure:
    """Do a step in a fresh process, and print what it cost."""
    before = size_of(folder)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        cpu_s, peak_mb, rows = pool.submit(_alone, step, folder, num, part).result()
    figure = Figure(step.__name__, cpu_s, peak_mb, rows, size_of(folder) - before)
    each = f", {figure.num_bytes / rows:6.1f} bytes a row" if figure.num_bytes > rows else ""
    print(
        f"{figure.step:10} {rows:>12,} rows  {cpu_s:8.1f} s  {1e6 * cpu_s / rows:8.2f} µs a row"
        f"  {peak_mb:7,.0f} MB{each}",
        flush=True,
    )
    return figure


def _alone(
    step: Callable[[Workspace, int, int], int], folder: str, num: int, part: int
) -> tuple[float, float, int]:
    start = time.process_time()
    rows = step(Workspace(folder), num, part)
    used = time.process_time() - start
    return used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, rows


def size_of(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def posts(workspace: Workspace, num: int, part: int) -> int:
    """Listings and posts, every post with an image of its own."""
    ids = image_ids(num)
    query = CONFIG.crawl.all_queries[0]
    for name, common in (("listing", query.query_id), ("post", crawl.crawl_id(CONFIG.crawl))):
        for start in range(0, num, part):
            end = min(start + part, num)
            numbers = pa.array(np.arange(start, end)).cast(pa.string())
            seen = {
                "source": "safebooru",
                "post_id": numbers,
                "post_url": pc.binary_join_element_wise("https://localhost/", numbers, ""),
                "file_url": pc.binary_join_element_wise("https://localhost/f/", numbers, ""),
                "tags": tags(end - start, start),
                "rating": "general",
                "version": 1,
            }
            if name == "listing":
                rows = table_of(ListingRow, end - start, seen | {"query_id": common})
                listing_table(workspace, query).write(f"{start:010d}", rows, MADE)
            else:
                more = {
                    **{"crawl_id": common, "outcome": "fetched", "run_id": "run"},
                    **{"image_id": ids.slice(start, end - start), "num_bytes": 400_000},
                }
                rows = table_of(PostRow, end - start, seen | more)
                Table(workspace, PostRow, common).write(f"{start:010d}", rows, MADE)
    crawl_key = f"manifests/crawls/{crawl.crawl_id(CONFIG.crawl)}.json"
    workspace.write_text(crawl_key, json.dumps({"queries": [{"query_id": query.query_id}]}))
    return 2 * num


def tags(num: int, seed: int) -> pa.ListArray:
    """Tags as they are spread: few on most posts, most on few."""
    random = np.random.default_rng(seed)
    drawn = (NUM_TAGS * random.random((num, TAGS)) ** 3).astype(np.int32)
    words = pa.array([f"some_tag_{number}" for number in range(NUM_TAGS)])
    starts = pa.array(np.arange(0, num * TAGS + 1, TAGS, dtype=np.int32))
    return pa.ListArray.from_arrays(starts, words.take(pa.array(drawn.ravel())))


def images(workspace: Workspace, num: int, part: int) -> int:
    """Facts and padded places of every image."""
    ids = image_ids(num)
    facts = Table(workspace, ImageRow, f"r{dedupe.REVISION}")
    padded = Table(workspace, PaddedRow, pad.scope(CONFIG.pad))
    random = np.random.default_rng(0)
    for start in range(0, num, part):
        some = ids.slice(start, part)
        sides = pa.array(random.integers(300, 4000, len(some)))
        said = {"image_id": some, "format": "PNG", "mode": "RGB", "width": sides, "height": sides}
        facts.write(f"{start:010d}", table_of(ImageRow, len(some), said), MADE)
        places = pa.array(np.arange(len(some)))
        said = {"image_id": some, "shard": f"padded/{start}.npy", "offset": places, "scale": 0.5}
        padded.write(f"{start:010d}", table_of(PaddedRow, len(some), said), MADE)
    return 2 * num


def plan(workspace: Workspace, num: int, _: int) -> int:
    """What every stage of a run asks before it finds that nothing is to be done."""
    assert crawl.plan(workspace, CONFIG.crawl) == []
    found = crawled_images(workspace, [crawl.crawl_id(CONFIG.crawl)])
    ids = found.ids.to_pylist()
    assert len(ids) == num
    assert dedupe.plan(workspace, ids, CONFIG.dedupe) == []
    assert pad.plan(workspace, ids, CONFIG.pad, "") == []
    return num


def decisions(workspace: Workspace, num: int, _: int) -> int:
    """All rules over facts that are in memory, and the rows that say what came of it."""
    rules: list[Filter] = list(CurateConfig().rules)
    ids = image_ids(num)
    written = 0
    for version, start in enumerate(range(0, num, SLICE), 1):
        some = ids.slice(start, SLICE)
        facts = made_up(len(some))
        facts.image_ids[:] = some.to_pylist()
        table = to_table(facts.image_ids, decide(facts, rules, []))
        Table(workspace, DecisionRow, root=f"{DATASET}/v{version}").write("decisions", table, MADE)
        written += table.num_rows
    return written


def funnel(workspace: Workspace, _: int, __: int) -> int:
    """How many images each rule drops for which reason."""
    columns = ["rule", "verdict", "reason"]
    counts: Counter[tuple[str, ...]] = Counter()
    for part in workspace.list(DATASET, ".parquet"):
        with workspace.source(part) as source, pq.ParquetFile(source) as file:
            for batch in file.iter_batches(columns=columns):
                grouped = pa.table(batch).group_by(columns).aggregate([([], "count_all")])
                for row in grouped.to_pylist():
                    counts[row["rule"], row["verdict"], row["reason"]] += row["count_all"]
    return counts.total()


def index(workspace: Workspace, num: int, _: int) -> int:
    """The index that `ganime explain` asks, made for the first time."""
    refresh_all(workspace)
    return num


def story(workspace: Workspace, num: int, _: int) -> int:
    """One image's story, from the index."""
    (found,) = explain(workspace, f"safebooru/{num // 3}")
    assert found.chapters
    return 1


def merge(workspace: Workspace, _: int, __: int) -> int:
    """A year of nightly parts become few."""
    nights = 365
    table = Table(workspace, PostRow, "nightly")
    for night in range(nights):
        numbers = pa.array(np.arange(SMALL) + night * SMALL).cast(pa.string())
        said = {
            "crawl_id": "nightly",
            "source": "s",
            "post_id": numbers,
            "tags": tags(SMALL, night),
        }
        table.write(f"{night:05d}", table_of(PostRow, SMALL, said | {"outcome": "known"}), MADE)
    for _round in range(nights // merging.MAX_SMALL):
        merging.tidy(workspace, table.folder, PostRow)
    assert len(table.parts()) <= 2 * merging.MAX_SMALL
    return nights * SMALL


STEPS = (posts, images, plan, decisions, funnel, index, story, merge)

if __name__ == "__main__":
    main()
