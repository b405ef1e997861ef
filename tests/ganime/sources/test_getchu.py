import asyncio
import logging
from datetime import UTC, datetime

import pytest
from aiohttp import web

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import Page, Post
from ganime.sources.client import Client
from ganime.sources.getchu import Getchu

JPEG = b"\xff\xd8\xff"
FOOT = '<a href="/top.html">Getchu.com</a><a href="/soft.phtml?id=999">今週の一位</a></body></html>'
NO_ROBOTS = '<meta name="robots" content="noindex, noai">'


def month(*products, cells='<div class="category_pc_b">'):
    links = (f'{cells}<a class="black" href="/soft.phtml?id={n}">題{n}</a></div>' for n in products)
    return f"<html><body>{''.join(links)}{FOOT if products else 'getchu'}"


def character(product, number, name, reading="（よみ）　CV：声優"):
    at = f"./brandnew/{product}/c{product}chara"
    return f"""<tr><td><a id="chara{number}"></a><img src="{at}{number}.jpg" alt="キャラ"></td>
    <td class="chara-text"><dl><dt><h2 class="chara-name"><charalist>{name}</charalist>{reading}
    </h2></dt><dd>B80</dd></dl></td><td><a href="{at}b{number}.jpg" class="highslide">
    <img src="{at}b{number}_s.jpg"></a></td></tr>"""


def product(number, *names, head="", body=""):
    characters = "".join(character(number, at, name) for at, name in enumerate(names, 1))
    return f"""<html><head>{head}<title>題 | Getchu.com</title></head><body>
    <h1 id="soft-title">夏の 題　<nobr>（<a href="/x">このタイトルの関連商品</a>）</nobr></h1>
    <table id="soft_table"><tr><td><a href="./brandnew/{number}/c{number}package.jpg">
    <img src="/brandnew/{number}/rc{number}package.jpg"></a></td><th><table>
    <tr><td>ブランド：</td><td><a href="/b">げーむ屋</a>（<a>作品一覧</a>）</td></tr>
    <tr><td>発売日：</td><td><a>2026/05/29</a></td></tr>
    <tr><td>原画：</td><td>絵師 A、絵師B（SD原画）</td></tr></table></th></tr></table>
    <table>{characters}</table>{body}
    <div><a href="./brandnew/{number}/c{number}sample1.jpg"><img
    src="./brandnew/{number}/c{number}sample1_s.jpg"></a></div>{FOOT}"""


def shop(months=None, products=None):
    """The shop: months by `2026-05`, products by id; the rest is not there."""

    async def handler(request):
        query = request.query
        if request.path == "/all/month_title.html":
            text = (months or {}).get(f"{query['year']}-{query['month']}", month())
        else:
            text = (products or {}).get(int(query.get("id", 0)))
        if text is None:
            return web.Response(status=404)
        if isinstance(text, web.HTTPException):
            raise text
        body = text if isinstance(text, bytes) else text.encode("euc_jp")
        return web.Response(body=body, content_type="text/html", charset="EUC-JP")

    return handler


def ask(url, work, **settings):
    async def run():
        source = Getchu(url=url, **settings)
        async with Client(source.FACTS, source.root) as client:
            return await work(source, client)

    return asyncio.run(run())


def older(url, cursor=None, limit=100, tags="month:2026-05", **settings):
    return ask(url, lambda source, client: source.older(client, tags, cursor, limit), **settings)


def newer(url, listed, cursor=None, limit=100, tags="month:2026-05", **settings):
    async def work(source, client):
        return await source.newer(client, tags, listed, cursor, limit)

    return ask(url, work, **settings)


def again(url, post_id):
    post = Post(post_id=post_id, post_url="", file_url=None)
    return ask(url, lambda source, client: source.again(client, post))


def ids(posts):
    return [post.post_id for post in posts]


def asked_for(server):
    return [request.query.get("id") or request.query["month"] for request in server.requests]


