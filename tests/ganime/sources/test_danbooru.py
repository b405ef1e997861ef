import asyncio
import json
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from aiohttp import web

from ganime.config import Config
from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import SOURCES, Page, Post
from ganime.sources.client import Client
from ganime.sources.danbooru import Danbooru
from ganime.sources.tag_limit import Query, Terms

COUNTS = {"1girl": 7_000_000, "solo": 6_000_000, "chibi": 90_000, "white_background": 900_000}
WANTED = "1girl solo white_background chibi"


def record(number, general="1girl solo", **changes):
    """A post in the server's shape, as far as `only` asks for it."""
    md5 = f"{number:032x}"
    return {
        "id": number,
        "created_at": "2022-11-24T08:30:35.123-06:00",
        "updated_at": "2023-01-01T00:00:00.000Z",
        "score": 3,
        "source": "https://pixiv.example/1",
        "md5": md5,
        "rating": "g",
        "image_width": 600,
        "image_height": 900,
        "parent_id": None,
        "tag_string_general": general,
        "tag_string_artist": "kei",
        "tag_string_copyright": "re:zero",
        "tag_string_character": "rem ram",
        "tag_string_meta": "highres",
        "is_pending": False,
        "is_flagged": False,
        "is_deleted": False,
        "is_banned": False,
        "file_url": f"https://cdn.donmai.us/original/00/00/{md5}.jpg",
        **changes,
    }


def banned(number, **changes):
    post = record(number, is_banned=True, is_deleted=True, **changes)
    return {key: value for key, value in post.items() if key not in ("md5", "file_url")}


def error(kind, message):
    return {"success": False, "error": kind, "message": message, "backtrace": ["app/x.rb:1"]}


def booru(posts=(), counts=COUNTS, tag_limit=2, tags_status=200):
    """A small Danbooru: pages by id, counts tags, and refuses more tags than the limit."""

    async def handler(request):
        query = request.query
        if request.path == "/tags.json":
            names = query["search[name_comma]"].split(",")
            rows = [{"name": name, "post_count": counts[name]} for name in names if name in counts]
            return web.json_response(rows, status=tags_status)
        if request.path == "/counts/posts.json":
            return web.json_response({"counts": {"posts": counts.get(query["tags"])}})
        if request.path.startswith("/posts/"):
            number = int(request.path.removeprefix("/posts/").removesuffix(".json"))
            found = next((post for post in posts if post["id"] == number), None)
            gone = error("ActiveRecord::RecordNotFound", "That record was not found.")
            return web.json_response(found or gone, status=200 if found else 404)
        words = [word for word in query["tags"].split() if not word.startswith("rating:")]
        if len(words) > tag_limit:
            refusal = error("PostQuery::TagLimitError", "You cannot search for more than 2 tags.")
            return web.json_response(refusal, status=422)
        return web.json_response(page_of(posts, words, query))

    return handler


def page_of(posts, words, query):
    wanted = {word for word in words if not word.startswith("-")}
    unwanted = {word[1:] for word in words if word.startswith("-")}
    tags = {post["id"]: set(post["tag_string_general"].split()) for post in posts}
    found = [post for post in posts if wanted <= tags[post["id"]]]
    found = [post for post in found if not unwanted & tags[post["id"]]]
    found.sort(key=lambda post: -post["id"])
    page, limit = query.get("page", ""), int(query["limit"])
    if page.startswith("a"):
        return [post for post in found if post["id"] > int(page[1:])][-limit:]
    return [post for post in found if not page or post["id"] < int(page[1:])][:limit]


def always(body, status=200):
    async def handler(request):
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status)

    return handler


def asked(url, question, credentials=None, **settings):
    async def work():
        source = Danbooru(url=url, **settings)
        async with Client(source.FACTS, source.root, credentials=credentials) as client:
            return await question(source, client)

    return asyncio.run(work())


def older(url, tags="1girl", cursor=None, limit=10, **options):
    return asked(url, lambda site, client: site.older(client, tags, cursor, limit), **options)


