"""What every site's source promises, over real HTTP, each site speaking its own protocol."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from ganime.errors import ConfigError, SourceError, SourceRefused
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.faults import FaultSchedule, faults_of
from ganime.practice.protocols import PROTOCOLS
from ganime.practice.server import PracticeServer
from ganime.rows import AttemptRow, ListingRow, PostRow
from ganime.sources.client import TurnedAway
from ganime.stages import crawl
from ganime.stages.crawl import CrawlConfig
from ganime.store.manifest import Table, read_part
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

NUM_POSTS = 30
SECRET = "not-to-be-seen"
ALL_RATINGS = ("general", "sensitive", "questionable", "explicit", "unknown")


@dataclass(frozen=True)
class Site:
    """How one site is asked for all its posts."""

    name: str
    tags: str
    source: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)

    def config(self, server: PracticeServer, **changes: Any) -> CrawlConfig:
        settings = {
            "source": {"name": self.name, "url": server.url, **self.source},
            "tags": self.tags,
            "ratings": ALL_RATINGS,
            "shard_size": 10,
            "user": "tester",
        }
        return CrawlConfig.parse({**settings, **changes})

    def run(self, workspace: Workspace, config: CrawlConfig) -> crawl.CrawlSummary:
        return crawl.run(workspace, config, "run", credentials={self.name: self.credentials})


def cap(name: str, size: int) -> int | None:
    """Small pages, so that there are many; Getchu's lists are months, which are not cut."""
    return None if name == "getchu" else size


def months_of(corpus: Corpus) -> str:
    moments = [datetime.fromtimestamp(post.created, UTC) for post in corpus.posts]
    return f"month:{min(moments):%Y-%m}..{max(moments):%Y-%m}"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    config = PracticeConfig(posts=NUM_POSTS, seed=5, broken=0.1, height_min=100, height_max=200)
    return Corpus.build(config, tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def sites(corpus: Corpus) -> dict[str, Site]:
    keys = {"api_key": SECRET, "user_id": "7"}
    found = [
        Site("safebooru", "full_body"),
        Site("gelbooru", "full_body", credentials=keys),
        Site("danbooru", "full_body"),
        Site("zerochan", "full_body"),
        Site("getchu", months_of(corpus), {"kinds": ["standing", "bust"]}),
    ]
    return {site.name: site for site in found}


@pytest.fixture(params=sorted(PROTOCOLS))
def site(request: pytest.FixtureRequest, sites: dict[str, Site]) -> Site:
    return sites[request.param]


@pytest.fixture
def workspace(tmp_path: Any) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


def rows_of(workspace: Workspace, config: CrawlConfig) -> dict[str, PostRow]:
    return {row.post_id: row for row in Table(workspace, PostRow, crawl.crawl_id(config)).rows()}


def told(rows: dict[str, PostRow]) -> dict[str, tuple[str, str | None, str | None]]:
    return {key: (row.outcome, row.reason, row.image_id) for key, row in rows.items()}


@pytest.fixture(scope="module")
def undisturbed(
    sites: dict[str, Site], corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, PostRow]]:
    """What an undisturbed crawl of a site brings, by the site's name."""

    @cache
    def crawled(name: str) -> dict[str, PostRow]:
        workspace = Workspace(str(tmp_path_factory.mktemp(name)))
        with PracticeServer(corpus, protocol=name) as server:
            config = sites[name].config(server)
            sites[name].run(workspace, config)
            return rows_of(workspace, config)

    return crawled


@pytest.fixture
def baseline(site: Site, undisturbed: Callable[[str], dict[str, PostRow]]) -> dict[str, PostRow]:
    """What an undisturbed crawl of the site brings."""
    return undisturbed(site.name)


def test_a_crawl_brings_every_post_once_and_every_file_whole(
    site: Site, corpus: Corpus, workspace: Workspace
) -> None:
    with PracticeServer(corpus, protocol=site.name) as server:
        config = site.config(server)
        summary = site.run(workspace, config)
    rows = rows_of(workspace, config)
    assert summary.num_posts == len(rows) >= NUM_POSTS * 0.7
    assert "due" not in summary.outcomes
    # Without MD5 nobody can tell a file that decodes from the one that it should be.
    unseen = {"wrong_md5"} if site.name == "getchu" else set()
    good = {row.sha256 for row in corpus.truth() if row.fault is None or row.fault in unseen}
    bad = {row.sha256 for row in corpus.truth()} - good
    drawn = (row for row in rows.values() if "/chara" not in row.post_id or "charab" in row.post_id)
    images = {row.image_id for row in drawn if row.outcome == "fetched"}
    assert images
    assert images <= good
    assert not images & bad
    for image_id in images:
        assert Originals(workspace).get(str(image_id))
    assert all(row.reason for row in rows.values() if row.outcome == "failed")
    assert all(row.source == site.name and row.tags for row in rows.values() if row.image_id)
    assert {row.rating for row in rows.values()} <= set(ALL_RATINGS)