def test_a_product_gives_a_post_for_each_character_standing(serve):
    server = serve(shop({"2026-05": month(12)}, {12: product(12, "夏野 ほたる", "春")}))
    page = older(server.url)
    first, second = page.posts
    assert ids(page.posts) == ["12/charab1", "12/charab2"]
    assert page.cursor is None
    assert first.post_url == f"{server.url}/soft.phtml?id=12"
    assert first.file_url == f"{server.url}/brandnew/12/c12charab1.jpg"
    assert first.tags == ["full_body", "standing"]
    assert (first.character_tags, second.character_tags) == (["夏野_ほたる"], ["春"])
    assert (first.copyright_tags, first.artist_tags) == (["夏の_題"], ["絵師B", "絵師_A"])
    assert (first.rating, first.state, first.meta_tags) == ("general", "active", [])
    assert first.posted_at == datetime(2026, 5, 29, tzinfo=UTC)


def test_every_call_answers_the_age_gate_and_says_what_is_wanted(serve):
    server = serve(shop({"2026-05": month(12)}, {12: product(12, "春")}))
    older(server.url, gage="adult")
    listed, shown = server.requests
    assert dict(listed.query) == {
        "genre": "pc_soft",
        "gage": "adult",
        "year": "2026",
        "month": "05",
        "gc": "gc",
    }
    assert listed.headers["Cookie"] == "getchu_adalt_flag=getchu.com"
    assert (shown.path, dict(shown.query)) == ("/soft.phtml", {"id": "12", "gc": "gc"})
    assert shown.headers["Cookie"] == "getchu_adalt_flag=getchu.com"
    assert Getchu(url=server.url, gage="adult").first_call("month:2026-05", 9) == str(
        f"{server.url}{listed.raw_path}"
    )


def test_images_are_asked_for_with_referer_and_cookie(serve):
    async def image(request):
        return web.Response(body=JPEG)

    async def fetch(source, client):
        post = Post(post_id="12/charab1", post_url="", file_url=f"{source.root}/brandnew/12/x.jpg")
        return await source.fetch(client, post, 1000)

    server = serve(image)
    assert ask(server.url, fetch).content == JPEG
    assert server.requests[0].headers["Referer"] == "https://www.getchu.com/"
    assert "getchu_adalt_flag" in server.requests[0].headers["Cookie"]


def test_other_kinds_are_there_for_the_asking(serve):
    server = serve(shop({}, {12: product(12, "春")}))
    kinds = ("bust", "sample", "package")
    posts = older(server.url, tags="id:12", kinds=kinds, gage="adult").posts
    assert [(post.post_id, post.tags, post.rating) for post in posts] == [
        ("12/package", ["cover"], "questionable"),
        ("12/chara1", ["upper_body"], "questionable"),
        ("12/sample1", ["game_cg"], "explicit"),
    ]
    assert posts[0].file_url == f"{server.url}/brandnew/12/c12package.jpg"
    assert posts[2].file_url == f"{server.url}/brandnew/12/c12sample1.jpg"
    assert (posts[0].character_tags, posts[1].character_tags) == ([], ["春"])


def test_a_thumbnail_alone_stands_for_its_original(serve):
    body = '<img src="http://www.getchu.com/brandnew/12/c12charab3_s.jpg">'
    (post,) = older(serve(shop({}, {12: product(12, body=body)})).url, tags="id:12").posts
    assert post.post_id == "12/charab3"
    assert post.file_url.endswith("/brandnew/12/c12charab3.jpg")


def test_a_product_without_any_image_is_accounted_for(serve):
    (post,) = older(serve(shop({}, {12: product(12)})).url, tags="id:12").posts
    assert (post.post_id, post.file_url, post.copyright_tags) == ("12/none", None, ["夏の_題"])


def test_a_product_that_is_not_there_is_gone(serve):
    home = web.HTTPFound("/top.html")
    for answer in (None, home):
        server = serve(shop({}, {12: answer, 0: month()}))
        (post,) = older(server.url, tags="id:12").posts
        assert (post.post_id, post.file_url, post.state) == ("12/none", None, "gone")