def newer(url, listed, tags="1girl", limit=10, **options):
    return asked(url, lambda site, client: site.newer(client, tags, listed, None, limit), **options)


def again(url, post_id):
    post = Post(post_id=post_id, post_url="", file_url=None)
    return asked(url, lambda site, client: site.again(client, post))


def ids(posts):
    return [post.post_id for post in posts]


def paths(server):
    return [request.path for request in server.requests]


def test_a_page_holds_what_the_site_says(serve):
    (post,) = older(serve(booru([record(7, parent_id=5)])).url).posts
    assert post.file_url == f"https://cdn.donmai.us/original/00/00/{7:032x}.jpg"
    assert (post.tags, post.artist_tags) == (["1girl", "solo"], ["kei"])
    assert (post.copyright_tags, post.character_tags) == (["re:zero"], ["ram", "rem"])
    assert post.meta_tags == ["highres"]
    assert (post.rating, post.score, post.width, post.height) == ("general", 3, 600, 900)
    assert (post.site_md5, post.parent_id) == (f"{7:032x}", "5")
    assert post.posted_at == datetime(2022, 11, 24, 14, 30, 35, 123000, tzinfo=UTC)
    assert post.changed_at == datetime(2023, 1, 1, tzinfo=UTC)
    assert (post.state, post.source_link) == ("active", "https://pixiv.example/1")


def test_only_what_is_kept_is_asked_for(serve):
    server = serve(booru([record(7)]))
    older(server.url)
    assert set(server.requests[0].query["only"].split(",")) == set(record(1))


@pytest.mark.parametrize(
    ("letter", "rating"),
    [("g", "general"), ("s", "sensitive"), ("q", "questionable"), ("e", "explicit")],
)
def test_ratings_are_one_letter(serve, letter, rating):
    (post,) = older(serve(booru([record(7, rating=letter)])).url).posts
    assert post.rating == rating


def test_a_banned_post_has_neither_file_nor_md5(serve):
    (post,) = older(serve(booru([banned(7)])).url).posts
    assert (post.state, post.file_url, post.site_md5) == ("banned", None, None)


@pytest.mark.parametrize("state", ["deleted", "flagged", "pending"])
def test_the_state_is_kept_and_so_is_the_file(serve, state):
    (post,) = older(serve(booru([record(7, **{f"is_{state}": True})])).url).posts
    assert post.state == state
    assert post.file_url is not None


def test_paging_goes_by_id_until_nothing_is_left(serve):
    server = serve(booru([record(number) for number in range(1, 6)]))
    first = older(server.url, limit=3)
    assert (ids(first.posts), first.cursor) == (["5", "4", "3"], "3")
    second = older(server.url, cursor="3", limit=3)
    assert (ids(second.posts), second.cursor) == (["2", "1"], "1")
    assert older(server.url, cursor="1") == Page([], None)
    assert server.requests[1].query["page"] == "b3"


def test_a_call_never_asks_for_more_than_the_site_allows(serve):
    server = serve(booru([record(1)]))
    older(server.url, limit=5000)
    assert server.requests[0].query["limit"] == "200"


def test_a_query_within_the_limit_is_sent_without_counting(serve):
    server = serve(booru([record(1)]))
    older(server.url, tags="1girl solo rating:g")
    assert paths(server) == ["/posts.json"]
    assert server.requests[0].query["tags"] == "1girl solo rating:g"


def test_the_rarest_tags_are_sent_and_the_others_looked_for_here(serve):
    posts = [record(3, WANTED), record(2, "chibi white_background 1girl"), record(1, WANTED)]
    server = serve(booru(posts))
    page = older(server.url, tags=f"{WANTED} rating:g")
    assert ids(page.posts) == ["3", "1"]
    assert paths(server) == ["/tags.json", "/posts.json"]
    assert server.requests[1].query["tags"] == "white_background chibi rating:g"
    assert server.requests[1].query["limit"] == "200"


