import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from PIL import Image

from ganime.errors import ConfigError
from ganime.practice import broken
from ganime.practice.corpus import Corpus, PostRecord
from ganime.practice.faults import FAULTS, FaultRule, FaultSchedule, faults_of
from ganime.practice.protocols import PROTOCOLS
from ganime.practice.server import PracticeServer

DAPI = "/index.php?page=dapi&s=post&q=index&limit=10&api_key=k&user_id=1"
LISTS = {
    "safebooru": f"{DAPI}&json=1",
    "gelbooru": f"{DAPI}&json=1",
    "danbooru": "/posts.json?limit=10",
    "zerochan": "/?json&l=10",
    "getchu": "/all/month_title.html?year=2022&month=1&gc=gc",
}
HEADERS = {
    "User-Agent": "ganime/0 (dataset crawler; somebody)",
    "Referer": "https://www.getchu.com/",
    "Cookie": "getchu_adalt_flag=getchu.com",
}
BY_STATUS = {
    "401_empty": 401, "403_challenge": 403, "404": 404, "410": 410, "422": 422, "429": 429,
    "429_retry_after": 429, "500_good_body": 500, "503_html": 503, "redirect": 302,
    "redirect_private": 302, "redirect_file": 302,
}  # fmt: skip


def sound(corpus: Corpus) -> PostRecord:
    faulty = {row.post_id for row in corpus.truth() if row.fault}
    return next(post for post in corpus.posts if post.id not in faulty)


def path_of(site: PracticeServer, corpus: Corpus, kind: str) -> str:
    """A path of the site that gives a list, or the file of a sound post."""
    protocol, post = site.protocol.NAME, sound(corpus)
    if kind != "file":
        return LISTS[protocol] if kind == "list" else "/robots.txt"
    ending, md5 = post.image.rpartition(".")[2], post.md5 or ""
    if protocol == "getchu":
        product = next(p for p in site.protocol.products() if post in p.posts)  # type: ignore[attr-defined]
        place = product.posts.index(post) + 1
        return f"/brandnew/{product.number}/c{product.number}charab{place}.jpg"
    return {
        "safebooru": f"/images/{post.directory}/{post.image}",
        "gelbooru": f"/images/{md5[:2]}/{md5[2:4]}/{md5}.{ending}",
        "danbooru": f"/original/{md5[:2]}/{md5[2:4]}/{md5}.{ending}",
        "zerochan": f"/.full.{post.id}.{ending}",
    }[protocol]


def get(site: PracticeServer, path: str, **headers: str) -> httpx.Response:
    return httpx.get(site.url + path, headers=HEADERS | headers, trust_env=False)


@contextmanager
def faulty(
    corpus: Corpus, fault: str, *, protocol: str = "safebooru", **when: Any
) -> Iterator[PracticeServer]:
    rule = FaultRule.parse({"fault": fault, **(when or {"first": 1})})
    schedule = FaultSchedule(rules=(rule,))
    with PracticeServer(corpus, protocol=protocol, faults=schedule) as site:
        yield site


def test_every_site_knows_its_faults() -> None:
    assert {name for protocol in PROTOCOLS for kind in ("list", "file", "robots")
            for name in faults_of(protocol, kind)} == set(FAULTS)  # fmt: skip
    assert "too_deep" not in faults_of("safebooru", "list")
    assert "ghost_row" not in faults_of("gelbooru", "file")
    assert "bad_json" not in faults_of("getchu", "list")
    assert faults_of("getchu", "robots") == ("robots",)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["list", "file"])
def test_every_fault_strikes_once_and_heals(
    corpus: Corpus, protocol: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broken, "GIGANTIC", 1 << 20)
    # Those that are no fault to see, or that stay.
    silent = {"posts_inserted", "slow_drip", "endless_paging"}
    for fault in faults_of(protocol, kind):
        with faulty(corpus, fault, protocol=protocol, kind=kind, first=1, seconds=0.05) as site:
            path = path_of(site, corpus, kind)
            try:
                first = get(site, path)
            except httpx.RemoteProtocolError:
                assert fault in ("cut_body", "wrong_length"), fault
            else:
                assert fault not in ("cut_body", "wrong_length")
                assert first.status_code == BY_STATUS.get(fault, 200), fault
            schedule = site.faults
            assert isinstance(schedule, FaultSchedule)
            assert schedule.given == {fault: 1}
            second = get(site, path)
            assert second.status_code == 200, fault
            if fault in ("cut_body", "wrong_length"):
                continue
            same = (first.status_code, first.content, first.headers.get("x-robots-tag")) == (
                second.status_code, second.content, None
            )  # fmt: skip
            assert same == (fault in silent), fault


def rows_of(protocol: str, text: str) -> list[dict[str, object]]:
    listing = json.loads(text)
    name = {"gelbooru": "post", "zerochan": "items"}.get(protocol)
    return list(listing[name] if name else listing)