def test_the_listing_comes_in_order_and_goes_on_from_any_page(
    site: Site, corpus: Corpus, workspace: Workspace, baseline: dict[str, PostRow]
) -> None:
    with PracticeServer(corpus, protocol=site.name, page_cap=cap(site.name, 7)) as server:
        for limit in (3, 11, 12, 1000):  # each run goes on where the one before was cut off
            config = site.config(server, limit=limit)
            crawl.list_posts(workspace, config, "run", credentials={site.name: site.credentials})
        listed = Table(workspace, ListingRow, config.all_queries[0].query_id).rows()
    positions = sorted((row.position, row.post_id) for row in listed)
    expected = sorted((row.position, row.post_id) for row in baseline.values())
    assert [post_id for _, post_id in positions] == [post_id for _, post_id in expected]
    assert [position for position, _ in positions] == list(range(len(expected)))


def test_run_twice_it_costs_two_calls_at_most_and_adds_nothing(
    site: Site, corpus: Corpus, workspace: Workspace
) -> None:
    with PracticeServer(corpus, protocol=site.name) as server:
        config = site.config(server)
        site.run(workspace, config)
        before = workspace.list("")
        server.requests.clear()
        site.run(workspace, config)
        assert server.requests["list"] <= 2
        assert server.requests["image"] == 0
    assert workspace.list("") == before


