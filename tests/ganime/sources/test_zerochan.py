import asyncio
import json
import logging

import pytest
from aiohttp import web

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import Page, Post
from ganime.sources.client import Client
from ganime.sources.zerochan import Zerochan

PNG = b"\x89PNG\r\n\x1a\n"


def item(number, **changes):
    return {
        "id": number,
        "width": 1200,
        "height": 1800,
        "md5": f"{number:032x}",
        "thumbnail": f"https://s1.zerochan.net/Hatsune.Miku.240.{number}.jpg",
        "source": "https://pixiv.example/1",
        "tag": "Hatsune Miku",
        "tags": ["Hatsune Miku", "Long Hair", "Solo"],
        **changes,
    }


def listing(*items):
    return json.dumps({"items": list(items)})


def site(*numbers, per_page=250):
    """A whole site: lists by page, entries, nothing beyond the end."""

    async def handler(request):
        if request.path.lstrip("/").isdigit():
            return web.json_response(item(int(request.path[1:])))
        start = (int(request.query["p"]) - 1) * per_page
        return web.Response(text=listing(*map(item, numbers[start : start + per_page])))

    return handler


def answers(*bodies, status=200):
    """Answers with these bodies in turn, the last one for ever."""
    waiting = list(bodies)

    async def handler(request):
        body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(body, web.Response):
            return web.Response(status=body.status, body=body.body, headers=body.headers)
        return web.Response(text=body, status=status)

    return handler


def ask(url, work, **settings):
    async def run():
        source = Zerochan(url=url, **settings)
        async with Client(source.FACTS, source.root, "somebody") as client:
            return await work(source, client)

    return asyncio.run(run())


def older(url, cursor=None, limit=1000, tags="Hatsune Miku, Solo", **settings):
    return ask(url, lambda source, client: source.older(client, tags, cursor, limit), **settings)


def newer(url, listed, limit=1000, **settings):
    return ask(
        url, lambda source, client: source.newer(client, "Solo,", listed, None, limit), **settings
    )


def again(url, number=7, **changes):
    post = Post(post_id=str(number), post_url="", file_url=f"{url}/.full.{number}.jpg", **changes)
    return ask(url, lambda source, client: source.again(client, post))


def ids(posts):
    return [int(post.post_id) for post in posts]


def test_a_page_holds_what_the_site_says(serve):
    server = serve(site(7))
    (post,) = older(server.url).posts
    assert (post.post_id, post.post_url) == ("7", f"{server.url}/7")
    assert post.file_url == f"{server.url}/.full.7.jpg"
    assert post.tags == ["hatsune_miku", "long_hair", "solo"]
    assert (post.width, post.height, post.site_md5) == (1200, 1800, f"{7:032x}")
    assert (post.rating, post.source_link) == ("general", "https://pixiv.example/1")


def test_the_public_site_keeps_its_files_on_a_host_of_their_own():
    post = Zerochan()._post(item(7, thumbnail="https://s1.zerochan.net/A.240.7.png"))
    assert post.file_url == "https://static.zerochan.net/.full.7.png"


@pytest.mark.parametrize(
    ("tags", "path"),
    [
        ("Hatsune Miku, Solo", "/Hatsune+Miku,Solo"),
        ("hatsune_miku solo", "/hatsune+miku,solo"),
        ("Fate/stay night,", "/Fate%2Fstay+night"),
        ("solo", "/solo"),
    ],
)
def test_tags_are_taken_as_the_site_or_as_boorus_spell_them(serve, tags, path):
    server = serve(site(7))
    older(server.url, tags=tags)
    assert server.requests[0].raw_path.split("?")[0] == path
    query = server.requests[0].query
    assert (query["p"], query["l"], query["s"], "json" in query) == ("1", "250", "id", True)


def test_options_are_said_to_the_site(serve):
    server = serve(site(7))
    older(server.url, order="fav", window=2, strict=True, dimensions="portrait")
    query = server.requests[0].query
    assert (query["s"], query["t"], query["d"]) == ("fav", "2", "portrait")
    assert "strict" in query
    assert Zerochan(url=server.url).first_call("a, b c", 5).startswith(f"{server.url}/a,b+c?json")