def test_characters_and_artists_are_looked_for_too(serve):
    counts = {"rem": 9_000_000, "kei": 9_000_000, "1girl": 2, "solo": 1}
    page = older(serve(booru([record(1)], counts)).url, tags="rem kei 1girl solo")
    assert ids(page.posts) == ["1"]


def test_a_negated_tag_that_is_not_sent_is_kept_out_here(serve):
    posts = [record(2, "1girl solo chibi"), record(1, "1girl solo")]
    server = serve(booru(posts))
    assert ids(older(server.url, tags="1girl solo -chibi").posts) == ["1"]
    assert server.requests[1].query["tags"] == "1girl solo"


def test_tags_are_counted_once_per_client(serve):
    server = serve(booru([record(number, WANTED) for number in (1, 2, 3)]))

    async def twice(site, client):
        await site.older(client, WANTED, None, 10)
        return await site.newer(client, WANTED, ["3"], None, 10)

    assert asked(server.url, twice) == []
    assert paths(server) == ["/tags.json", "/posts.json", "/posts.json"]


def test_without_counts_at_once_each_tag_is_counted(serve):
    server = serve(booru([record(1, WANTED)], tags_status=403))
    assert ids(older(server.url, tags=WANTED).posts) == ["1"]
    assert paths(server)[1:5] == ["/counts/posts.json"] * 4
    assert server.requests[5].query["tags"] == "white_background chibi"


def test_a_tag_too_common_to_be_counted_is_not_sent(serve):
    counts = COUNTS | {"1girl": None}
    server = serve(booru([record(1, WANTED)], counts, tags_status=404))
    older(server.url, tags="1girl chibi solo")
    assert server.requests[-1].query["tags"] == "chibi solo"


def test_an_alias_is_sent_because_the_server_alone_knows_it(serve):
    server = serve(booru([record(1)], COUNTS))
    older(server.url, tags="1girl solo old_name")
    assert server.requests[1].query["tags"] == "solo old_name"


def test_a_tag_on_no_post_that_cannot_be_sent_is_refused(serve):
    with pytest.raises(SourceRefused, match=r"no post at .* is tagged 'c'; check the spelling"):
        older(serve(booru([])).url, tags="a b c")


def test_a_page_that_is_filtered_to_nothing_is_not_the_end(serve):
    posts = [record(number, "white_background chibi") for number in (9, 8)]
    server = serve(booru(posts))
    assert older(server.url, tags=WANTED) == Page([], "8")
    assert older(server.url, tags=WANTED, cursor="8") == Page([], None)


def test_a_limit_in_the_middle_of_a_filtered_page_loses_nothing(serve):
    server = serve(booru([record(number, WANTED) for number in range(1, 8)]))
    page = older(server.url, tags=WANTED, limit=3)
    assert (ids(page.posts), page.cursor) == (["7", "6", "5"], "5")
    assert ids(older(server.url, tags=WANTED, cursor="5").posts) == ["4", "3", "2", "1"]


def test_new_posts_come_oldest_first_and_nothing_new_costs_one_call(serve):
    server = serve(booru([record(number) for number in range(1, 13)]))
    assert ids(newer(server.url, ["9", "10"])) == ["11", "12"]
    assert server.requests[0].query["page"] == "a10"
    assert newer(server.url, ["12"]) == []
    assert len(server.requests) == 2


def test_the_lowest_of_many_new_posts_come_first(serve):
    server = serve(booru([record(number) for number in range(1, 13)]))
    assert ids(newer(server.url, ["2"], limit=3)) == ["3", "4", "5"]


def test_new_posts_are_found_above_pages_that_are_filtered_away(serve):
    others = [record(number, "white_background chibi") for number in range(2, 402)]
    server = serve(booru([record(1, WANTED), *others, record(402, WANTED)]))
    assert ids(newer(server.url, ["1"], tags=WANTED)) == ["402"]
    pages = [request.query.get("page") for request in server.requests]
    assert pages == [None, "a1", "a201", "a401"]


