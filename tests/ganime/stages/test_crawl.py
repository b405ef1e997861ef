import asyncio
import contextlib
import hashlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from aiohttp import web
from PIL import Image

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.rows import AttemptRow, PostRow
from ganime.sources.listing import listing_table
from ganime.sources.safebooru import Safebooru
from ganime.stages import crawl
from ganime.stages.crawl import CrawlConfig
from ganime.store.manifest import Table, stable_columns
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace


def picture(number):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 7)).save(buffer, "PNG")
    return buffer.getvalue()


class Booru:
    """A small booru: posts by number, answers per file that a test may replace."""

    def __init__(self, num_posts):
        self.posts = {}
        self.files = {}
        self.asked = []
        self.list_answers = []  # given first, in turn
        self.delay_s = 0.0
        for number in range(1, num_posts + 1):
            self.add(number)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    def add(self, number, **changes):
        content = changes.pop("content", None) or picture(number)
        self.files[number] = lambda request: web.Response(body=content)
        self.posts[number] = {
            "id": number,
            "hash": hashlib.md5(content).hexdigest(),
            "directory": "1",
            "image": f"{number}.png",
            "tags": "1girl solo" if number % 2 else "1girl hat",
            "rating": "general",
            "score": None,
            **changes,
        }

    def stop(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(10)

    @property
    def num_lists(self):
        return sum(path == "/index.php" for path in self.asked)

    @property
    def files_asked(self):
        return [path for path in self.asked if path != "/index.php"]

    async def _answer(self, request):
        self.asked.append(request.path)
        if request.path == "/index.php":
            if self.list_answers:
                return self.list_answers.pop(0)
            return self._list(request.query)
        await asyncio.sleep(self.delay_s)
        number = int(re.fullmatch(r"/images/1/(\d+)\.\w+", request.path)[1])
        answer = self.files[number](request)
        return await answer if asyncio.iscoroutine(answer) else answer

    def _list(self, query):
        words = query["tags"].split()
        chosen = [
            post
            for number, post in sorted(self.posts.items(), reverse="sort:id:asc" not in words)
            if all(self._matches(word, number, post) for word in words)
        ]
        if query.get("json") != "1":
            return web.Response(text=f'<posts count="{len(chosen)}" offset="0"></posts>')
        page = chosen[: min(int(query["limit"]), 7)]  # less than was asked for
        return web.Response(text=json.dumps(page) if page else "", content_type="text/html")

    def _matches(self, word, number, post):
        if word.startswith("id:<"):
            return number < int(word[4:])
        if word.startswith("id:>"):
            return number > int(word[4:])
        if word.startswith("id:"):
            return number == int(word[3:])
        return word == "sort:id:asc" or word in (post["tags"] or "").split()

    async def _run(self):
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._started.set()
        await self._stopped.wait()
        await runner.cleanup()


@pytest.fixture
def booru():
    site = Booru(20)
    yield site
    site.stop()


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "workspace"))


def config(booru, **changes):
    settings = {"tags": "1girl", "shard_size": 6, **changes}
    return CrawlConfig(source=Safebooru(url=booru.url), **settings)


def listed(workspace, settings):
    rows = listing_table(workspace, settings.all_queries[0]).rows()
    return [int(row.post_id) for row in sorted(rows, key=lambda row: row.position)]


def posts(workspace, settings):
    return {
        int(row.post_id): row for row in Table(workspace, PostRow, crawl.crawl_id(settings)).rows()
    }


def outcome(workspace, settings, number):
    row = posts(workspace, settings)[number]
    return row.outcome, row.reason


def stable(rows):
    return {
        key: [getattr(row, name) for name in stable_columns(PostRow)] for key, row in rows.items()
    }


def test_every_post_gets_its_original_and_its_row(booru, workspace):
    settings = config(booru)
    summary = crawl.run(workspace, settings, "run")
    rows = posts(workspace, settings)
    assert sorted(rows) == list(range(1, 21))
    for number, row in rows.items():
        assert (row.outcome, row.reason, row.attempt, row.http_status) == ("fetched", None, 1, 200)
        assert Originals(workspace).get(row.image_id) == picture(number)
        assert row.num_bytes == len(picture(number))
    assert summary.describe() == "crawl: 20 posts, 20 fetched"