def test_pages_are_followed_until_one_is_empty(serve):
    server = serve(site(*range(600, 0, -1)))
    found, cursor = [], None
    while True:
        page = older(server.url, cursor)
        found += ids(page.posts)
        if page.cursor is None:
            break
        cursor = page.cursor
    assert found == list(range(600, 0, -1))
    assert len(server.requests) == 5  # three pages, and the end, which is asked for twice


def test_a_page_that_the_limit_cuts_goes_on_where_it_was_cut(serve):
    server = serve(site(*range(300, 0, -1)))
    first = older(server.url, limit=40)
    assert (first.cursor, len(first.posts)) == ("1:40", 40)
    second = older(server.url, "1:40", limit=210)
    assert (second.cursor, ids(second.posts)[0], len(second.posts)) == ("2", 260, 210)
    assert {request.query["l"] for request in server.requests} == {"250"}


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_beyond_the_first_page_is_the_end(serve, status):
    assert older(serve(answers("", status=status)).url, "9") == Page([], None)


def test_a_refusal_of_the_first_page_is_none(serve):
    with pytest.raises(SourceRefused, match="answers 403"):
        older(serve(answers("no", status=403)).url)


def test_an_empty_page_is_believed_when_it_is_said_twice(serve):
    server = serve(answers(listing(), listing(item(7))))
    assert ids(older(server.url, "2").posts) == [7]
    server = serve(answers(listing()))
    assert older(server.url, "2") == Page([], None)
    assert len(server.requests) == 2


def test_posts_that_moved_to_the_next_page_are_dropped(serve):
    pages = [listing(*map(item, range(300, 50, -1))), listing(*map(item, range(52, 40, -1)))]

    async def two(source, client):
        first = await source.older(client, "Solo", None, 1000)
        return await source.older(client, "Solo", first.cursor, 1000)

    page = ask(serve(answers(*pages)).url, two)
    assert ids(page.posts) == list(range(50, 40, -1))


def test_a_site_that_lists_the_same_page_for_ever_is_refused(serve):
    async def two(source, client):
        await source.older(client, "Solo", None, 1000)
        await source.older(client, "Solo", "2", 1000)

    with pytest.raises(SourceRefused, match="ignores p"):
        ask(serve(answers(listing(item(7)))).url, two)


def test_a_500_with_a_good_body_is_an_answer(serve):
    server = serve(answers(listing(item(7)), status=500))
    assert ids(older(server.url).posts) == [7]
    assert len(server.requests) == 1


def test_the_popular_of_all_are_asked_for_without_a_window_if_that_fails(serve):
    async def handler(request):
        if "t" in request.query:
            return web.Response(status=500, text="<html>Internal Server Error</html>")
        start = int(request.query["p"]) * 10
        return web.Response(text=listing(item(start), item(start + 1)))

    async def two(source, client):
        first = await source.older(client, "", None, 1000)
        return await source.older(client, "", first.cursor, 1000)

    server = serve(handler)
    assert ids(ask(server.url, two, order="fav").posts) == [20, 21]
    assert len(server.requests) == 3  # learnt once


def test_thirty_thousand_popular_images_cost_about_120_list_calls(serve):
    async def descend(source, client):
        found, cursor = 0, None
        while found < 30_000:
            page = await source.older(client, "", cursor, 30_000 - found)
            found, cursor = found + len(page.posts), page.cursor
        return found

    server = serve(site(*range(31_000, 0, -1)))
    assert ask(server.url, descend, order="fav") == 30_000
    assert len(server.requests) == 120


@pytest.mark.parametrize(
    "body", ["<html>Just a page</html>", '{"items": [{"id": 7, "wi', "{}", "["]
)
def test_what_is_no_listing_is_asked_for_again_and_then_an_error(serve, body):
    server = serve(answers(body))
    with pytest.raises(SourceUnavailable, match="does not answer with a listing"):
        older(server.url)
    assert len(server.requests) == 4
    assert ids(older(serve(answers(body, listing(item(7)))).url).posts) == [7]