def test_a_post_is_asked_for_again_by_its_id(serve):
    server = serve(booru([record(7, score=9), banned(8)]))
    found = again(server.url, "7")
    assert found is not None
    assert found.score == 9
    assert again(server.url, "8").state == "banned"
    assert again(server.url, "6") is None
    assert paths(server) == ["/posts/7.json", "/posts/8.json", "/posts/6.json"]


def test_an_answer_about_another_post_is_an_error(serve):
    with pytest.raises(SourceUnavailable, match="another post"):
        again(serve(always(record(3))).url, "7")


def test_the_account_goes_into_a_header_and_into_no_url(serve):
    server = serve(booru([record(1)]))
    older(server.url, credentials={"login": "kei", "api_key": "sesame"})
    (request,) = server.requests
    assert request.headers["Authorization"] == f"Basic {b64encode(b'kei:sesame').decode()}"
    assert "sesame" not in request.path_qs


def test_without_an_account_nothing_is_claimed(serve):
    server = serve(booru([record(1)]))
    older(server.url)
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("given", "missing"), [("login", "GANIME_DANBOORU_API_KEY"), ("api_key", "danbooru-login")]
)
def test_half_an_account_is_refused(serve, given, missing):
    with pytest.raises(SourceRefused, match=missing):
        older(serve(booru([record(1)])).url, credentials={given: "x"})


