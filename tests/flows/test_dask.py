"""Shards on Dask workers: the same code, and the same manifests."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.testing.utilities import prefect_test_harness

from flows import cli, runners
from flows.build_dataset import build_dataset
from ganime.errors import ConfigError
from ganime.practice.corpus import Corpus
from ganime.practice.server import PracticeServer
from ganime.presets import build

DATA_STAGES = ("crawl", "dedupe", "detect", "pad", "classify", "curate")


def test_threads_are_the_default() -> None:
    runner = runners.runner_of("threads")
    assert isinstance(runner, ThreadPoolTaskRunner)
    assert os.environ.get(runners.VARIABLE) or isinstance(runners.SHARDS, ThreadPoolTaskRunner)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ray", "no runner is called 'ray'; known: threads, dask"),
        ("dask:many", "names no number of workers"),
        ("dask:0", "names no number of workers"),
        ("dask://", "names no scheduler"),
        ("dask://here", "names no scheduler"),
        ("dask://here:port", "names no scheduler"),
    ],
)
def test_a_runner_that_is_none_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        runners.runner_of(name)


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"no Dask scheduler answers at 127\.0\.0\.1:{port}"):
            runners.runner_of(f"dask://127.0.0.1:{port}")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    with pytest.raises(ConfigError, match=r"pip install 'ganime\[dask\]'"):
        runners.runner_of("dask")


def test_a_choice_holds_for_processes_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runners.VARIABLE, "dask:3")
    runners.use("")
    assert os.environ[runners.VARIABLE] == "dask:3"
    runners.use("threads")
    assert os.environ[runners.VARIABLE] == "threads"


def test_the_command_line_says_it_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wanted = ["run", "--tags", "1girl", "--workspace", str(tmp_path), "--runner", "ray"]
    monkeypatch.setattr(sys, "argv", ["ganime", *wanted])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ganime: no runner is called 'ray'; known: threads, dask")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes behind a scheduler of their own."""
    pytest.importorskip("prefect_dask", reason="no prefect-dask: pip install 'ganime[dask]'")
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as found:
        yield found


def stages_of(url: str) -> dict[str, Any]:
    source = {"name": "safebooru", "url": url}
    crawl = {"source": source, "tags": "full_body standing", "shard_size": 20}
    config = build("smoke", {"crawl": crawl})
    return {name: getattr(config, name) for name in DATA_STAGES}


@pytest.mark.slow
def test_two_dask_workers_write_the_rows_that_threads_write(
    corpus: Corpus, cluster: Any, rows_of: Any, tmp_path: Path
) -> None:
    host, port = cluster.scheduler_address.removeprefix("tcp://").split(":")
    built, site_port = [], 0
    with (
        prefect_test_harness(server_startup_timeout=300),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        for name in (f"dask://{host}:{port}", "threads"):
            runner = runners.runner_of(name)
            with PracticeServer(corpus, site_port) as site:  # it remembers which faults it showed
                site_port = int(site.url.rsplit(":", 1)[1])
                build_with = build_dataset.with_options(task_runner=runner)
                built.append(build_with(str(tmp_path / name.split(":")[0]), **stages_of(site.url)))
    assert built[0] == built[1]
    rows = rows_of(str(tmp_path / "dask"))
    assert rows == rows_of(str(tmp_path / "threads"))
    assert any("decisions" in folder for folder in rows)
    with cluster.get_client() as client:
        did = client.run(lambda: "ganime.stages.pad" in sys.modules)
    assert list(did.values()) == [True, True]
