import asyncio
import json
from datetime import UTC, datetime

import pytest
from aiohttp import web

from ganime.config import Config
from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import SOURCES, Page, Post
from ganime.sources.client import Client
from ganime.sources.safebooru import Safebooru


def record(number, **changes):
    return {
        "id": number,
        "hash": f"{number:032x}",
        "file_url": f"https://safebooru.org/images/1/{number}.jpg",
        "tags": " solo 1girl ",
        "rating": "safe",
        "score": None,
        "width": 600,
        "height": 900,
        "parent_id": 0,
        "source": "",
        **changes,
    }


def booru(*bodies):
    """Answers list calls with these bodies in turn, the last one for ever."""
    waiting = list(bodies)

    async def handler(request):
        body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, content_type="text/html")

    return handler


def older(url, cursor=None, limit=10, tags="1girl"):
    async def work():
        source = Safebooru(url=url)
        async with Client(source.FACTS, source.root) as client:
            return await source.older(client, tags, cursor, limit)

    return asyncio.run(work())


def newer(url, listed, limit=10):
    async def work():
        source = Safebooru(url=url)
        async with Client(source.FACTS, source.root) as client:
            return await source.newer(client, "1girl", listed, None, limit)

    return asyncio.run(work())


def again(url, post):
    async def work():
        source = Safebooru(url=url)
        async with Client(source.FACTS, source.root) as client:
            return await source.again(client, post)

    return asyncio.run(work())


def ids(posts):
    return [post.post_id for post in posts]


def test_a_page_holds_what_the_site_says(serve):
    full = record(7, score=3, parent_id=5, source="https://pixiv.example/1", tags="a_(b) 1girl a")
    server = serve(booru([full]))
    (post,) = older(server.url).posts
    assert post.post_id == "7"
    assert post.post_url == f"{server.url}/index.php?page=post&s=view&id=7"
    assert post.file_url == "https://safebooru.org/images/1/7.jpg"
    assert post.tags == ["1girl", "a", "a_(b)"]
    assert (post.rating, post.score, post.width, post.height) == ("general", 3, 600, 900)
    assert (post.site_md5, post.parent_id) == (f"{7:032x}", "5")
    assert post.source_link == "https://pixiv.example/1"
    assert post.posted_at is None


def test_the_time_of_a_change_and_the_state_are_kept(serve):
    records = [record(3, change=1669300235, status="deleted"), record(2), record(1, status="odd")]
    posts = older(serve(booru(records)).url).posts
    assert posts[0].changed_at == datetime(2022, 11, 24, 14, 30, 35, tzinfo=UTC)
    assert [post.state for post in posts] == ["deleted", "active", "active"]
    assert posts[1].changed_at is None


def test_a_post_is_asked_for_again_by_its_id(serve):
    server = serve(booru([record(7, score=9)]))
    assert again(server.url, Post(post_id="7", post_url="", file_url=None)).score == 9
    assert server.requests[0].query["tags"] == "id:7"


def test_a_post_that_the_total_denies_is_gone(serve):
    server = serve(booru("[]", '<posts count="0" offset="0"></posts>'))
    assert again(server.url, Post(post_id="7", post_url="", file_url=None)) is None


def test_a_post_that_is_counted_but_not_listed_stays_as_it_was(serve):
    server = serve(booru("[]", '<posts count="1" offset="0"></posts>'))
    post = Post(post_id="7", post_url="", file_url=None)
    assert again(server.url, post) is post


def test_the_first_call_is_what_older_asks_for(serve):
    server = serve(booru([record(9)]))
    older(server.url, limit=10, tags="1girl re:zero")
    asked = server.requests[0]
    assert Safebooru(url=server.url).first_call("1girl re:zero", 10) == server.url + asked.path_qs


def test_paging_goes_by_id_not_by_page_number(serve):
    server = serve(booru([record(9), record(8)]))
    page = older(server.url, cursor="10", limit=2)
    asked = server.requests[0].query
    assert asked["tags"] == "1girl id:<10"
    assert asked["limit"] == "2"
    assert "pid" not in asked
    assert page.cursor == "8"


def test_a_call_never_asks_for_more_than_the_site_allows(serve):
    server = serve(booru([record(9)]))
    older(server.url, limit=50_000)
    assert server.requests[0].query["limit"] == "1000"


def test_a_short_page_is_not_the_end(serve):
    assert older(serve(booru([record(9)])).url, limit=100).cursor == "9"


def test_an_empty_page_is_the_end_once_the_total_confirms_it(serve):
    server = serve(booru("", '<posts count="0" offset="0"></posts>'))
    assert older(server.url, cursor="10") == Page([], None)
    assert len(server.requests) == 2


@pytest.mark.parametrize("empty", ["", "[]"])
def test_an_empty_page_without_a_total_is_asked_for_five_times_more(serve, empty):
    server = serve(booru(empty))
    assert older(server.url, cursor="10") == Page([], None)
    assert len(server.requests) == 6


def test_an_empty_page_mid_way_is_not_the_end(serve):
    more = '<posts count="2" offset="0"></posts>'
    xml = '<posts count="2" offset="0"><post id="4" hash="" rating="s" tags=" a "/></posts>'
    page = older(serve(booru("[]", more, xml)).url, cursor="10")
    assert ids(page.posts) == ["4"]


def test_a_total_that_is_never_listed_leaves_the_end_open(serve):
    server = serve(booru("[]", '<posts count="2" offset="0"></posts>'))
    assert older(server.url, cursor="10") == Page([], "10")


def test_a_total_without_any_post_is_no_empty_search(serve):
    server = serve(booru("[]", '<posts count="2" offset="0"></posts>'))
    with pytest.raises(SourceUnavailable, match="counts 2 posts"):
        older(server.url)


