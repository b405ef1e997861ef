import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from starlette.requests import Request
from starlette.responses import Response

from ganime.errors import GanimeError
from ganime.practice.corpus import Corpus, PostRecord
from ganime.practice.files import HTML
from ganime.practice.protocol import Index
from ganime.practice.server import PracticeServer


@pytest.fixture(scope="module")
def server(corpus: Corpus) -> Iterator[PracticeServer]:
    with PracticeServer(corpus) as running:
        yield running


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def listing(server: PracticeServer, tags: str, *, json_wanted: bool = True, **more: object) -> str:
    extra = "".join(f"&{name}={value}" for name, value in more.items())
    kind = "&json=1" if json_wanted else ""
    query = f"/index.php?page=dapi&s=post&q=index&tags={quote(tags)}{extra}{kind}"
    return get(server.url + query).decode()


def rows(server: PracticeServer, tags: str, **more: object) -> list[dict[str, object]]:
    text = listing(server, tags, **more)
    return list(json.loads(text)) if text else []


def ids(server: PracticeServer, tags: str, **more: object) -> list[int]:
    return [int(str(row["id"])) for row in rows(server, tags, **more)]


def post_with(corpus: Corpus, fault: str) -> PostRecord:
    wanted = next(row.post_id for row in corpus.truth() if row.fault == fault)
    return next(post for post in corpus.posts if post.id == wanted)


def image_url(server: PracticeServer, post: PostRecord) -> str:
    return f"{server.url}/images/{post.directory}/{post.image}"


def test_newest_posts_come_first_and_all_of_them(server: PracticeServer, corpus: Corpus) -> None:
    assert ids(server, "", limit=1000) == sorted((post.id for post in corpus.posts), reverse=True)


@pytest.mark.parametrize("order", ["down", "up"])
def test_paging_by_keyset_gives_every_post_once(
    server: PracticeServer, corpus: Corpus, order: str
) -> None:
    found: list[int] = []
    words = "" if order == "down" else "id:>0 sort:id:asc"
    while page := ids(server, f"full_body {words}", limit=7):
        found += page
        words = f"id:<{page[-1]}" if order == "down" else f"id:>{page[-1]} sort:id:asc"
    assert sorted(found) == [post.id for post in corpus.posts]
    assert len(set(found)) == len(found)


def test_paging_by_number_gives_every_post_once(server: PracticeServer, corpus: Corpus) -> None:
    found = [post for page in range(5) for post in ids(server, "", limit=10, pid=page)]
    assert sorted(found) == [post.id for post in corpus.posts]


def test_words_are_joined_negated_and_ranged(server: PracticeServer, corpus: Corpus) -> None:
    by_id = {post.id: post for post in corpus.posts}
    some = sorted(by_id)[20]
    for tags, test in {
        "full_body standing": lambda p: {"full_body", "standing"} <= set(p.tags),
        "1girl -white_background": lambda p: "1girl" in p.tags and "white_background" not in p.tags,
        "rating:general": lambda p: p.rating == "general",
        "-rating:general": lambda p: p.rating != "general",
        f"id:<{some}": lambda p: p.id < some,
        f"id:>{some}": lambda p: p.id > some,
        f"id:{some}": lambda p: p.id == some,
        "long_hair": lambda p: "long_hair" in p.tags,
    }.items():
        assert set(ids(server, tags, limit=1000)) == {i for i, p in by_id.items() if test(p)}, tags
    assert ids(server, "", id=some) == [some]


def test_json_and_xml_agree(server: PracticeServer) -> None:
    tree = ElementTree.fromstring(listing(server, "standing", json_wanted=False, limit=1000))
    written = rows(server, "standing", limit=1000)
    assert tree.get("count") == str(len(written))
    assert tree.get("offset") == "0"
    for element, row in zip(tree, written, strict=True):
        assert element.get("id") == str(row["id"])
        assert "created_at" not in row
        if row["hash"] is None:
            assert str(row["file_url"]).endswith("/images//")
            continue
        assert element.get("created_at")
        for xml_name, name in {"md5": "hash", "file_url": "file_url", "rating": "rating"}.items():
            assert element.get(xml_name) == row[name]
        assert str(element.get("tags")).split() == str(row["tags"]).split()
        assert int(str(element.get("width"))) == row["width"]