def test_products_may_have_moved(serve):
    async def handler(request):
        if request.path == "/soft.phtml":
            raise web.HTTPMovedPermanently(f"/item/{request.query['id']}/")
        return web.Response(body=product(12, "春").replace("./", "/").encode("euc_jp"))

    assert ids(older(serve(handler).url, tags="id:12").posts) == ["12/charab1"]


def test_names_are_found_without_anchors_too(serve):
    text = """<h1 id="soft-title">題</h1><h4 class="chara-name">冬花（ふゆか） CV：甲</h4>
    <img src="/brandnew/12/c12charab1.jpg"><h4 class="chara-name">秋 葉 CV:乙</h4>
    <img src="/brandnew/12/c12charab2.jpg"><img src="/brandnew/12/c12charab3.jpg">getchu"""
    posts = older(serve(shop({}, {12: text})).url, tags="id:12").posts
    assert [post.character_tags for post in posts] == [["冬花"], ["秋_葉"], []]


def test_noai_leaves_the_posts_without_files(serve):
    pages = {12: product(12, "春", head=NO_ROBOTS)}
    (post,) = older(serve(shop({}, pages)).url, tags="id:12").posts
    assert (post.post_id, post.file_url, post.meta_tags) == ("12/charab1", None, ["noai"])


def test_noai_in_the_header_counts_too(serve):
    async def handler(request):
        return web.Response(text="getchu", headers={"X-Robots-Tag": "noai"})

    (post,) = older(serve(handler).url, tags="id:12").posts
    assert (post.post_id, post.file_url, post.meta_tags) == ("12/none", None, ["noai"])


def test_months_come_newest_first_and_empty_ones_are_passed(serve):
    months = {"2026-06": month(30, 31), "2026-04": month(11, 10)}
    server = serve(shop(months, {n: product(n, "春") for n in (10, 11, 30, 31)}))
    page = older(server.url, tags="month:2026-03..2026-06")
    assert ids(page.posts) == [f"{n}/charab1" for n in (31, 30, 11, 10)]
    assert asked_for(server) == ["06", "31", "30", "05", "04", "11", "10", "03"]
    assert page.cursor is None


def test_a_listing_goes_on_from_any_place(serve):
    numbers = range(100, 120)
    months = {"2026-05": month(*numbers), "2026-04": month(50)}
    pages = {n: product(n, "春", "秋", "冬") for n in (*numbers, 50)}
    url, tags = serve(shop(months, pages)).url, "month:2026-04..2026-05 id:7"
    whole = [f"{n}/charab{k}" for n in (*reversed(numbers), 50) for k in (1, 2, 3)] + ["7/none"]
    for limit in (1, 2, 3, 7, 100):
        found, cursor = [], None
        while True:
            page = older(url, cursor, limit, tags)
            assert len(page.posts) <= limit
            found, cursor = found + ids(page.posts), page.cursor
            if cursor is None:
                break
        assert found == whole


def test_a_month_is_asked_for_once_per_client(serve):
    async def descend(source, client):
        first = await source.older(client, "month:2026-05", None, 1)
        return await source.older(client, "month:2026-05", first.cursor, 1)

    server = serve(shop({"2026-05": month(1, 2, 3)}, {n: product(n, "春") for n in (1, 2, 3)}))
    assert ask(server.url, descend).cursor == "2026-05/2"
    assert asked_for(server) == ["05", "3", "2"]


def test_a_product_that_left_the_month_breaks_no_listing(serve):
    server = serve(shop({"2026-05": month(1, 9)}, {n: product(n, "春") for n in (1, 9)}))
    assert ids(older(server.url, "2026-05/5").posts) == ["1/charab1"]


def test_links_outside_the_list_are_no_products_of_the_month(serve):
    server = serve(shop({"2026-05": month(1)}, {1: product(1, "春"), 999: product(999, "秋")}))
    assert ids(older(server.url).posts) == ["1/charab1"]
    plain = '<a href="/item/5/">題</a> getchu'
    server = serve(shop({"2026-05": plain}, {5: product(5, "春")}))
    assert ids(older(server.url).posts) == ["5/charab1"]