def test_what_comes_later_is_found(
    site: Site, corpus: Corpus, workspace: Workspace, baseline: dict[str, PostRow]
) -> None:
    with PracticeServer(corpus, protocol=site.name, first_posts=NUM_POSTS // 2) as server:
        config = site.config(server)
        site.run(workspace, config)
        first = rows_of(workspace, config)
        server.show(None)
        server.requests.clear()
        site.run(workspace, config)
        rows = rows_of(workspace, config)
        asked_again = sum(row.outcome == "fetched" for row in first.values())
        assert server.requests["image"] < len(rows) + 20 - asked_again
    assert 0 < len(first) < len(rows)
    if site.name == "getchu":  # a product's images come and go with their neighbours
        assert set(baseline) <= set(rows)
    else:
        assert told(rows) == told(baseline)


def test_posts_that_come_in_while_it_pages_are_neither_lost_nor_doubled(
    site: Site, corpus: Corpus, workspace: Workspace, baseline: dict[str, PostRow]
) -> None:
    insert = {"fault": "posts_inserted", "every": 2, "count": 3}
    faults = FaultSchedule.parse({"rules": [insert]})
    with PracticeServer(
        corpus,
        protocol=site.name,
        page_cap=cap(site.name, 5),
        first_posts=NUM_POSTS // 2,
        faults=faults,
    ) as server:
        config = site.config(server)
        for _ in range(3):
            site.run(workspace, config)
        server.faults = None
        server.show(None)
        site.run(workspace, config)
        assert set(baseline) <= set(rows_of(workspace, config))


# Lists whose records differ afterwards: the posts are all there, but say something else.
CHANGED = {
    *("ghost_row", "null_score", "missing_md5", "missing_file_url", "control_characters"),
    *("hostile_tags", "unescaped_quotes", "noai", "single_object"),
}
# A page that cannot be told from the end of a list, or from an empty one: only a sweep finds what
# lies behind.
LIKE_THE_END = {
    "zerochan": {"404", "410"},
    "getchu": {"404", "410", "empty_page", "gigantic_json", "noai"},
}
ENDLESS = {"endless_paging", "robots"}  # have tests of their own


def list_faults() -> list[tuple[str, str]]:
    return [
        (name, fault)
        for name in sorted(PROTOCOLS)
        for fault in faults_of(name, "list")
        if fault not in ENDLESS
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fault"), list_faults())
def test_a_fault_in_a_list_loses_no_post(
    name: str,
    fault: str,
    sites: dict[str, Site],
    corpus: Corpus,
    workspace: Workspace,
    undisturbed: Callable[[str], dict[str, PostRow]],
) -> None:
    site = sites[name]
    rule = {"fault": fault, "kind": "list", "at": [2], "seconds": 0.1}
    faults = FaultSchedule.parse({"rules": [rule]})
    with PracticeServer(
        corpus, protocol=name, page_cap=cap(site.name, 15), faults=faults
    ) as server:
        config = site.config(server)
        messages: list[str] = []
        for _ in range(4):
            try:
                site.run(workspace, config)
                break
            except SourceError as error:
                messages.append(str(error))
                time.sleep(0.6 if isinstance(error, TurnedAway) else 0)
        else:
            pytest.fail("the crawl did not recover")
        assert faults.given[fault] == 1
        assert not [message for message in messages if "\n" in message]
        if fault in LIKE_THE_END.get(name, ()):
            site.run(workspace, site.config(server, sweep_days=1e-9))
        rows = rows_of(workspace, config)
    expected = undisturbed(name)
    assert set(expected) <= set(rows)
    if fault not in CHANGED:
        assert {key: item for key, item in told(rows).items() if "/none" not in key} == told(
            expected
        )
    for row in rows.values():
        assert row.outcome in ("fetched", "failed", "skipped", "known")


UNAVAILABLE = ("failed", "unavailable")
FILE_OUTCOMES = {
    "404": ("failed", "http_404"),
    "410": ("failed", "gone"),
    "422": ("failed", "http_422"),
    "429": UNAVAILABLE,
    "429_retry_after": UNAVAILABLE,
    "500_good_body": UNAVAILABLE,
    "503_html": UNAVAILABLE,
    "redirect": ("fetched", None),
    "redirect_private": ("failed", "address_refused"),
    "redirect_file": ("failed", "address_refused"),
    "html_instead": ("failed", "html"),
    "wrong_length": ("failed", "truncated"),
    "cut_body": ("failed", "truncated"),
    "slow_drip": ("fetched", None),
    "empty_file": ("failed", "empty"),
    "wrong_md5": ("failed", "md5_mismatch"),
    "image_bomb": ("failed", "md5_mismatch"),
    "noai": ("skipped", "noai"),
}
WITHOUT_MD5 = {"image_bomb": ("failed", "decode_error")}
TURNED_AWAY = ("401_empty", "403_challenge")


def file_faults() -> list[tuple[str, str]]:
    return [(name, fault) for name in sorted(PROTOCOLS) for fault in faults_of(name, "file")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fault"), file_faults())
def test_a_fault_in_a_file_ends_in_its_reason_and_spares_the_others(
    name: str,
    fault: str,
    sites: dict[str, Site],
    corpus: Corpus,
    workspace: Workspace,
    undisturbed: Callable[[str], dict[str, PostRow]],
) -> None:
    site = sites[name]
    expected = undisturbed(name)
    files = Counter(row.site_md5 or row.file_url for row in expected.values())
    chosen = next(
        row
        for row in expected.values()
        if row.outcome == "fetched"
        and ".jpg" in str(row.file_url)
        # Danbooru names files by their MD5: copies have one address.
        and files[row.site_md5 or row.file_url] == 1
    )
    path = str(chosen.file_url).partition("://")[2].partition("/")[2].rpartition(".")[0]
    rule = {"fault": fault, "kind": "file", "share": 1, "path": path, "seconds": 0.1}
    with PracticeServer(
        corpus, protocol=name, faults=FaultSchedule.parse({"rules": [rule]})
    ) as server:
        config = site.config(server)
        if fault in TURNED_AWAY:
            with pytest.raises(TurnedAway):
                site.run(workspace, config)
            server.faults = None
            time.sleep(0.6)
        site.run(workspace, config)
        rows = rows_of(workspace, config)
    reasons = {key: (row.outcome, row.reason) for key, row in rows.items()}
    wanted = {key: (row.outcome, row.reason) for key, row in expected.items()}
    if fault not in TURNED_AWAY:
        wanted[chosen.post_id] = FILE_OUTCOMES[fault]
        if name == "getchu" and fault in WITHOUT_MD5:
            wanted[chosen.post_id] = WITHOUT_MD5[fault]
        if name == "getchu" and fault == "wrong_md5":  # nobody can tell, unless it does not decode
            wanted.pop(chosen.post_id)
            reasons.pop(chosen.post_id)
    assert reasons == wanted
    may_heal = wanted.get(chosen.post_id, ("", ""))[1] in ("unavailable", "truncated")
    assert rows[chosen.post_id].transient == may_heal


def test_passing_faults_of_files_all_heal(
    site: Site, corpus: Corpus, workspace: Workspace, baseline: dict[str, PostRow]
) -> None:
    passing = ("429", "500_good_body", "503_html", "cut_body", "wrong_length", "redirect")
    rules = [{"fault": item, "kind": "file", "share": 0.1, "times": 2} for item in passing]
    faults = FaultSchedule.parse({"seed": 2, "rules": rules})
    with PracticeServer(corpus, protocol=site.name, faults=faults) as server:
        for _ in range(3):  # a file that met too many at once is due again
            site.run(workspace, site.config(server))
        rows = rows_of(workspace, site.config(server))
    assert sum(faults.given.values()) > 5
    assert told(rows) == told(baseline)


def test_no_secret_is_kept_anywhere(
    sites: dict[str, Site], corpus: Corpus, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    site = sites["gelbooru"]
    faults = FaultSchedule.parse({"rules": [{"fault": "503_html", "kind": "list", "at": [1]}]})
    with PracticeServer(corpus, protocol="gelbooru", faults=faults) as server:
        config = site.config(server)
        site.run(workspace, config)
        assert any(SECRET in path for path in server.paths)  # the site has it
        assert Table(workspace, AttemptRow, crawl.crawl_id(config)).rows()
    assert SECRET not in caplog.text
    for path in os.scandir(workspace.url):
        for folder, _, names in os.walk(path):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    assert SECRET.encode() not in file.read(), name


def test_without_credentials_gelbooru_says_where_to_put_them(
    sites: dict[str, Site], corpus: Corpus, workspace: Workspace
) -> None:
    with (
        PracticeServer(corpus, protocol="gelbooru") as server,
        pytest.raises(ConfigError, match=r"GANIME_GELBOORU_API_KEY.*gelbooru-api-key"),
    ):
        crawl.run(workspace, sites["gelbooru"].config(server), "run")
    assert server.requests["list"] == 0


def test_without_a_user_zerochan_is_not_asked(
    sites: dict[str, Site], corpus: Corpus, workspace: Workspace
) -> None:
    with (
        PracticeServer(corpus, protocol="zerochan") as server,
        pytest.raises(ConfigError, match=r"crawl\.user"),
    ):
        crawl.run(workspace, sites["zerochan"].config(server, user=""), "run")
    assert server.requests["list"] == 0


@pytest.mark.parametrize("name", ["safebooru", "gelbooru", "danbooru", "zerochan"])
def test_a_listing_that_never_ends_is_refused(
    name: str, sites: dict[str, Site], corpus: Corpus, workspace: Workspace
) -> None:
    faults = FaultSchedule.parse({"rules": [{"fault": "endless_paging", "share": 1}]})
    with PracticeServer(
        corpus, protocol=name, page_cap=cap(site.name, 10), faults=faults
    ) as server:
        config = sites[name].config(server, limit=100_000)
        with contextlib.suppress(SourceRefused):  # or it sees that nothing new comes
            sites[name].run(workspace, config)
        assert server.requests["list"] < 30
        assert len(rows_of(workspace, config)) <= 10


def test_several_sites_are_crawled_side_by_side(
    sites: dict[str, Site], corpus: Corpus, workspace: Workspace
) -> None:
    names = ("safebooru", "danbooru", "zerochan")
    servers = {name: PracticeServer(corpus, protocol=name, latency_s=0.02) for name in names}
    for server in servers.values():
        server.__enter__()
    try:
        queries = [
            {"tags": sites[name].tags, "source": {"name": name, "url": servers[name].url}}
            for name in names
        ]
        config = CrawlConfig.parse({"queries": queries, "user": "tester", "ratings": ALL_RATINGS})
        crawl.run(workspace, config, "run")
        found = crawl.summaries(workspace, config)
        assert list(found) == list(names)
        assert all(summary.outcomes.get("fetched", 0) > 20 for summary in found.values())
        spans = [servers[name].traffic.arrivals("file") for name in names]
        assert max(times[0] for times in spans) < min(times[-1] for times in spans)
    finally:
        for server in servers.values():
            server.__exit__(None, None, None)


RUN = """
import json, sys
from pathlib import Path
from ganime.stages import crawl
from ganime.store.workspace import Workspace
config = crawl.CrawlConfig.parse(json.loads(sys.argv[2]))
credentials = {config.source.component: json.loads(sys.argv[3])}
try:
    crawl.run(Workspace(sys.argv[1]), config, "apart", credentials=credentials)
finally:
    status = Path("/proc/self/status").read_text()
    print(status.partition("VmHWM:")[2].split()[0])  # most memory held so far [kB]
"""


def start(site: Site, workspace: Workspace, config: CrawlConfig) -> "subprocess.Popen[str]":
    arguments = [workspace.url, config.canonical(), json.dumps(site.credentials)]
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_killed_ten_times_a_crawl_ends_as_if_never_killed(
    site: Site, corpus: Corpus, workspace: Workspace, baseline: dict[str, PostRow]
) -> None:
    seed = int(os.environ.get("GANIME_KILL_SEED", time.time()))
    moments = random.Random(seed)
    with PracticeServer(
        corpus, protocol=site.name, latency_s=0.03, page_cap=cap(site.name, 8)
    ) as server:
        config = site.config(server)
        for _ in range(10):
            process = start(site, workspace, config)
            # Python and its packages take a second or so to start: wait for the first request.
            before = sum(server.requests.values())
            while sum(server.requests.values()) == before and process.poll() is None:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.35))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            check_integrity(workspace, config)
        assert site.run(workspace, config).outcomes.get("due") is None
        rows = rows_of(workspace, config)
        files = [path for path in server.paths if _is_file(path)]
    assert told(rows) == told(baseline), f"seed {seed}"
    fetched = sum(row.outcome == "fetched" for row in rows.values())
    failed = len(rows) - fetched
    # Eight were in flight at each kill; failures are asked for again with their shard.
    assert len(files) <= fetched + 10 * 8 + 12 * 3 * failed + 3 * fetched * (
        site.name == "zerochan"
    )


def check_integrity(workspace: Workspace, config: CrawlConfig) -> None:
    """No half-written file or row, whatever moment it is."""
    for key in workspace.list("originals"):
        assert hashlib.sha256(workspace.read_bytes(key)).hexdigest() == key.rsplit("/", 1)[1]
    table = Table(workspace, PostRow, crawl.crawl_id(config))
    rows = [key for part in table.parts() for key in _keys(workspace, part)]
    assert len(rows) == len(set(rows))
    for row in table.rows():
        assert (row.image_id is not None) == (row.outcome in ("fetched", "known"))
        assert row.image_id is None or Originals(workspace).has(row.image_id)


def _keys(workspace: Workspace, part: str) -> list[tuple[str, int]]:
    read = read_part(workspace, part, PostRow, ["post_id", "attempt"])
    return list(zip(read["post_id"].to_pylist(), read["attempt"].to_pylist(), strict=True))


def _is_file(path: str) -> bool:
    return any(sign in path for sign in ("/images/", "/original/", "/.full.", "brandnew"))


@pytest.mark.slow
def test_four_runs_at_once_keep_to_every_budget(
    site: Site, corpus: Corpus, workspace: Workspace
) -> None:
    with PracticeServer(corpus, protocol=site.name, latency_s=0.02) as server:
        facts = site.config(server).source.FACTS
        limit = 4 if facts.file_budget.rate_per_s < 4 else 16  # slow sites take long enough
        processes = [
            start(site, workspace, site.config(server, rehearse=True, limit=limit, ratings=ratings))
            for ratings in (ALL_RATINGS, ("general", "unknown"), ("general",), ALL_RATINGS[:2])
        ]
        for process in processes:
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors
        traffic = server.traffic
        assert traffic.counts["list"] >= 4
        assert traffic.counts["file"] >= 3
        for kind, budget in (("list", facts.list_budget), ("file", facts.file_budget)):
            assert traffic.busiest(kind, 1.0) <= max(1, round(budget.rate_per_s))
            assert traffic.most_in_flight[kind] <= budget.in_flight


@pytest.mark.slow
def test_hostile_pages_take_little_memory(site: Site, corpus: Corpus, workspace: Workspace) -> None:
    rules = [
        {"fault": "gigantic_json", "at": [1, 3]},
        {"fault": "image_bomb", "share": 0.3},
        {"fault": "hostile_tags", "every": 2},
    ]
    faults = FaultSchedule.parse({"rules": rules})
    with PracticeServer(
        corpus, protocol=site.name, page_cap=cap(site.name, 10), faults=faults
    ) as server:
        process = start(site, workspace, site.config(server))
        output, errors = process.communicate(timeout=240)
    assert int(output.strip().splitlines()[-1]) < 500_000, errors  # kB
    names = [name for folder, _, names in os.walk(workspace.url) for name in names]
    assert "passwd" not in " ".join(names)
