"""Four workers on one workspace: real crawls, a real training, and what becomes of the killed.

A crawl and a training lose their power first, each with its worker; all else runs while the server
notices by their silence.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from flows.operate import server
from flows.operate.processes import Child, Supervisor, descendants
from flows.train_gan import configured
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.server import PracticeServer
from ganime.practice.traffic import Traffic
from ganime.rows import PostRow
from ganime.sources import Budget
from ganime.sources.safebooru import Safebooru
from ganime.stages import crawl, train
from ganime.stages.crawl import CrawlConfig
from ganime.stages.curate import DatasetRef
from ganime.stages.train_together import examples_of
from ganime.store.lineage import models
from ganime.store.manifest import Table, stable_columns
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from ganime.training.keys import finished_key

pytestmark = pytest.mark.slow
Wait = Callable[..., Any]
POOL = "hands"
QUERIES = ("full_body", "standing", "solo", "1girl")  # they share most of their posts
GIRLS = DatasetRef("girls", "v1", 64)
TRAINING = [
    *("nimg=8000", "checkpoint_nimg=500", "snapshot_nimg=4000", "num_threads=1"),
    *("recipe.width_generator=8", "recipe.width_discriminator=8"),
]
PULSE = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}
SLOW_S = 20.0  # an answer, so that nothing ends too early; clients wait for 30 s
LATE_S = 0.5  # so late a request may arrive where all wait for two busy cores
ENDS = ("Completed", "Failed", "Cancelled")  # a run that crashed goes on


@dataclass
class Hands:
    """Workers of one run each, for a pool of their own."""

    service: Any
    wait_for: Wait
    workers: Supervisor
    deployments: dict[str, str] = field(default_factory=dict)

    def hire(self, number: int) -> None:
        """Start so many more."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL]
        root = str(self.service.checkout)
        given = server.environment(self.service.settings["port"])
        environment = {**self.service.environment, **given, "GANIME_ROOT": root}
        for _ in range(number):
            name = f"hand-{len(self.workers.children)}"
            more = ["--type", "process", "--name", name, "--limit", "1"]
            self.workers.start(Child(name, [*command, *more], environment))

    def offer(self, flow: str) -> None:
        """Deploy one of our flows for these workers; runs of it are started again."""
        name = flow.replace("_", "-")
        asked = {
            "name": f"{name}-by-hand",
            "flow_id": self.service.ask("POST", "flows/", {"name": name})["id"],
            "work_pool_name": POOL,
            "entrypoint": f"flows/{flow}.py:{flow}",
            "pull_steps": self.service.deployment("resumed")["pull_steps"],
            "tags": ["autoresume"],
            "enforce_parameter_schema": False,
        }
        self.deployments[flow] = self.service.ask("POST", "deployments/", asked)["id"]

    def start(self, flow: str, workspace: Workspace, **parameters: Any) -> str:
        """Start a run; gives its id."""
        given = {"workspace": workspace.url, **parameters}
        asked = {"parameters": given, "state": {"type": "SCHEDULED"}}
        path = f"deployments/{self.deployments[flow]}/create_flow_run"
        return str(self.service.ask("POST", path, asked)["id"])

    def crawl(self, workspace: Workspace, config: CrawlConfig) -> str:
        """Start a crawl; gives the run's id."""
        return self.start("crawl", workspace, crawl=json.loads(config.model_dump_json()))

    def state(self, run: str) -> str:
        """What a run is doing."""
        return str(self.service.run(run)["state_name"])

    def complete(self, run: str) -> list[str]:
        """Wait until a run has ended, and well; gives the names of all its states."""
        self.wait_for(lambda: self.state(run) in ENDS, "the end of a run")
        found = self.service.run(run)
        assert found["state_name"] == "Completed", found["state"]
        states = self.service.ask("GET", f"flow_run_states/?flow_run_id={run}")
        return [str(state["name"]) for state in states]

    def pause(self, run: str) -> None:
        """Let a run go no further for now."""
        for worker in self.workers.children:
            for pid in _processes(worker, run):
                os.kill(pid, signal.SIGSTOP)

    def cut_power(self, *runs: str) -> None:
        """The workers of these runs are gone at once, with all that they started."""

        def can_be_missed() -> bool:  # only a run that has once shown a sign of life
            heard = json.dumps(self.service.ask("POST", "events/filter", PULSE))
            return all(run in heard for run in runs)

        self.wait_for(can_be_missed, "a sign of life")
        for worker in self.workers.children:
            if worker.process and any(_processes(worker, run) for run in runs):
                for pid in (worker.process.pid, *descendants(worker.process.pid)):
                    os.kill(pid, signal.SIGKILL)


def _processes(worker: Child, run: str) -> list[int]:
    """Those of a worker's that work on a run."""
    family = descendants(worker.process.pid) if worker.process else ()
    return [pid for pid in family if run in _environment(pid)]


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""