def test_only_products_that_are_new_are_asked_for(serve):
    server = serve(shop({"2026-05": month(1, 2, 3)}, {n: product(n, "春") for n in (1, 2, 3)}))
    posts = newer(server.url, {"2/charab1"}, tags="month:2020-01..2026-05")
    assert ids(posts) == ["1/charab1", "3/charab1"]
    assert asked_for(server) == ["05", "1", "3"]


def test_nothing_new_costs_one_call(serve):
    server = serve(shop({"2026-05": month(1, 2)}))
    assert newer(server.url, {"1/charab1", "2/none"}) == []
    assert asked_for(server) == ["05"]
    assert newer(server.url, {"1/charab1"}, tags="id:1") == []


def test_what_the_descent_has_not_reached_is_not_new(serve):
    server = serve(shop({"2026-05": month(1, 2, 9)}, {n: product(n, "春") for n in (1, 2, 9)}))
    assert ids(newer(server.url, {"2/charab1"}, cursor="2026-05/2")) == ["9/charab1"]
    tags = "month:2026-05..2026-06"
    assert newer(server.url, {"30/charab1"}, cursor="2026-06/30", tags=tags) == []


def test_new_products_are_never_cut(serve):
    pages = {n: product(n, "春", "秋") for n in (1, 2)}
    server = serve(shop({"2026-05": month(1, 2)}, pages))
    assert ids(newer(server.url, {"0/none"}, limit=3)) == ["1/charab1", "1/charab2"]


def test_the_present_and_the_next_month_are_looked_at(serve):
    today = datetime.now(UTC)
    last = f"{today.year + 1}-12"
    server = serve(shop())
    assert newer(server.url, {"1/none"}, tags=f"month:2020-01..{last}") == []
    following = today.month % 12 + 1
    assert asked_for(server) == [f"{today.month:02d}", f"{following:02d}"]


def test_an_image_is_asked_about_by_its_product(serve):
    server = serve(shop({}, {12: product(12, "春"), 13: None}))
    assert again(server.url, "12/charab1").file_url.endswith("c12charab1.jpg")
    assert again(server.url, "12/sample1").file_url.endswith("c12sample1.jpg")
    assert again(server.url, "12/charab9") is None
    assert again(server.url, "12/none").post_id == "12/none"
    assert again(server.url, "13/charab1") is None


GATE = "<html><h1>年齢認証</h1>18歳未満の方は<a href='/top'>getchu</a> soft.phtml?id=12</html>"


def test_the_age_gate_ends_the_crawl(serve):
    with pytest.raises(SourceRefused, match="age gate"):
        older(serve(shop({"2026-05": GATE})).url)

    async def handler(request):
        if request.path == "/soft.phtml":
            raise web.HTTPFound("/php/attestation.html?aurl=/soft.phtml?id=12")
        return web.Response(text="getchu")

    with pytest.raises(SourceRefused, match="age gate"):
        older(serve(handler).url, tags="id:12")


def test_a_page_of_somebody_else_may_heal(serve):
    server = serve(shop({"2026-05": "<html>Bad gateway</html>"}))
    with pytest.raises(SourceUnavailable, match="no page of Getchu"):
        older(server.url)
    assert len(server.requests) == 3


def test_a_month_that_is_refused_says_so(serve):
    async def handler(request):
        return web.Response(status=int(request.query["month"]) + 398)

    with pytest.raises(SourceRefused, match="answers 403"):
        older(serve(handler).url)
    with pytest.raises(SourceRefused, match="answers 404"):
        older(serve(handler).url, tags="month:2026-06")