def test_a_second_run_asks_once_and_adds_nothing(booru, workspace):
    settings = config(booru)
    crawl.run(workspace, settings, "one")
    parts = workspace.list("")
    booru.asked.clear()
    crawl.run(workspace, settings, "two")
    assert booru.asked == ["/index.php"]
    assert workspace.list("") == parts


def test_what_is_new_is_added_above_and_fetched_alone(booru, workspace):
    settings = config(booru)
    crawl.run(workspace, settings, "one")
    for number in range(21, 31):
        booru.add(number)
    booru.asked.clear()
    crawl.run(workspace, settings, "two")
    assert listed(workspace, settings) == list(range(30, 0, -1))
    assert sorted(booru.files_asked) == sorted(f"/images/1/{n}.png" for n in range(21, 31))


def test_the_newest_are_listed_up_to_the_limit_and_a_higher_one_goes_on(booru, workspace):
    assert crawl.list_posts(workspace, config(booru, limit=9), "one") == 9
    assert listed(workspace, config(booru)) == list(range(20, 11, -1))
    assert crawl.list_posts(workspace, config(booru, limit=9), "two") == 0
    assert crawl.list_posts(workspace, config(booru, limit=15), "three") == 6
    assert crawl.list_posts(workspace, config(booru, limit=1000), "four") == 5
    assert listed(workspace, config(booru)) == list(range(20, 0, -1))


def test_a_listing_cut_off_goes_on_below_and_misses_nothing_above(booru, workspace):
    settings = config(booru)
    fine = lambda: booru._list({"tags": "1girl", "limit": "7", "json": "1"})  # noqa: E731
    booru.list_answers = [fine(), *(web.Response(status=503) for _ in range(5))]
    with pytest.raises(SourceUnavailable, match="answers 503"):
        crawl.list_posts(workspace, settings, "one")
    assert listed(workspace, settings) == list(range(20, 13, -1))
    booru.add(21)
    assert crawl.list_posts(workspace, settings, "two") == 14
    assert listed(workspace, settings) == list(range(21, 0, -1))


def test_posts_that_come_in_while_it_pages_shift_nothing(booru, workspace):
    settings = config(booru, limit=7)
    crawl.list_posts(workspace, settings, "one")
    booru.add(21)
    crawl.list_posts(workspace, config(booru, limit=14), "two")
    assert listed(workspace, settings) == list(range(21, 6, -1))


def test_a_tag_that_no_post_has_is_said(booru, workspace):
    with pytest.raises(SourceRefused, match=r"no post at .* is tagged '1grl'; check the spelling"):
        crawl.list_posts(workspace, config(booru, tags="1grl"), "run")
    assert workspace.list("") == []


def test_no_tags_are_a_wrong_setting(booru, workspace):
    with pytest.raises(ConfigError, match="no tags"):
        crawl.list_posts(workspace, config(booru, tags=" "), "run")


def test_a_site_that_is_down_is_named_with_advice(workspace):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings = CrawlConfig(source=Safebooru(url=url), tags="1girl")
    with pytest.raises(
        SourceUnavailable, match=f"cannot reach {url}: connection refused; is it up"
    ):
        crawl.list_posts(workspace, settings, "run")


async def cut(request):
    response = web.StreamResponse(headers={"Content-Length": "500"})
    await response.prepare(request)
    await response.write(picture(5))
    request.transport.close()
    return response


def moved(url):
    return lambda request: web.Response(status=302, headers={"Location": url})


FAULTS = {
    "empty": lambda request: web.Response(body=b""),
    "truncated": cut,
    "html": lambda request: web.Response(text="\n <!DOCTYPE html><html>", content_type="image/png"),
    "not_an_image": lambda request: web.Response(body=b"\x00\x00\x00 ftypmp42"),
    "md5_mismatch": lambda request: web.Response(body=picture(999)),
    "too_large": lambda request: web.Response(body=bytes(3000)),
    "http_404": lambda request: web.Response(status=404),
    "http_403": lambda request: web.Response(status=403),
    "gone": lambda request: web.Response(status=410),
    "unavailable": lambda request: web.Response(status=503),
    "address_refused": moved("http://169.254.169.254/latest/meta-data/"),
}


