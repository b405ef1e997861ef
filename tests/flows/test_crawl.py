"""`ganime crawl` as a user has it: several sites, from the command line, under Prefect."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.cli.crawl import CrawlOptions, read_queries
from ganime.errors import ConfigError
from ganime.practice.corpus import Corpus
from ganime.practice.server import PracticeServer
from ganime.presets import RunConfig, build
from ganime.rows import AttemptRow, PostRow
from ganime.sources import SOURCES
from ganime.stages.crawl import read_crawl
from ganime.stages.crawl_config import OTHER_STAGES
from ganime.store.lineage import crawls, queries_of
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
from tasks.credentials import credentials_of

TAGS = "full_body solo standing 1girl white_background"


def config_of(**options: Any) -> Any:
    given = CrawlOptions(**options)
    return read_crawl(given.layers(), file=given.config, sets=given.set)


def asked(config: Any) -> list[tuple[str, str]]:
    return [(query.source.component, query.tags) for query in config.all_queries]


def test_a_crawl_alone_is_asked_for_as_in_a_run(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[crawl]\nlimit = 7\n[train]\nnimg = 64\n")
    given = CrawlOptions(tags=("1girl solo",), config=file, set=("crawl.sweep_days=1",))
    arguments = {"file": file, "sets": given.set}
    whole = build("default", given.layers(), **arguments)
    assert read_crawl(given.layers(), **arguments) == whole.crawl
    assert {*RunConfig.model_fields} == {"crawl", *OTHER_STAGES}
    with pytest.raises(ConfigError, match=r"crwal: unknown setting; did you mean crawl\?"):
        read_crawl({}, sets=("crwal.limit=3",))
    with pytest.raises(ConfigError, match=r"crawl\.limt: unknown setting; did you mean limit\?"):
        read_crawl({}, sets=("crawl.limt=3",))


def test_who_crawls_does_not_wait_for_torch() -> None:
    script = (
        "import sys\n"
        "from flows.cli import main\n"
        "sys.argv = ['ganime', 'crawl', '--tags', '1girl', '--dry-run']\n"
        "main()\n"
        "assert 'prefect' not in sys.modules\n"
        "import flows.crawl\n"
        "assert not {'torch', 'torchvision', 'numba'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "https://safebooru.org/index.php" in done.stdout


def test_every_source_is_asked_every_query() -> None:
    config = config_of(source=("safebooru", "danbooru"), tags=("1girl solo", "1boy"))
    assert asked(config) == [
        ("safebooru", "1girl solo"),
        ("safebooru", "1boy"),
        ("danbooru", "1girl solo"),
        ("danbooru", "1boy"),
    ]


def test_a_file_of_queries_may_name_other_sites(tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    file.write_text("# comment\n\n1girl solo\nzerochan: Solo, Full Body\nrating:general hat\n")
    assert read_queries(file) == [
        ("", "1girl solo"),
        ("zerochan", "Solo, Full Body"),
        ("", "rating:general hat"),
    ]
    assert asked(config_of(queries=file)) == [
        ("safebooru", "1girl solo"),
        ("zerochan", "Solo, Full Body"),
        ("safebooru", "rating:general hat"),
    ]


@pytest.mark.parametrize("content", [None, "# nothing\n", b"\xff\xfe\x00"])
def test_a_file_without_queries_is_refused(tmp_path: Path, content: str | bytes | None) -> None:
    file = tmp_path / "queries.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=r"queries\.txt"):
        read_queries(file)


def test_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANIME_GELBOORU_API_KEY", "k")
    monkeypatch.setenv("GANIME_GELBOORU_USER_ID", "7")
    config = config_of(source=("gelbooru",), tags=("1girl",))
    assert credentials_of(config) == {"gelbooru": {"api_key": "k", "user_id": "7"}}
    assert "api_key" not in config.canonical()


@pytest.mark.slow
def test_credentials_come_from_secret_blocks(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "from prefect.blocks.system import Secret\n"
        "Secret(value='from-a-block').save('gelbooru-api-key')\n"
        "from ganime.stages.crawl import CrawlConfig\n"
        "from tasks.credentials import credentials_of\n"
        "print(credentials_of(CrawlConfig.parse({'source': 'gelbooru', 'tags': '1girl'})))\n"
    )
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path), "DO_NOT_TRACK": "1"}
    environment.pop("PREFECT_API_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "{'gelbooru': {'api_key': 'from-a-block'}}" in done.stdout, done.stderr


@pytest.mark.slow
def test_a_dry_run_prints_the_calls_and_the_time_and_asks_nothing(
    command: Any, tmp_path: Path
) -> None:
    arguments = ["--source", "safebooru", "--tags", TAGS, "--limit", "20000"]
    done = command.run("crawl", *arguments, "--dry-run", "-w", str(tmp_path / "none"))
    assert done.returncode == 0, done.stderr
    tags = TAGS.replace(" ", "+")
    assert f"https://safebooru.org/index.php?page=dapi&s=post&q=index&tags={tags}" in done.stdout
    assert "20 list calls of 1000 posts, at most 1 a second: 0 min 21 s" in done.stdout
    assert "20,000 files, at most 4 a second: 1 h 27 min" in done.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "gelbooru", "--tags", "1girl"], "GANIME_GELBOORU_API_KEY"),
        (["--source", "zerochan", "--tags", "Solo"], "set crawl.user"),
        (["--source", "getchu", "--tags", "1girl"], "month:2026-05"),
        (["--source", "danbooru", "--tags", "order:score 1girl"], "order:score"),
        (["--tags", " "], "no tags"),
    ],
)
def test_what_a_site_cannot_answer_is_said_before_it_is_asked(
    served_command: Any, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = served_command.run("crawl", *arguments, "--dry-run", "-w", str(tmp_path))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_two_sites_in_one_crawl_twice(corpus: Corpus, served_command: Any, tmp_path: Path) -> None:
    with (
        PracticeServer(corpus) as safebooru,
        PracticeServer(corpus, protocol="danbooru") as danbooru,
    ):
        settings = tmp_path / "crawl.toml"
        settings.write_text(
            "[crawl]\nqueries = [{tags = 'full_body standing', "
            f"source = {{name = 'danbooru', url = '{danbooru.url}'}}}}]\n"
        )
        arguments = ["crawl", "--url", safebooru.url, "--tags", "full_body standing"]
        arguments += ["--config", str(settings), "-w", str(tmp_path / "workspace")]
        done = served_command.run(*arguments)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["safebooru", "danbooru"]
        store = Workspace(str(tmp_path / "workspace"))
        (crawl_id,) = crawls(store)
        assert len(queries_of(store, crawl_id)) == 2
        rows = Table(store, PostRow, crawl_id).rows()
        assert {row.source for row in rows} == {"safebooru", "danbooru"}
        assert len(Table(store, AttemptRow, crawl_id).rows()) >= len(rows) * 0.8
        asked_before = danbooru.requests["image"], safebooru.requests["image"]
        again = served_command.run(*arguments)
        assert again.stdout == done.stdout
        assert (danbooru.requests["image"], safebooru.requests["image"]) == asked_before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_ends_a_crawl_and_what_had_come_is_kept(
    corpus: Corpus, command: Any, tmp_path: Path, number: signal.Signals
) -> None:
    with PracticeServer(corpus, latency_s=0.5) as booru:
        arguments = ["crawl", "--url", booru.url, "--tags", "full_body", "-w", str(tmp_path)]
        process = command.start(*arguments)
        while booru.requests["image"] < 30 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        asked, cut = booru.requests["image"], datetime.now(UTC)
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 130, errors
        assert "ganime: interrupted; the same command goes on" in errors
        assert "Traceback" not in errors
        assert booru.requests["image"] <= asked + 16  # those that two shards had on their way
        booru.latency_s = 0.0
        done = command.run(*arguments)
        assert done.returncode == 0, done.stderr
    store = Workspace(str(tmp_path))
    rows = Table(store, PostRow, *crawls(store)).rows()
    assert sum(row.fetched_at is not None and row.fetched_at < cut for row in rows) > 4


@pytest.mark.slow
def test_in_a_terminal_a_table_shows_every_site(
    corpus: Corpus, command: Any, tmp_path: Path
) -> None:
    main, terminal = pty.openpty()
    more = ["--tags", "full_body", "-w", str(tmp_path / "workspace")]
    with PracticeServer(corpus, latency_s=0.02) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "crawl", "--url", server.url, *more],
            env={
                **os.environ,
                "PREFECT_HOME": str(command.home),
                "COLUMNS": "150",
                "TERM": "xterm",
            },
            stderr=terminal,
            stdout=subprocess.DEVNULL,
        )
        os.close(terminal)
        shown = _read(main)
        assert process.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"safebooru │ +\d+ │ +\d+ │ +[1-9]\d* ", text)
    assert "of at most" in text


def _read(descriptor: int) -> str:
    pieces = []
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(descriptor)
    return b"".join(pieces).decode(errors="replace")


def test_every_source_has_a_table_of_facts() -> None:
    for name in SOURCES.names():
        source = SOURCES.build({"name": name, **({"path": "x"} if name == "folder" else {})})
        assert source.IS_LOCAL or source.FACTS.hosts
        assert source.FACTS.list_budget.rate_per_s <= 1
        assert source.FACTS.file_budget.in_flight <= 4