@pytest.mark.parametrize("protocol", ["safebooru", "gelbooru", "danbooru", "zerochan"])
def test_spoilt_rows_are_spoilt_as_named(corpus: Corpus, protocol: str) -> None:
    def spoilt(fault: str) -> str:
        with faulty(corpus, fault, protocol=protocol) as site:
            return get(site, LISTS[protocol]).text

    ghosts = rows_of(protocol, spoilt("ghost_row"))
    middle = ghosts[len(ghosts) // 2]
    assert middle["id"]
    assert middle.get("md5") is None
    assert str(middle.get("file_url", "/")).endswith("/")
    assert any(row.get("md5", row.get("hash")) for row in ghosts)
    without = rows_of(protocol, spoilt("missing_md5"))
    assert not {"md5", "hash"} & set(without[0])
    assert "id" in without[0]
    assert "file_url" not in rows_of(protocol, spoilt("missing_file_url"))[0]
    hostile = spoilt("hostile_tags")
    assert "../../../etc/passwd" in hostile
    assert rows_of(protocol, hostile)
    assert "\x02" in spoilt("control_characters")
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoilt("control_characters"))
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoilt("bad_json"))
    assert rows_of(protocol, get_empty(corpus, protocol) or "[]") == [] or protocol == "gelbooru"
    single = json.loads(spoilt("single_object"))
    name = {"gelbooru": "post", "zerochan": "items"}.get(protocol)
    assert isinstance(single[name] if name else single, dict)


def get_empty(corpus: Corpus, protocol: str) -> str:
    with faulty(corpus, "empty_page", protocol=protocol) as site:
        return get(site, LISTS[protocol]).text


def test_scores_are_null_where_sites_have_scores(corpus: Corpus) -> None:
    for protocol in ("safebooru", "gelbooru", "danbooru"):
        with faulty(corpus, "null_score", protocol=protocol) as site:
            rows = rows_of(protocol, get(site, LISTS[protocol]).text)
            assert {row["score"] for row in rows} == {None}


def test_xml_is_spoilt_like_json(corpus: Corpus) -> None:
    for protocol in ("safebooru", "gelbooru"):
        with faulty(corpus, "ghost_row", protocol=protocol) as site:
            root = ET.fromstring(get(site, DAPI).content)
            texts = [post.get("md5") or post.findtext("md5") for post in root]
            assert not texts[5]
            assert len(texts) == 10
        for fault, wanted in {"success_false": "response", "xml_error": "error"}.items():
            with faulty(corpus, fault, protocol=protocol) as site:
                assert ET.fromstring(get(site, DAPI).content).tag == wanted


def test_an_envelope_may_lack_its_content(corpus: Corpus) -> None:
    with faulty(corpus, "missing_post_key", protocol="gelbooru") as site:
        answer = get(site, LISTS["gelbooru"]).json()
        assert answer["@attributes"]["count"] == len(corpus.posts)
        assert "post" not in answer


def test_zerochan_breaks_its_json_in_its_own_ways(corpus: Corpus) -> None:
    with faulty(corpus, "html_before_json", protocol="zerochan") as site:
        text = get(site, LISTS["zerochan"]).text
        assert text.startswith("<div")
        assert json.loads(text[text.index("{") :])["items"]
    with faulty(corpus, "unescaped_quotes", protocol="zerochan") as site:
        assert 'said "hi""' in get(site, LISTS["zerochan"]).text


def test_a_refusal_says_when_to_come_again(corpus: Corpus) -> None:
    with faulty(corpus, "429_retry_after", first=1, seconds=7) as site:
        assert get(site, LISTS["safebooru"]).headers["retry-after"] == "7"
    with faulty(corpus, "403_challenge") as site:
        assert get(site, LISTS["safebooru"]).headers["cf-mitigated"] == "challenge"
    with faulty(corpus, "422", protocol="danbooru") as site:
        assert get(site, LISTS["danbooru"]).json()["error"] == "PostQuery::TagLimitError"


def test_redirects_lead_back_or_astray(corpus: Corpus) -> None:
    with faulty(corpus, "redirect", share=1) as site:
        answer = httpx.get(site.url + LISTS["safebooru"], follow_redirects=True, trust_env=False)
        assert len(answer.history) == 1
        assert len(answer.json()) == 10
    with faulty(corpus, "redirect_private") as site:
        location = get(site, LISTS["safebooru"]).headers["location"]
        assert location.startswith("http://169.254.169.254/")
    with faulty(corpus, "redirect_file") as site:
        assert get(site, LISTS["safebooru"]).headers["location"] == "file:///etc/passwd"


def part(chunks: Iterator[bytes]) -> bytes:
    """The next part of a body; nothing once its connection is lost."""
    try:
        return next(chunks)
    except httpx.RemoteProtocolError:
        return b""