def test_xml_is_read_too(serve):
    xml = """<?xml version="1.0" encoding="UTF-8"?><posts count="1" offset="0">
    <post id="12" md5="0123456789abcdef0123456789ABCDEF" file_url="//img.safebooru.org/1.png"
    rating="q" tags=" fate &amp;_co " score="" width="5" height="6" parent_id=""
    created_at="Thu Nov 24 08:30:35 -0600 2022" source=""/></posts>"""
    (post,) = older(serve(booru("", xml)).url).posts
    assert post.site_md5 == "0123456789abcdef0123456789abcdef"
    assert post.file_url == "http://img.safebooru.org/1.png"
    assert (post.rating, post.score, post.parent_id) == ("questionable", None, None)
    assert post.posted_at is not None
    assert post.posted_at.isoformat() == "2022-11-24T14:30:35+00:00"
    assert post.tags == ["&_co", "fate"]


def test_a_missing_url_is_built_from_directory_and_image(serve):
    server = serve(booru([record(3, file_url=None, directory=44, image="ab.jpg")]))
    (post,) = older(server.url).posts
    assert post.file_url == f"{server.url}/images/44/ab.jpg"


def test_a_ghost_keeps_its_place_without_a_file(serve):
    ghost = dict.fromkeys(record(1)) | {"id": 1, "file_url": "https://safebooru.org/images//"}
    (post,) = older(serve(booru([ghost])).url).posts
    assert (post.post_id, post.file_url, post.tags, post.rating) == ("1", None, [], "unknown")


def test_a_file_name_is_not_taken_for_an_md5(serve):
    (post,) = older(serve(booru([record(1, hash="a" * 40)])).url).posts
    assert post.site_md5 is None


@pytest.mark.parametrize(
    "body",
    [
        '<response success="false" reason="Search error: API limited due to abuse."/>',
        "<error>Search error</error>",
        "<!DOCTYPE html><html><body>Maintenance</body></html>",
        '{"success": false, "message": "down"}',
        '[{"id": 1, "tags"',
        "<posts count='1'><post id='1'",
        "Too deep! Pull it back some. Holy fuck.",
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><posts count="0">&b;</posts>',
        "[" * 100_000,
    ],
)
def test_what_is_no_listing_is_asked_for_again_and_then_an_error(serve, body):
    server = serve(booru(body))
    with pytest.raises(SourceUnavailable, match="does not answer with a listing"):
        older(server.url)
    assert len(server.requests) == 6


def test_one_garbled_answer_is_got_over(serve):
    xml = '<posts count="1" offset="0"><post id="4" tags="a"/></posts>'
    assert ids(older(serve(booru("<html>", xml)).url).posts) == ["4"]


@pytest.mark.parametrize("status", [401, 403])
def test_being_refused_names_the_site(serve, status):
    async def refuse(request):
        return web.Response(status=status)

    server = serve(refuse)
    with pytest.raises(SourceRefused, match=f"{server.url} answers {status}"):
        older(server.url)
    assert len(server.requests) == 1


def test_a_site_that_ignores_the_keyset_is_refused(serve):
    with pytest.raises(SourceRefused, match="ignores id:<5"):
        older(serve(booru([record(9), record(8)])).url, cursor="5")


def test_new_posts_come_oldest_first_and_nothing_new_costs_one_call(serve):
    server = serve(booru([record(11), record(12)], ""))
    assert ids(newer(server.url, ["9", "10"])) == ["11", "12"]
    assert server.requests[0].query["tags"] == "1girl id:>10 sort:id:asc"
    assert newer(server.url, ["12"]) == []
    assert len(server.requests) == 2


def test_new_posts_in_the_wrong_order_are_refused(serve):
    with pytest.raises(SourceRefused, match="ignores sort:id:asc"):
        newer(serve(booru([record(12), record(11)])).url, ["9"])


def test_records_that_make_no_sense_are_left_out(serve):
    odd = [None, 3, "x", {}, {"id": None}, {"id": "abc"}, {"id": -1}, {"id": 10**400}, record(5)]
    assert ids(older(serve(booru(odd)).url).posts) == ["5"]


def test_a_page_without_any_id_is_not_taken_for_the_end(serve):
    with pytest.raises(SourceUnavailable, match="none of its 2 records has an id"):
        older(serve(booru([{"id": None}, {}])).url, cursor="9")


def test_hostile_values_do_no_harm(serve):
    odd = record(5, score="1e9", width=[], height={}, tags=7, hash=9, source=["x"], file_url=3)
    odd |= {"change": 10**17, "status": []}
    (post,) = older(serve(booru([odd])).url).posts
    assert (post.score, post.width, post.height, post.tags) == (None, None, None, [])
    assert (post.site_md5, post.source_link, post.file_url) == (None, None, None)


@pytest.mark.parametrize("envelope", [{"post": [record(5)]}, {"post": record(5)}, record(5)])
def test_other_envelopes_are_understood(serve, envelope):
    assert ids(older(serve(booru(envelope)).url).posts) == ["5"]


@pytest.mark.parametrize("tags", ["", "  ", "1girl sort:score", "ID:>5 1girl"])
def test_queries_that_cannot_be_paged_are_wrong_settings(tags):
    with pytest.raises(ConfigError):
        Safebooru().check(tags)


@pytest.mark.parametrize("url", ["", "safebooru.org", "ftp://a", "http://", "https://a:b@c"])
def test_an_address_that_is_none_is_a_wrong_setting(url):
    class Settings(Config):
        source: SOURCES.field()

    with pytest.raises(ConfigError, match="wanted an address"):
        Settings.parse({"source": {"name": "safebooru", "url": url}})