def test_each_fault_ends_in_its_reason_and_spares_the_others(booru, workspace):
    settings = config(booru, max_bytes=2000, shard_size=100)
    for number, fault in enumerate([*FAULTS.values(), moved("file:///etc/passwd")], start=1):
        booru.files[number] = fault
    crawl.run(workspace, settings, "run")
    rows = posts(workspace, settings)
    expected = [*FAULTS, "address_refused"]
    assert [rows[number].reason for number in range(1, 13)] == expected
    assert {rows[number].outcome for number in range(1, 13)} == {"failed"}
    assert all(rows[number].image_id is None for number in range(1, 13))
    assert {rows[number].outcome for number in range(13, 21)} == {"fetched"}
    assert sorted(number for number, row in rows.items() if row.transient) == [2, 10]
    assert rows[10].http_status == 503
    assert rows[7].http_status == 404


def test_only_what_may_heal_is_tried_again_and_not_for_ever(booru, workspace):
    settings = config(booru)
    for number, fault in enumerate(FAULTS.values(), start=1):
        booru.files[number] = fault
    crawl.run(workspace, settings, "one")
    (shard,) = crawl.plan(workspace, settings)
    assert [row.post_id for row in shard.rows] == ["10", "2"]
    for _ in range(5):
        crawl.run(workspace, settings, "again")
    row = posts(workspace, settings)[10]
    assert (row.reason, row.transient, row.attempt) == ("unavailable", False, 5)
    assert crawl.plan(workspace, settings) == []


def test_a_failure_that_heals_ends_fetched(booru, workspace):
    settings = config(booru)
    good, booru.files[3] = booru.files[3], FAULTS["unavailable"]
    crawl.run(workspace, settings, "one")
    booru.files[3] = good
    summary = crawl.run(workspace, settings, "two")
    assert posts(workspace, settings)[3].attempt == 2
    assert summary.outcomes == {"fetched": 20}


def test_a_ghost_has_a_row(booru, workspace):
    settings = config(booru)
    booru.posts[4] = {**dict.fromkeys(booru.posts[4]), "id": 4, "tags": "1girl"}
    booru.posts[4]["file_url"] = "https://safebooru.org/images//"
    crawl.run(workspace, settings, "run")
    assert outcome(workspace, settings, 4) == ("failed", "ghost")


def test_other_ratings_and_videos_are_skipped_without_a_request(booru, workspace):
    settings = config(booru)
    booru.add(4, rating="explicit")
    booru.add(5, rating="safe")
    booru.add(6, image="6.webm")
    booru.add(7, rating=None)
    crawl.run(workspace, settings, "run")
    assert outcome(workspace, settings, 4) == ("skipped", "rating")
    assert outcome(workspace, settings, 5) == ("fetched", None)
    assert outcome(workspace, settings, 6) == ("skipped", "extension")
    assert outcome(workspace, settings, 7) == ("fetched", None)
    assert "/images/1/4.png" not in booru.asked
    assert "/images/1/6.webm" not in booru.asked
    described = crawl.summary(workspace, settings).describe()
    assert described == "crawl: 20 posts, 18 fetched, 2 skipped (extension 1, rating 1)"


def test_a_file_that_was_replaced_since_is_taken_as_it_is_now(booru, workspace):
    settings = config(booru)
    crawl.list_posts(workspace, settings, "run")
    booru.add(3, content=picture(1003))
    crawl.run(workspace, settings, "run")
    row = posts(workspace, settings)[3]
    assert Originals(workspace).get(row.image_id) == picture(1003)
    assert row.site_md5 == hashlib.md5(picture(1003)).hexdigest()


def test_a_post_under_two_tags_is_fetched_once(booru, workspace):
    crawl.run(workspace, config(booru, tags="solo"), "one")
    summary = crawl.run(workspace, config(booru), "two")
    assert summary.outcomes == {"known": 10, "fetched": 10}
    assert max(Counter(booru.files_asked).values()) == 1
    row = posts(workspace, config(booru))[1]
    assert Originals(workspace).get(row.image_id) == picture(1)


