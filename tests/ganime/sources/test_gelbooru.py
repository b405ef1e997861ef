import asyncio
import html
import json
from datetime import UTC, datetime

import pytest
from aiohttp import web

from ganime.errors import SourceRefused, SourceUnavailable
from ganime.sources import Page, Post
from ganime.sources.client import Client
from ganime.sources.gelbooru import Gelbooru

ACCOUNT = {"api_key": "sesame", "user_id": "7"}
XML = '<?xml version="1.0" encoding="UTF-8"?>'


def record(number, **changes):
    """A post in the shape of version 0.2.5."""
    md5 = f"{number:032x}"
    return {
        "id": number,
        "created_at": "Thu Nov 24 08:30:35 -0600 2022",
        "score": 3,
        "width": 600,
        "height": 900,
        "md5": md5,
        "directory": "00/00",
        "image": f"{md5}.png",
        "rating": "general",
        "source": "https://pixiv.example/1",
        "change": 1669300235,
        "owner": "danbooru",
        "creator_id": 6498,
        "parent_id": 0,
        "sample": 0,
        "preview_height": 250,
        "preview_width": 166,
        "tags": "1girl solo",
        "title": "",
        "has_notes": "false",
        "has_comments": "false",
        "file_url": f"https://img3.gelbooru.com/images/00/00/{md5}.png",
        "preview_url": f"https://img3.gelbooru.com/thumbnails/00/00/thumbnail_{md5}.jpg",
        "sample_url": "",
        "sample_height": 0,
        "sample_width": 0,
        "status": "active",
        "post_locked": 0,
        "has_children": "false",
        **changes,
    }


def envelope(*records, count=None):
    about = {"limit": 100, "offset": 0, "count": len(records) if count is None else count}
    return {"@attributes": about, "post": list(records)}


def booru(*bodies, tags=()):
    """Answers calls for posts with these bodies in turn, the last for ever; for tags, `tags`."""
    waiting = list(bodies)

    async def handler(request):
        if request.query["s"] == "tag":
            names = request.query["names"].split()
            found = [
                tag
                for tag in tags
                if not isinstance(tag, dict) or html.unescape(tag["name"] or "") in names
            ]
            return web.json_response({"@attributes": {"count": len(found)}, "tag": found})
        body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return web.Response(text=body if isinstance(body, str) else json.dumps(body))

    return handler


def asked(url, question, credentials=ACCOUNT, **settings):
    async def work():
        source = Gelbooru(url=url, **settings)
        async with Client(source.FACTS, source.root, credentials=credentials) as client:
            return await question(source, client)

    return asyncio.run(work())


def older(url, cursor=None, limit=10, **options):
    return asked(url, lambda site, client: site.older(client, "1girl", cursor, limit), **options)


def newer(url, listed):
    return asked(url, lambda site, client: site.newer(client, "1girl", listed, None, 10))


def ids(posts):
    return [post.post_id for post in posts]


def test_a_page_holds_what_the_site_says(serve):
    server = serve(booru(envelope(record(7, tags="solo don&#039;t 1girl", rating="sensitive"))))
    (post,) = older(server.url).posts
    assert post.file_url == f"https://img3.gelbooru.com/images/00/00/{7:032x}.png"
    assert post.tags == ["1girl", "don't", "solo"]
    assert (post.rating, post.score, post.site_md5) == ("sensitive", 3, f"{7:032x}")
    assert post.posted_at == post.changed_at == datetime(2022, 11, 24, 14, 30, 35, tzinfo=UTC)
    assert (post.state, post.parent_id) == ("active", None)
    assert post.source_link == "https://pixiv.example/1"


def test_a_ghost_has_no_file(serve):
    ghost = dict.fromkeys(record(1)) | {"id": 1}
    (post,) = older(serve(booru(envelope(ghost))).url).posts
    assert (post.file_url, post.rating, post.posted_at) == (None, "unknown", None)


def test_the_account_goes_with_every_call_and_into_no_url(serve):
    server = serve(booru(envelope(record(7))))
    older(server.url)
    newer(server.url, ["7"])
    asks = [request.query for request in server.requests]
    assert [(ask["api_key"], ask["user_id"]) for ask in asks] == [("sesame", "7")] * 2
    assert "sesame" not in Gelbooru(url=server.url).first_call("1girl", 10)


@pytest.mark.parametrize("given", [{}, {"user_id": "7"}, {"api_key": "", "user_id": "7"}])
def test_without_an_account_it_says_where_one_belongs(serve, given):
    server = serve(booru(envelope(record(7))))
    with pytest.raises(SourceRefused, match="api_key") as caught:
        older(server.url, credentials=given)
    for place in ("GANIME_GELBOORU_API_KEY", "GANIME_GELBOORU_USER_ID", "gelbooru-api-key"):
        assert place in str(caught.value)
    assert not server.requests


def test_a_refused_account_is_an_error_at_once(serve):
    async def refuse(request):
        return web.Response(status=401)

    server = serve(refuse)
    with pytest.raises(SourceRefused, match="401") as caught:
        older(server.url)
    assert "sesame" not in str(caught.value)
    assert len(server.requests) == 1