def test_no_result_is_an_empty_body(server: PracticeServer) -> None:
    assert listing(server, "no_such_tag") == ""
    assert 'count="0"' in listing(server, "no_such_tag", json_wanted=False)


def test_a_page_too_deep_is_refused(server: PracticeServer) -> None:
    assert 'success="false"' in listing(server, "", limit=1000, pid=1000)


def test_sound_images_are_served_under_names_that_are_not_their_md5(
    server: PracticeServer, corpus: Corpus
) -> None:
    post = next(post for post in corpus.posts if post.md5 and post.file and not post.ghost)
    row = rows(server, "", id=post.id)[0]
    assert get(str(row["file_url"])) == (corpus.folder / post.file).read_bytes()
    assert post.md5 not in str(row["file_url"])


def test_every_fault_is_seen_over_http(server: PracticeServer, corpus: Corpus) -> None:
    assert get(image_url(server, post_with(corpus, "empty"))) == b""
    assert get(image_url(server, post_with(corpus, "html"))) == HTML
    for fault in ("cut_in_transfer", "uploaded_broken", "wrong_md5"):
        assert len(get(image_url(server, post_with(corpus, fault)))) > 100
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(image_url(server, post_with(corpus, "missing")))
    ghost = rows(server, "", id=post_with(corpus, "ghost").id)[0]
    assert {name for name, value in ghost.items() if value is not None} == {"id", "file_url"}
    assert str(ghost["file_url"]).endswith("/images//")


def test_samples_and_pages_are_there_for_people(server: PracticeServer, corpus: Corpus) -> None:
    row = next(row for row in rows(server, "", limit=1000) if row["hash"])
    post = next(post for post in corpus.posts if post.id == row["id"])
    page = get(f"{server.url}/index.php?page=post&s=view&id={post.id}").decode()
    assert post.image in page
    sound = next(row for row in corpus.truth() if row.fault is None)
    assert get(str(rows(server, "", id=sound.post_id)[0]["preview_url"]))[:2] == b"\xff\xd8"


def test_requests_are_counted_and_listed(corpus: Corpus) -> None:
    with PracticeServer(corpus) as server:
        page = rows(server, "", limit=2)
        sound = next(row for row in rows(server, "", limit=1000) if row["hash"])
        get(str(sound["preview_url"]))
        assert len(page) == 2
        assert server.requests == {"list": 2, "thumbnail": 1}
        assert len(server.paths) == 3
        assert "limit=2" in server.paths[0]


def test_a_hook_may_answer_first_and_the_site_may_be_slow_or_small(corpus: Corpus) -> None:
    def refuse(request: Request) -> Response | None:
        return Response(status_code=429) if "blocked" in request.url.query else None

    with PracticeServer(corpus, latency_s=0.05, page_cap=3, first_posts=10, faults=refuse) as site:
        with pytest.raises(urllib.error.HTTPError, match="429"):
            listing(site, "blocked")
        before = time.monotonic()
        assert len(ids(site, "", limit=1000)) == 3
        assert time.monotonic() - before >= 0.05
        oldest = sorted(post.id for post in corpus.posts)
        assert ids(site, "", limit=1000)[0] == oldest[9]
        site.show(None)
        assert ids(site, "", limit=1000)[0] == oldest[-1]


def test_a_port_in_use_is_one_clear_error(server: PracticeServer, corpus: Corpus) -> None:
    with pytest.raises(GanimeError, match=rf"127\.0\.0\.1:{server.port}.*in use"):
        PracticeServer(corpus, port=server.port).__enter__()


def test_it_stops_while_a_client_keeps_its_connection(corpus: Corpus) -> None:
    with PracticeServer(corpus) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/")
        connection.getresponse().read()
        before = time.monotonic()
    assert time.monotonic() - before < 2
    connection.close()
    with pytest.raises(urllib.error.URLError):
        get(server.url)


def test_an_index_takes_posts_in_any_order(corpus: Corpus) -> None:
    assert Index(corpus.posts[::-1]).search("") == Index(corpus.posts).search("")