def test_posts_of_two_sites_with_one_number_are_not_mixed_up(booru, workspace):
    crawl.run(workspace, config(booru), "one")
    other = Booru(0)
    for number in range(1, 4):
        other.add(number, content=picture(500 + number))
    try:
        summary = crawl.run(workspace, config(other), "two")
        row = posts(workspace, config(other))[1]
    finally:
        other.stop()
    assert summary.outcomes == {"fetched": 3}
    assert Originals(workspace).get(row.image_id) == picture(501)


def test_an_outage_commits_nothing_of_its_shard(booru, workspace):
    settings = config(booru)
    crawl.list_posts(workspace, settings, "one")
    shard = crawl.plan(workspace, settings)[0]
    booru.stop()
    with pytest.raises(SourceUnavailable, match="cannot reach"):
        crawl.fetch(workspace, settings, shard, "one")
    assert posts(workspace, settings) == {}


def test_an_outage_of_errors_commits_nothing_of_its_shard(booru, workspace):
    settings = config(booru, shard_size=100)
    good = dict(booru.files)
    booru.files = dict.fromkeys(good, FAULTS["unavailable"])
    with pytest.raises(SourceUnavailable, match="answers 503"):
        crawl.run(workspace, settings, "one")
    assert posts(workspace, settings) == {}
    booru.files = good
    assert crawl.run(workspace, settings, "two").outcomes == {"fetched": 20}


def test_a_site_that_turns_the_client_away_is_not_taken_for_missing_files(booru, workspace):
    settings = config(booru, shard_size=100)
    booru.files = dict.fromkeys(booru.files, FAULTS["http_403"])
    with pytest.raises(SourceRefused, match="turns this client away"):
        crawl.run(workspace, settings, "one")
    assert posts(workspace, settings) == {}


def test_eight_files_at_most_are_on_their_way(booru, workspace):
    on_their_way, counts = set(), []

    def slowly(answer):
        async def handle(request):
            on_their_way.add(request.path)
            counts.append(len(on_their_way))
            await asyncio.sleep(0.05)
            on_their_way.discard(request.path)
            return answer(request)

        return handle

    booru.files = {number: slowly(answer) for number, answer in booru.files.items()}
    summary = crawl.run(workspace, config(booru, shard_size=100), "one")
    assert summary.outcomes == {"fetched": 20}
    assert 1 < max(counts) <= 8


def test_repeating_a_shard_is_harmless(booru, workspace):
    settings = config(booru)
    crawl.list_posts(workspace, settings, "one")
    shard = crawl.plan(workspace, settings)[0]
    crawl.fetch(workspace, settings, shard, "one")
    before = posts(workspace, settings)
    booru.asked.clear()
    assert crawl.fetch(workspace, settings, shard, "two") == []
    assert posts(workspace, settings) == before
    assert booru.asked == []


def test_two_crawls_of_one_site_agree(booru, tmp_path):
    rows = []
    for name in ("a", "b"):
        workspace = Workspace(str(tmp_path / name))
        crawl.run(workspace, config(booru), name)
        rows.append((stable(posts(workspace, config(booru))), workspace.list("")))
    assert rows[0] == rows[1]


def test_it_runs_inside_a_running_event_loop(booru, workspace):
    async def notebook():
        return crawl.run(workspace, config(booru), "run")

    assert asyncio.run(notebook()).outcomes == {"fetched": 20}


def test_the_crawl_id_names_source_tags_and_ratings(booru):
    same = [config(booru), config(booru, limit=5), config(booru, shard_size=9, user="me")]
    assert len({crawl.crawl_id(item) for item in same}) == 1
    twisted = [config(booru, tags="a b"), config(booru, tags=" b  a ")]
    assert len({crawl.crawl_id(item) for item in twisted}) == 1
    other = [config(booru, tags="1girl solo"), config(booru, ratings=("general",))]
    assert len({crawl.crawl_id(item) for item in [*same, *other]}) == 3


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 0}, {"ratings": ()}, {"ratings": ("safe",)}, {"user": "a\r\nCookie: x"}, {"x": 1}],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        CrawlConfig.parse(wrong)


def test_a_source_is_chosen_by_name():
    settings = CrawlConfig.parse({"source": {"name": "folder", "path": "x"}})
    assert settings.source.component == "folder"
    with pytest.raises(ConfigError, match=r"known: .*folder, .*safebooru"):
        CrawlConfig.parse({"source": "nowhere"})


