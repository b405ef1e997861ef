"""Deciding again about two million images: the rules, and writing what they decided.

    python benchmarks/decide.py            # about a minute, 4 GB

The facts are made up; what is timed is what a new threshold costs once they are in memory. The
baseline is the same rules asked image by image, on a hundredth of the images.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ganime.config import Config
from ganime.decide import decide, summary, to_table
from ganime.filters import Facts, Filter, Score
from ganime.rows import DecisionRow
from ganime.stages.curate import CurateConfig
from ganime.store.manifest import Provenance, Table
from ganime.store.word_sets import WordSets
from ganime.store.workspace import Workspace

QUESTIONS = ("chibi", "multiple", "viewpoint")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=2_000_000)
    num = options.parse_args().images
    rules: list[Filter] = list(CurateConfig().rules)
    facts = made_up(num)
    judged, decided_s = timed(lambda: decide(facts, rules, []))
    print(f"{num:,} images, {len(rules)} rules: decided in {decided_s:.1f} s")
    print(f"  {summary(judged)}")
    table, table_s = timed(lambda: to_table(facts.image_ids, judged))
    with tempfile.TemporaryDirectory() as folder:
        manifest = Table(Workspace(folder), DecisionRow)
        made = Provenance(stage="curate", revision=1, config=Config(), run_id="benchmark")
        _, written_s = timed(lambda: manifest.write("decisions", table, made))
        size = Workspace(folder).size(manifest.part_key("decisions"))
    print(
        f"  {table.num_rows:,} decisions as a table in {table_s:.1f} s, written in "
        f"{written_s:.1f} s, {size / table.num_rows:.1f} bytes each"
    )
    few = [made_up(1) for _ in range(num // 10_000)]
    _, one_by_one_s = timed(lambda: [decide(one, rules, []) for one in few])
    ratio = one_by_one_s * 10_000 / decided_s
    print(f"  {ratio:.0f} times as fast as image by image (extrapolated from {len(few):,})")


def made_up(num: int) -> Facts:
    rng = np.random.default_rng(num)
    tags = [frozenset({"1girl", "solo"}), frozenset({"1girl", "comic"}), frozenset({"standing"})]
    return Facts(
        image_ids=[f"{i:064x}" for i in range(num)],
        columns={
            "width": rng.uniform(100, 2000, num),
            "height": rng.uniform(100, 2000, num),
            "alpha_fraction": np.zeros(num),
            "background_fraction": rng.uniform(0.5, 1, num),
            "background_texture": rng.uniform(0, 4, num),
            "sharpness": rng.uniform(0, 500, num),
            "num_bytes": rng.uniform(1e4, 1e6, num),
        },
        problems=[None] * num,
        tags=WordSets.of(tags[i] for i in rng.integers(0, 3, num)),
        scores={name: Score(rng.beta(0.5, 5, num), 0.5) for name in QUESTIONS},
        duplicates=lambda ids, similarity: {},
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