@pytest.fixture(scope="module")
def hands(service: Any, wait_for: Wait) -> Iterator[Hands]:
    template = service.ask("GET", "work_pools/cpu")["base_job_template"]
    pool = {"name": POOL, "type": "process", "base_job_template": template}
    service.ask("POST", "work_pools/", pool)
    # As with two GPUs: a killed training gives its place back only after five minutes.
    service.ask("PATCH", "v2/concurrency_limits/gpu", {"limit": 2})
    logs = service.output.parent / POOL
    hands = Hands(service, wait_for, Supervisor(service.checkout, logs, print))
    for flow in ("crawl", "train_gan"):
        hands.offer(flow)
    try:
        hands.hire(4)
        yield hands
    finally:
        for worker in [*hands.workers.children]:
            hands.workers.stop(worker, patience_s=0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    # Whatever is asked for twice is then one file asked for twice.
    drawn = PracticeConfig(posts=60, seed=5, height_max=480, broken=0.0, exact=0.0)
    return Corpus.build(drawn, tmp_path_factory.mktemp("corpus"))


def crawl_of(booru: PracticeServer, tags: str) -> CrawlConfig:
    """Thirty posts, at a real site's pace."""
    source = Safebooru(url=booru.url)
    return CrawlConfig(source=source, tags=tags, limit=30, shard_size=8, rehearse=True)


@dataclass(frozen=True)
class Cut:
    """A crawl and a training that were killed half-way: their runs, and where they work."""

    crawl: str
    config: CrawlConfig
    crawled: Workspace
    train: str
    trained: Workspace


@pytest.fixture(scope="module", autouse=True)
def cut(
    hands: Hands,
    corpus: Corpus,
    wait_for: Wait,
    write_version: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cut]:
    """They have lost their power, and are found out while the first test runs."""
    crawled, trained = (Workspace(str(tmp_path_factory.mktemp(name))) for name in "ab")
    write_version(trained, GIRLS.version, GIRLS.num_images)
    with PracticeServer(corpus, latency_s=2.0) as booru:
        config = crawl_of(booru, "full_body")
        cut_crawl = hands.crawl(crawled, config)
        cut_train = hands.start("train_gan", trained, recipe="lsgan", settings=TRAINING)
        wait_for(lambda: booru.requests["image"] > 8, "more files than a shard's")
        booru.latency_s = SLOW_S
        wait_for(lambda: trained.list("models", ".pt"), "a checkpoint")
        hands.pause(cut_train)  # or it might end before the server has heard of it
        hands.cut_power(cut_crawl, cut_train)
        assert not any(trained.exists(finished_key(model)) for model in models(trained))
        booru.latency_s = 0.0
        hands.hire(2)
        yield Cut(cut_crawl, config, crawled, cut_train, trained)


def test_four_workers_crawl_at_once_and_the_site_notices_no_more_than_one(
    hands: Hands, corpus: Corpus, wait_for: Wait, tmp_path: Path
) -> None:
    store = Workspace(str(tmp_path))
    with PracticeServer(corpus, latency_s=SLOW_S) as booru:
        configs = [crawl_of(booru, tags) for tags in QUERIES]
        runs = [hands.crawl(store, config) for config in configs]
        wait_for(lambda: {hands.state(run) for run in runs} == {"Running"}, "all four to run")
        booru.latency_s = 0.0
        for run in runs:
            hands.complete(run)
    facts = Safebooru.FACTS
    for kind, budget in (("file", facts.file_budget), ("list", facts.list_budget)):
        check_pace(booru.traffic, kind, budget)
    asked = Counter(path for path in booru.paths if path.startswith("/images/"))
    assert {path for path, number in asked.items() if number > 1} == set()
    found = [Table(store, PostRow, crawl.crawl_id(config)).rows() for config in configs]
    assert {row.outcome for rows in found for row in rows} <= {"fetched", "known", "skipped"}
    assert len({row.image_id for rows in found for row in rows if row.image_id}) == len(asked)
    assert sum(map(len, found)) > 1.5 * len(asked), "the queries hardly overlapped"


def check_pace(traffic: Traffic, kind: str, budget: Budget) -> None:
    """No more than one polite crawler would ask, in any second and in all."""
    times = traffic.arrivals(kind)
    assert len(times) > budget.rate_per_s, "too few to tell"
    assert traffic.busiest(kind, 1.0 - LATE_S) <= budget.rate_per_s
    assert len(times) - 1 <= budget.rate_per_s * (times[-1] - times[0] + LATE_S)
    assert traffic.most_in_flight[kind] <= budget.in_flight


def test_a_crawl_whose_worker_was_killed_goes_on_to_the_same_posts(
    hands: Hands, cut: Cut, tmp_path: Path
) -> None:
    undisturbed = Workspace(str(tmp_path))
    crawl.run(undisturbed, cut.config, "here")
    states = hands.complete(cut.crawl)
    assert states.index("Crashed") < states.index("AwaitingRetry")
    assert _stable(cut.crawled, cut.config) == _stable(undisturbed, cut.config)


def _stable(workspace: Workspace, config: CrawlConfig) -> list[dict[str, Any]]:
    table = Table(workspace, PostRow, crawl.crawl_id(config)).read(stable_columns(PostRow))
    rows: list[dict[str, Any]] = table.to_pylist()
    return sorted(rows, key=lambda row: int(row["post_id"]))


@pytest.mark.filterwarnings("ignore:Logger 'ganime")  # without a run Prefect's handler has no page
def test_a_training_whose_worker_was_killed_ends_with_the_same_weights(
    hands: Hands, cut: Cut, write_version: Any, tmp_path: Path
) -> None:
    undisturbed = Workspace(str(tmp_path))
    write_version(undisturbed, GIRLS.version, GIRLS.num_images)
    config = configured(undisturbed, GIRLS, "lsgan", "evening", (), TRAINING)
    examples = examples_of(Dataset(undisturbed, GIRLS.name, GIRLS.version))
    train.run(undisturbed, config, examples, str(GIRLS), "here")
    states = hands.complete(cut.train)
    assert states.index("Crashed") < states.index("AwaitingRetry")
    assert _weights(cut.trained) == _weights(undisturbed) != {}


def _weights(workspace: Workspace) -> dict[str, str]:
    """Digests of all snapshots, by the images shown until then."""
    keys = workspace.list("models", ".safetensors")
    return {Path(key).stem: sha256(workspace.read_bytes(key)).hexdigest() for key in keys}
