"""What orchestration itself costs: planning, shards, a run's start, and one with nothing to do.

    python benchmarks/orchestration.py            # 100,000 images planned; a demo-sized run twice

Planning is asked of drawn manifests in which everything is done. A shard's overhead is that of a
task that does nothing, mapped as the flows map theirs, on an embedded server. A start is taken
apart: what is imported before and while the server starts, and how long it is then waited for. The
run is the smoke preset on the practice booru, repeated: what it then takes is start, questions and
finish. Times are wall and CPU times; on a machine that does other things too, the latter compare.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PLAN_GOAL_S, RERUN_GOAL_S = 5.0, 15.0
SHARDS_FLOW = """
import sys, time
from prefect import flow, task
from flows.crawl import map_shards
from flows.runners import SHARDS
from ganime.store.workspace import Workspace
from tasks.policies import STAGE

@task(**STAGE)
def nothing(workspace, config, shard, run_id):
    return None

@flow(task_runner=SHARDS)
def shards(num):
    wall, cpu = time.perf_counter(), time.process_time()
    map_shards(nothing, Workspace("memory://none"), None, list(range(num)), "run")
    return time.perf_counter() - wall, time.process_time() - cpu

print(*shards(int(sys.argv[1])))
"""

START = """
import time
from flows.cli.console import importing, prepare
prepare(debug=False)
last = [0.0, 0.0]
def mark(name):
    now = time.perf_counter(), time.process_time()
    print(name, now[0] - last[0], now[1] - last[1])
    last[:] = now
last[:] = time.perf_counter(), time.process_time()
with importing():
    from flows.operate.embedded import embedded_server
with embedded_server() as ready:
    mark("prefect")
    with importing():
        import flows.run
    mark("stages")
    with importing():
        ready()
    mark("server")
    from prefect import flow
    flow(lambda: None, name="nothing")()
    mark("first_flow")
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--shards", type=int, default=200)
    options.add_argument("--posts", type=int, default=160, help="of the practice booru")
    options.add_argument("--skip-run", action="store_true", help="leave out the whole run")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    figures: dict[str, Any] = planning(chosen.images)
    with tempfile.TemporaryDirectory() as home:
        os.environ["PREFECT_HOME"] = home
        figures |= shards(chosen.shards)
        figures |= start()
        if not chosen.skip_run:
            figures |= rerun(chosen.posts)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


def planning(num: int) -> dict[str, float]:
    """Ask every stage what is left to do where nothing is, in a process that has done it once."""
    import scale

    from ganime.stages import crawl, dedupe, pad
    from ganime.store.lineage import crawled_images
    from ganime.store.workspace import Workspace

    config = scale.CONFIG
    with tempfile.TemporaryDirectory() as folder:
        store = Workspace(folder)
        scale.posts(store, num, 1000)
        scale.images(store, num, 1000)
        scale.plan(store, num, 0)  # what is compiled and opened once
        crawl_ids = [crawl.crawl_id(config.crawl)]
        ids = crawled_images(store, crawl_ids).ids.to_pylist()
        questions: dict[str, Callable[[], Any]] = {
            "crawl": lambda: crawl.plan(store, config.crawl),
            "images": lambda: crawled_images(store, crawl_ids),
            "dedupe": lambda: dedupe.plan(store, ids, config.dedupe),
            "pad": lambda: pad.plan(store, ids, config.pad, ""),
        }
        took = {f"plan_{name}_s": cpu_of(ask) for name, ask in questions.items()}
    total = sum(took.values())
    print(f"{num:,} images planned in {total:.2f} s of CPU (goal: {PLAN_GOAL_S:g} s)")
    for name, seconds in took.items():
        print(f"  {name:16} {seconds:6.2f}")
    return {**took, "plan_s": total}


def shards(num: int) -> dict[str, float]:
    """What Prefect adds to each shard, beside its work."""
    command = [sys.executable, "-c", SHARDS_FLOW, str(num)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    wall_s, cpu_s = map(float, done.stdout.split()[-2:])
    print(f"{num} shards: {1e3 * wall_s / num:.1f} ms each, {1e3 * cpu_s / num:.1f} ms of CPU")
    return {"shard_s": wall_s / num, "shard_cpu_s": cpu_s / num}


def start() -> dict[str, float]:
    """What passes before the first task of a command can begin."""
    command = [sys.executable, "-c", START]
    with used() as took:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    print(f"start and end of a command: {took['wall_s']:.1f} s, {took['cpu_s']:.1f} s of CPU")
    figures = {"start_s": took["wall_s"], "start_cpu_s": took["cpu_s"]}
    for name, wall_s, cpu_s in map(str.split, done.stdout.splitlines()):
        figures |= {f"start_{name}_s": float(wall_s), f"start_{name}_cpu_s": float(cpu_s)}
        print(f"  {name:16} {float(wall_s):6.2f} s, {float(cpu_s):6.2f} s of CPU of its own")
    return figures


def rerun(num_posts: int) -> dict[str, float]:
    """A whole run, and the same again."""
    from ganime.practice.corpus import Corpus, PracticeConfig
    from ganime.practice.server import PracticeServer

    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus.build(PracticeConfig(posts=num_posts), Path(folder) / "booru")
        with PracticeServer(corpus) as booru:
            where = ["--url", booru.url, "--tags", "full_body", "--workspace", f"{folder}/work"]
            command = [sys.executable, "-m", "flows.cli", "run", "--preset", "smoke", *where]
            for name in ("first", "again"):
                with used() as took:
                    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
                figures |= {f"{name}_s": took["wall_s"], f"{name}_cpu_s": took["cpu_s"]}
                print(f"{name} run: {took['wall_s']:.1f} s, {took['cpu_s']:.1f} s of CPU")
    print(f"  (goal with nothing to do: {RERUN_GOAL_S:g} s)")
    return figures


@contextlib.contextmanager
def used() -> Iterator[dict[str, float]]:
    """Wall time of the block, and the CPU time of the processes that ended in it."""
    took: dict[str, float] = {}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    yield took
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took["wall_s"] = time.perf_counter() - start
    took["cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cpu_of(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