BROKEN = [
    listing(item(7)).replace("Long", "Lo\x01\x0bng\n"),
    listing(item(7)).replace("pixiv.example/1", 'pixiv.example/"1" and "2"'),
    "<br />\n<b>Warning</b>: {nothing} in <b>x.php</b>\n" + listing(item(7)),
    listing(item(7)) + "\n<!-- 0.02 s -->",
    listing(item(7)).replace('"Solo"', '"So"lo"'),
    listing(item(7)).replace('"tags"', '"new": {"a": [1]}, "tags"'),
    listing(item(7)).replace("]}]}", "],}]}"),
    listing(item(7, id="7", width="1200", height="1800")),
]


@pytest.mark.parametrize("body", BROKEN)
def test_broken_json_is_read_as_far_as_it_can_be(serve, body):
    server = serve(answers(body))
    (post,) = older(server.url).posts
    assert len(server.requests) == 1
    assert (post.post_id, post.width, post.site_md5) == ("7", 1200, f"{7:032x}")
    assert post.file_url == f"{server.url}/.full.7.jpg"
    assert {"hatsune_miku"} < set(post.tags)


def test_an_unescaped_quote_costs_none_of_the_fields(serve):
    body = listing(item(6), item(7, source="X", tags=["Y", "Solo"]), item(8))
    body = body.replace('"X"', '"He said "no", then left"').replace('"Y"', '"The "Best" Girl"')
    page = older(serve(answers(body)).url)
    assert ids(page.posts) == [6, 7, 8]
    assert page.posts[1].source_link == 'He said "no", then left'
    assert page.posts[1].tags == ["hatsune_miku", "solo", 'the_"best"_girl']


def test_an_item_that_cannot_be_read_is_logged_and_skipped(serve, caplog):
    body = listing(item(6), item(7), item(8)).replace('"id": 7', '"id": seven')
    with caplog.at_level(logging.WARNING):
        page = older(serve(answers(body)).url)
    assert ids(page.posts) == [6, 8]
    assert page.cursor == "2"
    assert "1 items cannot be read" in caplog.text


def test_hostile_values_do_no_harm(serve):
    odd = item(
        7,
        md5=9,
        thumbnail=["x"],
        source={},
        tags=[1, None, ""],
        tag=f"&#{'9' * 5000};",
        width="1e9",
    )
    others = [None, 3, {}, item(1, id=-1), item(1, id=10**30), item(1, id="../x"), [[]]]
    server = serve(answers(listing(odd, *others)))
    (post,) = older(server.url).posts
    assert len(post.tags) == 1
    assert (post.site_md5, post.source_link, post.width) == (None, None, None)
    assert post.file_url == f"{server.url}/.full.7.jpg"


@pytest.mark.parametrize("deep", ['{"items": ' + "[" * 100_000, '{"items": [' + '{"id":' * 100_000])
def test_nesting_without_end_is_no_listing(serve, deep):
    with pytest.raises(SourceUnavailable):
        older(serve(answers(deep)).url)


def test_the_redirect_of_a_renamed_tag_is_followed_and_remembered(serve):
    async def handler(request):
        if request.path == "/Miku":
            raise web.HTTPFound("/Hatsune+Miku")
        if "p" not in request.query:
            return web.Response(text="<html>Hatsune Miku</html>", content_type="text/html")
        return web.Response(text=listing(item(int(request.query["p"]))))

    async def two(source, client):
        first = await source.older(client, "Miku", None, 1000)
        second = await source.older(client, "Miku", first.cursor, 1000)
        return first.posts + second.posts

    server = serve(handler)
    assert ids(ask(server.url, two)) == [1, 2]
    assert len(server.requests) == 4  # two for the redirect, then one a page


def test_new_posts_come_oldest_first_and_a_cut_leaves_no_gap(serve):
    server = serve(site(*range(600, 0, -1)))
    known = {str(number) for number in range(100, 301)}
    assert ids(newer(server.url, known)) == list(range(301, 601))
    assert ids(newer(server.url, known, limit=10)) == list(range(301, 311))


def test_nothing_new_costs_one_call(serve):
    server = serve(site(9, 8, 7))
    assert newer(server.url, {"9", "8"}) == []
    assert len(server.requests) == 1