def test_a_folder_goes_through_the_same_stage(tmp_path, workspace):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.png").write_bytes(picture(number))
    (folder / "5.png").write_bytes(b"")
    (folder / "6.jpg").write_bytes(b"<html>")
    (folder / "0.txt").write_text("1girl")
    settings = CrawlConfig.parse({"source": {"name": "folder", "path": str(folder)}})
    summary = crawl.run(workspace, settings, "one")
    assert summary.describe() == "crawl: 7 posts, 5 fetched, 2 failed (empty 1, html 1)"
    (folder / "00.png").write_bytes(picture(77))
    assert crawl.run(workspace, settings, "two").outcomes == {"fetched": 6, "failed": 2}


def two_queries(booru, **changes):
    return config(booru, tags="solo", queries=[{"tags": "hat"}, {"tags": "1girl"}], **changes)


def test_a_post_that_two_queries_find_is_one_post(booru, workspace):
    settings = two_queries(booru)
    summary = crawl.run(workspace, settings, "one")
    assert summary.describe() == "crawl: 20 posts, 20 fetched"
    assert len(booru.files_asked) == len(set(booru.files_asked)) == 20
    booru.asked.clear()
    crawl.run(workspace, settings, "two")
    assert booru.asked == ["/index.php"] * 3


def test_another_crawl_of_the_same_posts_asks_for_no_file(booru, workspace):
    crawl.run(workspace, config(booru, tags="solo"), "one")
    booru.files[2] = FAULTS["http_404"]
    crawl.run(workspace, config(booru, tags="hat"), "two")
    booru.asked.clear()
    settings = two_queries(booru)
    summary = crawl.run(workspace, settings, "three")
    assert summary.outcomes == {"known": 19, "failed": 1}
    assert booru.files_asked == []
    assert outcome(workspace, settings, 2) == ("failed", "http_404")


def test_two_sites_of_one_kind_need_two_crawls():
    with pytest.raises(ConfigError, match="two different safebooru sources"):
        CrawlConfig.parse(
            {
                "tags": "1girl",
                "queries": [
                    {"tags": "1girl", "source": {"name": "safebooru", "url": "http://x.example"}}
                ],
            }
        )


def test_every_request_for_a_file_has_a_row(booru, workspace):
    settings = config(booru)
    answers = [FAULTS["unavailable"], moved("/images/1/4.png")]
    good = booru.files[3]
    booru.files[3] = lambda request: answers.pop(0)(request) if answers else good(request)
    booru.files[5] = FAULTS["md5_mismatch"]
    crawl.run(workspace, settings, "run")
    rows = Table(workspace, AttemptRow, crawl.crawl_id(settings)).rows()
    told = {}
    for row in sorted(rows, key=lambda row: row.request):
        told.setdefault(row.post_id, []).append((row.http_status, row.outcome))
    assert told["1"] == [(200, "ok")]
    assert told["3"][:2] == [(503, "http_503"), (302, "redirected")]
    assert told["5"] == [(200, "ok")] * 3  # the file, the post, the file again
    assert all(row.started_at and row.ms >= 0 for row in rows)


def test_a_file_that_matches_its_md5_but_does_not_decode_is_settled(booru, workspace):
    settings = config(booru)
    booru.add(3, content=picture(3)[:-30])
    crawl.run(workspace, settings, "run")
    assert outcome(workspace, settings, 3) == ("failed", "decode_error")
    assert crawl.plan(workspace, settings) == []


def test_a_file_that_is_not_for_training_is_left_alone(booru, workspace):
    settings = config(booru)
    booru.files[3] = lambda request: web.Response(
        body=picture(3), headers={"X-Robots-Tag": "noai, noimageai"}
    )
    crawl.run(workspace, settings, "run")
    assert outcome(workspace, settings, 3) == ("skipped", "noai")
    summary = crawl.run(workspace, config(booru, obey_robots=False), "two")
    assert summary.outcomes == {"known": 19, "fetched": 1}


def sweeping(booru):
    return config(booru, sweep_days=1e-9)