@pytest.mark.parametrize(
    ("status", "answer", "sentence"),
    [
        (410, error("PaginationExtension::PaginationError", "You cannot go beyond page 1000."),
         r"410 \(PaginationExtension::PaginationError: You cannot go .*\): it does not page"),
        (422, error("PostQuery::TagLimitError", "You cannot search for more than 2 tags."),
         "TagLimitError.*set tag_limit to what your account"),
        (403, error("User::PrivilegeError", "Access denied"), "Access denied.*credentials"),
        (403, "<html>no</html>", "answers 403: it refuses this client"),
        (404, "not here", "answers 404: is this a Danbooru"),
        (406, error("ActionController::UnknownFormat", ""), "answers 406"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(serve, status, answer, sentence):
    server = serve(always(answer, status))
    with pytest.raises(SourceRefused, match=sentence):
        older(server.url)
    assert len(server.requests) == 1


def test_a_search_that_takes_too_long_is_not_repeated_at_once(serve):
    slow = error("ActiveRecord::QueryCanceled", "The database timed out running your query.")
    server = serve(always(slow, 500))
    with pytest.raises(SourceUnavailable, match="takes too long to search for '1girl'"):
        older(server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, error("NoMethodError", "undefined method")),
        (500, "<html>"),
        (200, "<!DOCTYPE html><html></html>"),
        (200, ""),
        (200, '[{"id": 1, "md5"'),
        (200, "[" * 100_000),
        (200, error("Oops", "")),
    ],
)
def test_what_is_no_listing_is_asked_for_again_and_then_an_error(serve, status, answer):
    server = serve(always(answer, status))
    with pytest.raises(SourceUnavailable, match="does not answer with posts"):
        older(server.url)
    assert len(server.requests) == 6


@pytest.mark.parametrize("answer", [{"posts": []}, 7, "x", [{"id": None}, None]])
def test_other_shapes_are_an_error_and_not_the_end(serve, answer):
    body = json.dumps(answer)
    with pytest.raises(SourceUnavailable, match="does not answer with posts"):
        older(serve(always(body)).url)


def test_a_site_that_ignores_the_keyset_is_refused(serve):
    server = serve(always([record(9), record(8)]))
    with pytest.raises(SourceRefused, match="ignores page=b5"):
        older(server.url, cursor="5")
    with pytest.raises(SourceRefused, match="ignores page=a8"):
        newer(server.url, ["8"])


def test_records_that_make_no_sense_are_left_out(serve):
    odd = [None, 3, {}, {"id": "5x"}, {"id": -1}, {"id": True}, {"id": 10**400}, record(5)]
    assert ids(older(serve(always(odd)).url).posts) == ["5"]


def test_hostile_values_do_no_harm(serve):
    odd = {key: ["x"] for key in record(1)} | {"id": 5, "created_at": "9999-12-31T23:59:59-23:00"}
    (post,) = older(serve(always([odd])).url).posts
    assert post == Post(post_id="5", post_url=post.post_url, file_url=None)


def test_hostile_counts_do_no_harm(serve):
    posts = booru([record(1, WANTED)])

    async def handler(request):
        if request.path == "/tags.json":
            odd = [None, {"name": []}, {"name": "chibi", "post_count": "x"}]
            return web.json_response([*odd, {"name": "solo", "post_count": 1}])
        return await posts(request)

    with pytest.raises(SourceRefused, match="no post"):
        older(serve(handler).url, tags=WANTED)


@pytest.mark.parametrize(
    ("tags", "settings"),
    [
        ("", {}),
        ("1girl order:score", {}),
        ("1girl -random:5", {}),
        ("1girl limit:5", {}),
        ("blue_* red_* *_hair", {}),
        ("~a ~b ~c", {}),
        ("a or b or c", {}),
        ("(a b) c", {}),
        ("fav:me user:you -has:children", {}),
        ("fav:me user:you", {"tag_limit": 1}),
    ],
)
def test_what_can_neither_be_sent_nor_filtered_is_a_wrong_setting(tags, settings):
    with pytest.raises(ConfigError):
        Danbooru(**settings).check(tags)


@pytest.mark.parametrize(
    "tags",
    [
        "1girl solo chibi white_background smile",
        "-a -b -c -d",
        "re:zero :d :( saber_(fate) a b",
        "rating:g status:active id:>5 score:>10 1girl solo",
        "fav:me 1girl solo",
        "a or b",
        "*_hair -blue_* a b",
    ],
)
def test_the_usual_queries_are_accepted(tags):
    Danbooru().check(tags)


def test_a_word_that_only_the_server_understands_takes_its_place_first():
    terms = Terms.of("Solo fav:me chibi rating:g")
    assert terms.divided(2, COUNTS) == Query("fav:me chibi rating:g", frozenset({"solo"}))


def test_negated_tags_are_sent_last():
    terms = Terms.of("-chibi 1girl -solo")
    counts = {"chibi": 1, "1girl": 9, "solo": 5}
    assert terms.divided(2, counts) == Query("1girl -solo", unwanted=frozenset({"chibi"}))
    assert terms.divided(1, counts).unwanted == {"chibi", "solo"}


def test_a_word_twice_counts_once():
    assert Terms.of("1girl 1girl solo").num_counted == 2


def test_the_first_call_is_what_is_asked_first(serve):
    server = serve(booru([record(1, WANTED)]))
    site = Danbooru(url=server.url)
    for tags in ("1girl re:zero", WANTED):
        server.requests.clear()
        older(server.url, tags=tags, limit=10)
        assert site.first_call(tags, 10) == server.url + server.requests[0].path_qs


def test_an_empty_page_ends_the_listing_only_when_said_twice(serve):
    answers = [[], [record(1, "1girl")]]

    async def handler(request):
        return web.json_response(answers.pop(0) if answers else [])

    server = serve(handler)
    assert [post.post_id for post in older(server.url, tags="1girl", limit=10).posts] == ["1"]
    assert older(server.url, tags="1girl", limit=10).cursor is None
    assert len(server.requests) == 4


@pytest.mark.parametrize("url", ["", "danbooru.donmai.us", "ftp://a", "https://a:b@c"])
def test_an_address_that_is_none_is_a_wrong_setting(url):
    class Settings(Config):
        source: SOURCES.field()

    with pytest.raises(ConfigError, match="wanted an address like https://danbooru"):
        Settings.parse({"source": {"name": "danbooru", "url": url}})