def test_popularity_has_nothing_new_and_costs_no_call(serve):
    server = serve(site(9))
    assert newer(server.url, {"1"}, order="fav") == []
    assert server.requests == []


def test_what_is_new_ends_with_the_listing(serve):
    assert ids(newer(serve(site(9, 8)).url, {"1"})) == [8, 9]
    with pytest.raises(SourceRefused, match="ignores p"):
        newer(serve(answers(listing(item(9)))).url, {"1"})


def test_an_entry_is_read_by_its_own_names(serve):
    entry = {
        "id": 7,
        "small": "https://s1.zerochan.net/A.240.7.jpg",
        "full": "URL/Hatsune.Miku.full.7.png",
        "width": 10,
        "height": 20,
        "size": 12345,
        "hash": "AB" * 16,
        "source": 'a "quoted" one',
        "primary": "Hatsune Miku",
        "tags": ["Solo"],
    }
    texts = [json.dumps(entry), json.dumps(entry).replace('\\"', '"')]
    for text in texts:
        server = serve(answers(""))
        server._handler = answers(f"<p>{text}".replace("URL", server.url))
        post = again(server.url)
        assert server.requests[0].path == "/7"
        assert post.file_url == f"{server.url}/Hatsune.Miku.full.7.png"
        assert (post.width, post.site_md5) == (10, "ab" * 16)
        assert post.tags == ["hatsune_miku", "solo"]
        assert post.source_link == 'a "quoted" one'


def test_what_an_entry_leaves_out_stays_as_it_was(serve):
    post = again(serve(answers('{"id": 7, "full": "https://evil.example/x"}')).url, tags=["solo"])
    assert (post.tags, post.post_id) == (["solo"], "7")
    assert post.file_url.endswith("/.full.7.jpg")
    assert "evil" not in post.file_url


@pytest.mark.parametrize("status", [404, 410])
def test_a_removed_post_is_gone(serve, status):
    assert again(serve(answers("<h2>Deleted</h2>", status=status)).url) is None


def test_a_post_that_is_hidden_stays_as_it_was(serve):
    assert again(serve(answers("<h2>Log in</h2>", status=404)).url).post_id == "7"


@pytest.mark.parametrize("body", ["", "<html>", '{"id": 8}', "[]", '{"id":' * 50_000 + "}"])
def test_an_entry_that_cannot_be_read_may_heal(serve, body):
    with pytest.raises(SourceUnavailable):
        again(serve(answers(body)).url)


def test_the_original_is_found_whichever_extension_it_has(serve):
    async def handler(request):
        if request.path != "/.full.7.webp":
            return web.Response(status=404, text="<html>not here</html>")
        return web.Response(body=PNG)

    async def fetch(source, client):
        post = Post(post_id="7", post_url="", file_url=f"{source.root}/.full.7.png")
        return await source.fetch(client, post, 1000)

    server = serve(handler)
    received = ask(server.url, fetch)
    assert received.content == PNG
    assert received.url == f"{server.url}/.full.7.webp"
    assert [request.path[-4:] for request in server.requests] == [".png", ".jpg", "webp"]


def test_an_original_with_no_extension_known_is_not_there(serve):
    async def fetch(source, client):
        post = Post(post_id="7", post_url="", file_url=f"{source.root}/.full.7.jpg")
        return await source.fetch(client, post, 1000)

    server = serve(answers("", status=404))
    assert ask(server.url, fetch).status == 404
    assert len(server.requests) == 4


@pytest.mark.parametrize("tags", ["", " , ", "Solo, -Male", "..", "12345"])
def test_queries_that_are_no_tags_are_wrong_settings(tags):
    with pytest.raises(ConfigError):
        Zerochan().check(tags)


def test_only_the_popular_may_be_asked_for_without_tags(serve):
    Zerochan(order="fav").check("")
    server = serve(site(7))
    assert ids(older(server.url, tags="", order="fav").posts) == [7]
    assert server.requests[0].path == "/"


def test_a_cursor_that_is_none_is_refused(serve):
    with pytest.raises(SourceRefused, match="no place"):
        older(serve(site(7)).url, "p2")