def test_paging_goes_by_id_a_hundred_at_a_time(serve):
    server = serve(booru(envelope(record(9), record(8), count=900)))
    page = older(server.url, cursor="10", limit=5000)
    assert page.cursor == "8"
    query = server.requests[0].query
    assert (query["tags"], query["limit"]) == ("1girl id:<10", "100")
    assert "pid" not in query


def test_a_missing_post_key_is_the_end_after_one_call(serve):
    server = serve(booru({"@attributes": {"limit": 100, "offset": 0, "count": 0}}))
    assert older(server.url, cursor="10") == Page([], None)
    assert newer(server.url, ["10"]) == []
    assert len(server.requests) == 2


def test_a_missing_post_key_though_posts_are_counted_is_not_the_end(serve):
    server = serve(booru({"@attributes": {"limit": 100, "offset": 0, "count": 4}}))
    assert older(server.url, cursor="10") == Page([], "10")


def test_a_single_post_may_come_without_a_list(serve):
    answer = {"@attributes": {"limit": 100, "offset": 0, "count": 1}, "post": record(5)}
    assert ids(older(serve(booru(answer)).url).posts) == ["5"]


def test_xml_with_elements_is_read_too(serve):
    post = "<post><id>4</id><rating>explicit</rating><tags>a &amp;amp;_b</tags><score/></post>"
    xml = f'{XML}<posts limit="100" offset="0" count="1">{post}</posts>'
    (post,) = older(serve(booru("<html>", xml)).url).posts
    assert (post.post_id, post.rating, post.score, post.tags) == (
        "4",
        "explicit",
        None,
        ["&_b", "a"],
    )


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        (
            f'{XML}<response success="false" reason="Search error: Please use your API key. '
            'Currently you have exceeded maximum queries per day"/>',
            "queries of this day are used up; run the same command again tomorrow",
        ),
        ("Too deep! Pull it back some. Holy fuck.", "'Too deep!' instead of listing posts"),
    ],
)
def test_a_final_word_is_not_argued_with(serve, body, meaning):
    server = serve(booru(body))
    with pytest.raises(SourceUnavailable, match=meaning):
        older(server.url)
    assert len(server.requests) == 1


def test_a_web_page_instead_of_a_listing_is_asked_for_again(serve):
    server = serve(booru("<!DOCTYPE html><html></html>", envelope(record(5))))
    assert ids(older(server.url).posts) == ["5"]
    assert len(server.requests) == 2


def test_files_are_asked_for_with_a_referer(serve):
    async def files(request):
        return web.Response(body=b"pixels" if "Referer" in request.headers else b"<html>")

    server = serve(files)
    post = Post(post_id="1", post_url="", file_url=f"{server.url}/images/1.png")
    received = asked(server.url, lambda site, client: site.fetch(client, post, 100))
    assert received.content == b"pixels"
    assert server.requests[0].headers["Referer"] == "https://gelbooru.com/"
    assert "api_key" not in server.requests[0].query


def test_tags_stay_together_unless_categories_are_wanted(serve):
    server = serve(booru(envelope(record(7))))
    (post,) = older(server.url).posts
    assert (post.tags, post.artist_tags) == (["1girl", "solo"], [])
    assert len(server.requests) == 1


def test_tags_are_sorted_by_category_and_each_is_asked_for_once(serve):
    kinds = {"kei": 1, "re:zero": 3, "rem": "character", "don&#039;t": "metadata", "solo": 0}
    tags = [{"id": 1, "name": name, "type": kind} for name, kind in kinds.items()]
    mine = record(7, tags="kei re:zero rem don&#039;t solo new")
    server = serve(booru(envelope(mine), tags=[*tags, "odd", {"name": None}]))

    async def twice(site, client):
        await site.older(client, "1girl", None, 10)
        return await site.older(client, "1girl", None, 10)

    (post,) = asked(server.url, twice, tag_categories=True).posts
    assert (post.tags, post.artist_tags) == (["new", "solo"], ["kei"])
    assert (post.copyright_tags, post.character_tags) == (["re:zero"], ["rem"])
    assert post.meta_tags == ["don't"]
    calls = [request.query["s"] for request in server.requests]
    assert calls == ["post", "tag", "post"]


def test_a_hundred_tags_are_asked_for_at_once(serve):
    many = record(7, tags=" ".join(f"tag{number}" for number in range(230)))
    server = serve(booru(envelope(many)))
    (post,) = older(server.url, tag_categories=True).posts
    assert len(post.tags) == 230
    batches = [ask.query["names"].split() for ask in server.requests if ask.query["s"] == "tag"]
    assert [len(batch) for batch in batches] == [100, 100, 30]


def test_a_post_that_is_no_more_is_gone(serve):
    server = serve(booru({"@attributes": {"limit": 1, "offset": 0, "count": 0}}))
    post = Post(post_id="7", post_url="", file_url=None)
    assert asked(server.url, lambda site, client: site.again(client, post)) is None
    assert len(server.requests) == 1