def test_a_cut_file_can_be_had_in_two_parts(corpus: Corpus) -> None:
    post = sound(corpus)
    assert post.file
    content = (corpus.folder / post.file).read_bytes()
    with faulty(corpus, "cut_body", kind="file", first=1) as site:
        url, got = site.url + path_of(site, corpus, "file"), b""
        with httpx.stream("GET", url, trust_env=False) as answer:
            etag = answer.headers["etag"]
            assert answer.headers["content-length"] == str(len(content))
            chunks = answer.iter_raw()
            while chunk := part(chunks):
                got += chunk
        assert got == content[: len(content) // 2]
        rest = get(site, path_of(site, corpus, "file"),
                   **{"Range": f"bytes={len(got)}-", "If-Range": etag})  # fmt: skip
        assert rest.status_code == 206
        assert (
            rest.headers["content-range"] == f"bytes {len(got)}-{len(content) - 1}/{len(content)}"
        )
        assert got + rest.content == content
        path = path_of(site, corpus, "file")
        assert get(site, path, **{"Range": "bytes=5-", "If-Range": '"x"'}).status_code == 200
        assert get(site, path, Range=f"bytes={len(content)}-").status_code == 416
        assert get(site, path, Range="bytes=-3").content == content[-3:]
        assert get(site, path, Range="bytes=1-2").content == content[1:3]


def test_flipped_bytes_are_another_version(corpus: Corpus) -> None:
    with faulty(corpus, "wrong_md5") as site:
        path = path_of(site, corpus, "file")
        first, second = get(site, path), get(site, path)
        assert len(first.content) == len(second.content)
        assert first.content != second.content
        assert first.headers["etag"] != second.headers["etag"]


def test_a_drip_takes_its_time(corpus: Corpus) -> None:
    with faulty(corpus, "slow_drip", kind="file", first=1, seconds=0.3) as site:
        before = time.monotonic()
        get(site, path_of(site, corpus, "file"))
        assert time.monotonic() - before >= 0.25


def test_a_bomb_is_small_and_enormous(corpus: Corpus) -> None:
    with faulty(corpus, "image_bomb") as site:
        content = get(site, path_of(site, corpus, "file")).content
    assert len(content) < 1 << 20
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(content[16:20], "big") == broken.BOMB_SIDE
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS < broken.BOMB_SIDE**2


def test_endless_paging_repeats_the_first_page(corpus: Corpus) -> None:
    with faulty(corpus, "endless_paging", share=1) as site:
        first = get(site, LISTS["safebooru"]).text
        assert get(site, f"{LISTS['safebooru']}&pid=999").text == first


def test_a_gigantic_listing_is_longer_than_any_client_wants(corpus: Corpus) -> None:
    assert broken.GIGANTIC > 32 << 20
    with faulty(corpus, "gigantic_json") as site, httpx.Client(trust_env=False) as client:
        received = 0
        with client.stream("GET", site.url + LISTS["safebooru"]) as answer:
            for chunk in answer.iter_raw():
                received += len(chunk)
                if received > 4 << 20:
                    break
        assert received > 4 << 20


def test_posts_come_in_while_somebody_pages(corpus: Corpus) -> None:
    schedule = FaultSchedule(rules=(FaultRule(fault="posts_inserted", at=(2,), count=3),))
    with PracticeServer(corpus, first_posts=20, faults=schedule) as site:
        pages = [get(site, f"{LISTS['safebooru']}&pid={page}").json() for page in range(3)]
        ids = [row["id"] for page in pages for row in page]
        assert len(ids) == 23
        assert len(set(ids)) == 20  # pages by number show three of them twice


def test_robots_may_refuse_everything(corpus: Corpus) -> None:
    with faulty(corpus, "robots", share=1) as site:
        assert "Disallow: /\n" in get(site, "/robots.txt").text


def test_rules_say_when(corpus: Corpus) -> None:
    def struck(**when: Any) -> list[bool]:
        with faulty(corpus, "404", **when) as site:
            paths = [f"{LISTS['safebooru']}&pid={number // 2}" for number in range(8)]
            return [get(site, path).status_code == 404 for path in paths]

    assert struck(first=2) == [True, True] + [False] * 6
    assert struck(every=3) == [False, False, True, False, False, True, False, False]
    assert struck(at=(1, 4)) == [True, False, False, True] + [False] * 4
    assert struck(share=1, times=1) == [True, False] * 4
    assert struck(share=1, path="pid=2") == [False] * 4 + [True, True, False, False]
    half = struck(share=0.5)
    assert half == struck(share=0.5)
    assert 0 < sum(half) < 8


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"fault": "fire", "first": 1}, "no fault is called 'fire'"),
        ({"fault": "ghost_row", "kind": "file", "first": 1}, "befalls requests of kind list"),
        ({"fault": "404"}, "say one of"),
        ({"fault": "404", "first": 1, "every": 2}, "say one of"),
    ],
)
def test_a_wrong_rule_is_refused(rule: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FaultRule.parse(rule)


def test_a_site_refuses_faults_that_are_not_its_own(corpus: Corpus) -> None:
    schedule = FaultSchedule(rules=(FaultRule(fault="too_deep", first=1),))
    with pytest.raises(ConfigError, match="safebooru never shows too_deep on a list"):
        PracticeServer(corpus, faults=schedule)