def test_a_sweep_learns_what_changed_and_fetches_only_what_was_replaced(booru, workspace):
    crawl.run(workspace, config(booru), "one")
    booru.posts[4]["tags"] = "1girl hat chibi"
    booru.posts[4]["score"] = 99
    booru.add(6, content=picture(606))
    del booru.posts[8]
    booru.posts[9]["tags"] = "solo"  # still there, but not of this query
    booru.posts[10]["rating"] = "explicit"
    booru.asked.clear()
    summary = crawl.run(workspace, sweeping(booru), "two")
    rows = posts(workspace, config(booru))
    assert booru.files_asked == ["/images/1/6.png"]
    assert rows[4].tags == ["1girl", "chibi", "hat"]
    assert rows[6].image_id == hashlib.sha256(picture(606)).hexdigest()
    assert (rows[8].state, rows[8].outcome) == ("gone", "fetched")
    assert (rows[9].tags, rows[9].state) == (["solo"], "active")
    assert (rows[10].outcome, rows[10].reason) == ("skipped", "rating")
    assert {number for number, row in rows.items() if row.version == 2} == {4, 6, 8, 9, 10}
    assert summary.outcomes == {"fetched": 19, "skipped": 1}


def test_a_sweep_of_an_unchanged_site_adds_no_row(booru, workspace):
    crawl.run(workspace, config(booru), "one")
    before = stable(posts(workspace, config(booru)))
    rows = listing_table(workspace, config(booru).all_queries[0]).rows()
    crawl.run(workspace, sweeping(booru), "two")
    assert stable(posts(workspace, config(booru))) == before
    assert listing_table(workspace, config(booru).all_queries[0]).rows() == rows


def test_a_sweep_waits_for_its_day(booru, workspace):
    crawl.run(workspace, config(booru), "one")
    booru.asked.clear()
    crawl.run(workspace, config(booru, sweep_days=1), "two")
    assert booru.num_lists == 1


def test_a_post_that_paging_missed_is_found_by_the_sweep(booru, workspace):
    hidden = booru.posts.pop(5)
    crawl.run(workspace, config(booru), "one")
    booru.posts[5] = hidden
    assert crawl.run(workspace, sweeping(booru), "two").outcomes == {"fetched": 20}


def test_two_processes_share_one_crawl_and_fetch_no_file_twice(booru, workspace):
    booru.delay_s = 0.05
    command = [sys.executable, "-c", CRAWL, booru.url, workspace.url]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert sorted(posts(workspace, config(booru))) == list(range(1, 21))
    assert len(booru.files_asked) == len(set(booru.files_asked)) == 20


def test_two_crawls_at_once_fetch_no_file_twice(booru, workspace):
    booru.delay_s = 0.05
    for post in booru.posts.values():
        post["tags"] = "1girl a b c"
    code = CRAWL.replace('tags="1girl"', "tags=sys.argv[3]")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, booru.url, workspace.url, f"1girl {name}"])
        for name in ("a", "b", "c")
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(booru.files_asked) == len(set(booru.files_asked)) == 20
    for name in ("a", "b", "c"):
        rows = posts(workspace, config(booru, tags=f"1girl {name}"))
        assert {row.outcome for row in rows.values()} <= {"fetched", "known"}
        assert len(rows) == 20


CRAWL = """
import sys
from ganime.sources.safebooru import Safebooru
from ganime.stages import crawl
from ganime.store.workspace import Workspace
settings = crawl.CrawlConfig(source=Safebooru(url=sys.argv[1]), tags="1girl", shard_size=6)
crawl.run(Workspace(sys.argv[2]), settings, "killed")
"""


def test_after_kill_9_it_carries_on_and_fetches_nothing_twice(booru, workspace, tmp_path):
    settings = config(booru)
    booru.delay_s = 0.1
    process = subprocess.Popen([sys.executable, "-c", CRAWL, booru.url, workspace.url])
    deadline = time.monotonic() + 60
    while len(posts(workspace, settings)) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    committed = posts(workspace, settings)
    assert 6 <= len(committed) < 20
    booru.asked.clear()
    booru.delay_s = 0.0
    crawl.run(workspace, settings, "resumed")
    asked_again = {int(re.search(r"(\d+)\.png", path)[1]) for path in booru.files_asked}
    assert asked_again <= set(range(1, 21)) - set(committed)
    unbroken = Workspace(str(tmp_path / "unbroken"))
    crawl.run(unbroken, settings, "unbroken")
    assert stable(posts(workspace, settings)) == stable(posts(unbroken, settings))