@pytest.mark.parametrize(
    "source",
    [
        "./brandnew/12/../../../etc/c12charab1.jpg",
        "./brandnew/12/c12charab1.jpg/../../13/c13charab1.jpg",
        "./brandnew/13/c13charab1.jpg",
        "./brandnew/12/c13charab1.jpg",
        "./brandnew/12/c12charab1.php",
        "./brandnew/12/c12charab1%2e%2e.jpg",
        "./brandnew/12/c12charab99999.jpg",
        "//evil.example/brandnew/12/c12charab1.jpg",
        "http://[/brandnew/12/c12charab1.jpg",
        "file:///brandnew/12/c12charab1.jpg",
        "javascript:brandnew/",
    ],
)
def test_images_that_are_not_the_products_own_are_left_out(serve, source):
    text = product(12, body=f'<img src="{source}"><a href="{source}">x</a>')
    assert ids(older(serve(shop({}, {12: text})).url, tags="id:12").posts) == ["12/none"]


@pytest.mark.parametrize(
    "hostile",
    [
        b"getchu \xff\xfe\x8f\xa1\x80" * 1000,
        b"getchu <![foo[ <!-- <table <td" + b"<!" * 1000,
        b"getchu" + b"<div>" * 200_000,
        b"getchu" + b"<!--" * 200_000,
        b"getchu" + b"<a href='" * 100_000,
        b"getchu" + b"<script>" * 100_000,
        b"getchu" + b"&#" * 100_000 + b"&#99999999999999999999;",
        b"getchu<td>" + b"<td>" * 200_000,
        b"getchu" + b"</" * 200_000,
        b"getchu" + b"<?" * 200_000,
        b"getchu" + b"<a " * 200_000,
        b"getchu" + b"<![" * 200_000,
        b"getchu" + b'<a b="' * 200_000,
        b"getchu<td>" + b"<a " + b"b='c\" " * 600 + b"></td>" * 100_000,
        b"getchu<td>&#" + b"9" * 100_000 + b";</td>",
        b"getchu<h1 id='soft-title'>" + b"x" * 3_000_000,
    ],
)
def test_pages_that_are_hardly_any_end_at_once(serve, hostile):
    url = serve(shop({"2026-05": hostile}, {12: hostile})).url
    assert ids(older(url, tags="id:12").posts) == ["12/none"]
    assert older(url) == Page([], None)


def test_a_page_too_large_is_logged_and_skipped(serve, caplog):
    server = serve(shop({"2026-05": b"x" * (5 << 20)}, {12: b"x" * (5 << 20)}))
    with caplog.at_level(logging.WARNING):
        assert ids(older(server.url, tags="id:12").posts) == ["12/none"]
    assert "too_large" in caplog.text
    with pytest.raises(SourceRefused, match="too_large"):
        older(server.url)


def test_a_month_without_end_is_refused(serve):
    server = serve(shop({"2026-05": month(*range(1, 6000))}))
    with pytest.raises(SourceRefused, match="5000 at most"):
        older(server.url)


def test_ids_that_are_no_numbers_are_no_products(serve):
    links = "".join(
        f'<div class="product"><a href="{href}">x</a></div>'
        for href in (
            "/soft.phtml?id=x",
            "/soft.phtml?id=",
            "/soft.phtml?id=1.5",
            f"/soft.phtml?id={'9' * 50}",
            "/soft.phtml?id=0",
            "/item/../7/",
            "http://[",
            "/soft.phtml?xid=8",
        )
    )
    assert older(serve(shop({"2026-05": links + "getchu"})).url) == Page([], None)


@pytest.mark.parametrize(
    "tags",
    [
        "",
        "solo",
        "month:2026",
        "month:2026-13",
        "month:2026-06..2026-01",
        "id:abc",
        "id:-1",
        "id:0",
    ],
)
def test_queries_that_are_not_understood_are_wrong_settings(tags):
    with pytest.raises(ConfigError, match="month:2026-0"):
        Getchu().check(tags)


@pytest.mark.parametrize("cursor", ["5", "2026-05", "2025-01/3", "id/3", "2026-05/../3"])
def test_a_cursor_that_is_none_is_refused(serve, cursor):
    with pytest.raises(SourceRefused, match="no place"):
        older(serve(shop()).url, cursor)
