import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from ganime.errors import ConfigError
from ganime.practice.corpus import Corpus, PostRecord
from ganime.practice.protocol import CATEGORIES, category_of
from ganime.practice.protocols import PROTOCOLS
from ganime.practice.server import PracticeServer

USER = {"User-Agent": "ganime/0 (dataset crawler; somebody)"}
KEY = {"api_key": "k", "user_id": "7"}
OF_AGE = {"Cookie": "getchu_adalt_flag=getchu.com", "Referer": "https://www.getchu.com/"}
Running = Callable[..., PracticeServer]


@pytest.fixture(scope="module")
def running(corpus: Corpus) -> Iterator[Running]:
    open_sites: dict[str, PracticeServer] = {}

    def start(protocol: str) -> PracticeServer:
        if protocol not in open_sites:
            open_sites[protocol] = PracticeServer(corpus, protocol=protocol).__enter__()
        return open_sites[protocol]

    yield start
    for site in open_sites.values():
        site.__exit__(None, None, None)


def get(site: PracticeServer, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
    url = path if path.startswith("http") else site.url + path
    return httpx.get(url, headers=headers, trust_env=False)


def gelbooru(site: PracticeServer, tags: str = "", **more: Any) -> httpx.Response:
    params = {"page": "dapi", "s": "post", "q": "index", "json": "1", "tags": tags, **KEY, **more}
    params = {name: value for name, value in params.items() if value is not None}
    return httpx.get(f"{site.url}/index.php", params=params, trust_env=False)


def danbooru(site: PracticeServer, path: str = "/posts.json", **params: Any) -> httpx.Response:
    return httpx.get(site.url + path, params=params, trust_env=False)


def whole(corpus: Corpus) -> list[PostRecord]:
    """Posts whose file is there, oldest first."""
    return [post for post in corpus.posts if post.file and not post.ghost]


def newest_first(corpus: Corpus) -> list[int]:
    return sorted((post.id for post in corpus.posts), reverse=True)


def test_an_unknown_protocol_is_refused(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match=r"e621.*safebooru"):
        PracticeServer(corpus, protocol="e621")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_site_has_no_robots_txt_until_it_is_given_one(running: Running, protocol: str) -> None:
    site = running(protocol)
    assert get(site, "/robots.txt").status_code == 404
    site.robots = "User-agent: *\nCrawl-delay: 3\n"
    assert get(site, "/robots.txt").text == site.robots
    site.robots = None
    assert get(site, "/nowhere/at/all").status_code == 404


def test_every_category_has_tags(corpus: Corpus) -> None:
    tags = {tag for post in corpus.posts for tag in post.tags}
    assert {category_of(tag) for tag in tags} == {*CATEGORIES, "general"}
    assert {category_of(tag) for tag in ("full_body", "solo", "chibi", "from_behind")} == {
        "general"
    }


def test_gelbooru_wants_an_account(running: Running, corpus: Corpus) -> None:
    site = running("gelbooru")
    for left_out in KEY:
        missing: dict[str, Any] = {left_out: None}
        answer = gelbooru(site, **missing)
        assert (answer.status_code, answer.content) == (401, b"")
    with PracticeServer(corpus, protocol="gelbooru", users={"7": "right"}) as strict:
        assert gelbooru(strict).status_code == 401
        assert gelbooru(strict, api_key="right").status_code == 200


def test_gelbooru_writes_an_envelope(running: Running, corpus: Corpus) -> None:
    site = running("gelbooru")
    answer = gelbooru(site, limit=1000).json()
    assert answer["@attributes"] == {"limit": 100, "offset": 0, "count": len(corpus.posts)}
    assert [row["id"] for row in answer["post"]] == newest_first(corpus)
    assert "post" not in gelbooru(site, "no_such_tag").json()
    post = whole(corpus)[0]
    row = gelbooru(site, f"id:{post.id}").json()["post"]
    assert row["md5"] == post.md5
    assert row["directory"] == f"{post.md5[:2]}/{post.md5[2:4]}" if post.md5 else False
    assert row["rating"] in ("general", "sensitive", "questionable", "explicit")
    assert row["sample_url"] == ""


def test_gelbooru_writes_children_in_xml(running: Running, corpus: Corpus) -> None:
    root = ET.fromstring(gelbooru(running("gelbooru"), json=None).content)
    assert root.get("count") == str(len(corpus.posts))
    assert [int(post.findtext("id") or 0) for post in root] == newest_first(corpus)


def test_gelbooru_escapes_tags_and_lists_changes(corpus: Corpus) -> None:
    with PracticeServer(corpus, protocol="gelbooru") as site:
        oldest = corpus.posts[0].id
        before = gelbooru(site, "sort:updated:desc").json()["post"][0]["change"]
        site.change(oldest, ["rock_&_roll", "rei's_coat"])
        row = gelbooru(site, "sort:updated:desc").json()["post"][0]
        assert row["id"] == oldest
        assert row["change"] > before
        assert row["tags"] == "rock_&amp;_roll rei&#039;s_coat"
        assert gelbooru(site, "rei's_coat").json()["post"]["id"] == oldest


def test_gelbooru_refuses_deep_pages_in_plain_text(running: Running) -> None:
    answer = gelbooru(running("gelbooru"), limit=100, pid=201)
    assert answer.status_code == 200
    assert answer.text.startswith("Too deep!")


def test_gelbooru_knows_the_types_of_tags(running: Running) -> None:
    params: dict[str, Any] = {"s": "tag", "names": "solo standing no_such_tag", "tags": None}
    found = gelbooru(running("gelbooru"), **params).json()["tag"]
    assert {(tag["name"], tag["type"]) for tag in found} == {("solo", 0), ("standing", 0)}


def test_gelbooru_gives_images_only_to_visitors(running: Running, corpus: Corpus) -> None:
    site, post = running("gelbooru"), whole(corpus)[0]
    assert post.file
    url = gelbooru(site, f"id:{post.id}").json()["post"]["file_url"]
    assert get(site, url).headers["content-type"].startswith("text/html")
    referred = get(site, url, {"Referer": "https://gelbooru.com/"})
    assert referred.content == (corpus.folder / post.file).read_bytes()


def test_gelbooru_rates_in_its_own_words(running: Running, corpus: Corpus) -> None:
    safe = {post.id for post in corpus.posts if post.rating == "safe" and not post.ghost}
    rows = gelbooru(running("gelbooru"), "rating:sensitive").json()["post"]
    assert {row["id"] for row in rows if row["rating"]} == safe


def test_danbooru_pages_by_keyset_in_both_directions(running: Running, corpus: Corpus) -> None:
    site, ids = running("danbooru"), newest_first(corpus)
    down: list[int] = []
    while page := danbooru(site, limit=7, page=f"b{down[-1]}" if down else "b99999999").json():
        down += [row["id"] for row in page]
    assert down == ids
    above = [row["id"] for row in danbooru(site, limit=5, page=f"a{ids[20]}").json()]
    assert above == ids[15:20]  # the nearest above, yet descending
    numbered = [row["id"] for row in danbooru(site, limit=10, page=2).json()]
    assert numbered == ids[10:20]


@pytest.mark.parametrize(
    ("params", "status", "error"),
    [
        ({"page": 1001}, 410, "PaginationExtension::PaginationError"),
        ({"tags": "solo standing 1girl"}, 422, "PostQuery::TagLimitError"),
        ({"tags": "solo standing -chibi"}, 422, "PostQuery::TagLimitError"),
        ({"tags": "solo standing order:score"}, 422, "PostQuery::TagLimitError"),
        ({"tags": "solo standing rating:g id:>5 score:>=0"}, 200, ""),
        ({"login": "me", "api_key": ""}, 401, "SessionLoader::AuthenticationFailure"),
        ({"page": "z9"}, 400, "ActionController::BadRequest"),
    ],
)
def test_danbooru_says_what_is_wrong(
    running: Running, params: dict[str, Any], status: int, error: str
) -> None:
    answer = danbooru(running("danbooru"), **params)
    assert answer.status_code == status
    if status != 200:
        assert answer.json()["success"] is False
        assert answer.json()["error"] == error


def test_danbooru_fields_by_category_and_only_those_asked_for(
    running: Running, corpus: Corpus
) -> None:
    site, post = running("danbooru"), whole(corpus)[0]
    row = danbooru(site, f"/posts/{post.id}.json").json()
    parts = [row[f"tag_string_{name}"].split() for name in ("general", *CATEGORIES)]
    assert sorted(tag for part in parts for tag in part) == sorted(row["tag_string"].split())
    assert row["rating"] in "gsqe"
    short = danbooru(site, f"/posts/{post.id}.json", only="id,md5,media_asset[id]").json()
    assert short == {"id": post.id, "md5": post.md5}
    assert danbooru(site, "/posts/5.json").status_code == 404


def test_danbooru_leaves_out_what_a_banned_post_may_not_show(
    running: Running, corpus: Corpus
) -> None:
    ghost = next(post for post in corpus.posts if post.ghost)
    row = danbooru(running("danbooru"), f"/posts/{ghost.id}.json").json()
    assert row["is_banned"] is True
    assert not {"md5", "file_url", "large_file_url", "preview_file_url"} & set(row)


def test_danbooru_counts_posts_and_tags(running: Running, corpus: Corpus) -> None:
    site = running("danbooru")
    solo = sum("solo" in post.tags for post in corpus.posts)
    assert danbooru(site, "/counts/posts.json", tags="solo").json() == {"counts": {"posts": solo}}
    names = {"search[name_comma]": "solo,standing,no_such_tag", "only": "name,post_count"}
    rows = danbooru(site, "/tags.json", **names).json()
    assert {"name": "solo", "post_count": solo} in rows
    assert len(rows) == 2


def test_danbooru_blocks_browsers_and_wrong_accounts(corpus: Corpus) -> None:
    with PracticeServer(corpus, protocol="danbooru", users={"me": "right"}) as site:
        browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
        assert get(site, "/posts.json", browser).status_code == 403
        for key, status in {"right": 200, "wrong": 401}.items():
            answer = httpx.get(f"{site.url}/posts.json", auth=("me", key), trust_env=False)
            assert answer.status_code == status


def test_danbooru_serves_files_by_their_md5(running: Running, corpus: Corpus) -> None:
    site, post = running("danbooru"), whole(corpus)[0]
    assert post.md5
    assert post.file
    row = danbooru(site, f"/posts/{post.id}.json").json()
    assert f"/original/{post.md5[:2]}/{post.md5[2:4]}/{post.md5}." in row["file_url"]
    assert get(site, row["file_url"]).content == (corpus.folder / post.file).read_bytes()
    assert get(site, row["preview_file_url"]).content[:2] == b"\xff\xd8"


def test_danbooru_lists_deleted_posts_and_marks_them(corpus: Corpus) -> None:
    with PracticeServer(corpus, protocol="danbooru") as site:
        gone = whole(corpus)[-1].id
        site.delete(gone)
        rows = {row["id"]: row["is_deleted"] for row in danbooru(site, limit=200).json()}
        assert rows == {post.id: post.id == gone for post in corpus.posts}
        assert [row["id"] for row in danbooru(site, tags="status:deleted").json()] == [gone]


def zerochan(site: PracticeServer, path: str) -> list[dict[str, Any]]:
    return list(get(site, path, USER).json()["items"])


def test_zerochan_wants_a_name_and_no_browser(running: Running, corpus: Corpus) -> None:
    site = running("zerochan")
    for agent in ("Python/3.11", "Mozilla/5.0 (X11; Linux x86_64)", "x/1 (y; no user named)"):
        assert get(site, "/?json", {"User-Agent": agent}).status_code == 503
    assert get(site, "/?json", {"User-Agent": "My learning app - Somebody"}).status_code == 200
    with PracticeServer(corpus, protocol="zerochan", users={"known": ""}) as strict:
        assert get(strict, "/?json", USER).status_code == 503


def test_zerochan_lists_and_ends(running: Running, corpus: Corpus) -> None:
    site = running("zerochan")
    pages = [zerochan(site, f"/?json&p={page}&l=20&s=id") for page in range(1, 5)]
    assert [item["id"] for page in pages for item in page] == newest_first(corpus)
    assert pages[-1] == []
    assert get(site, "/Solo?json&p=99", USER).status_code == 404
    popular = zerochan(site, "/?json&l=999&s=fav")
    assert len(popular) == len(corpus.posts)
    assert [item["id"] for item in popular] != newest_first(corpus)
    assert get(site, "/?json&s=fav&t=0", USER).status_code == 500


def test_zerochan_spells_tags_with_capitals_and_spaces(running: Running, corpus: Corpus) -> None:
    wanted = {post.id for post in corpus.posts if {"long_hair", "solo"} <= set(post.tags)}
    for path in ("/Long+Hair,Solo?json&l=250", "/Long%20Hair,Solo?json&l=250"):
        items = zerochan(running("zerochan"), path)
        assert {item["id"] for item in items} == wanted
        assert all("Long Hair" in str(item["tags"]) for item in items if item["tags"])


def test_zerochan_entries_and_files(running: Running, corpus: Corpus) -> None:
    site, post = running("zerochan"), next(p for p in whole(corpus) if p.image.endswith("png"))
    assert post.file
    entry = get(site, f"/{post.id}?json", USER).json()
    assert entry["hash"] == post.md5
    content = (corpus.folder / post.file).read_bytes()
    assert get(site, entry["full"]).content == content
    assert get(site, f"/.full.{post.id}.png").content == content
    assert get(site, f"/.full.{post.id}.jpg").status_code == 404
    item = next(i for i in zerochan(site, "/?json&l=250") if i["id"] == post.id)
    assert item["md5"] == post.md5
    assert get(site, str(item["thumbnail"])).content[:2] == b"\xff\xd8"


def test_zerochan_says_that_a_post_was_deleted(corpus: Corpus) -> None:
    with PracticeServer(corpus, protocol="zerochan") as site:
        post = whole(corpus)[0]
        site.delete(post.id)
        answer = get(site, f"/{post.id}?json", USER)
        assert answer.status_code == 404
        assert "<h2>deleted</h2>" in answer.text
        assert get(site, f"/.full.{post.id}.{post.image[-3:]}").status_code == 404
        assert post.id not in [item["id"] for item in zerochan(site, "/?json&l=250")]


MONTH = "/all/month_title.html?genre=pc_soft&year=2022&month=1"


def products(site: PracticeServer, more: str = "") -> list[str]:
    page = get(site, MONTH + more, OF_AGE).content.decode("euc_jp")
    return re.findall(r"soft\.phtml\?id=(\d+)", page)


def test_getchu_asks_for_the_age_first(running: Running) -> None:
    site = running("getchu")
    gate = get(site, MONTH).content.decode("euc_jp")
    assert "年齢認証" in gate
    assert "soft.phtml" not in gate
    assert "soft.phtml" in get(site, MONTH + "&gc=gc").content.decode("euc_jp")


def test_getchu_sells_every_post_in_some_product(running: Running, corpus: Corpus) -> None:
    site = running("getchu")
    numbers = products(site)
    assert sorted([*products(site, "&gage=adult"), *products(site, "&gage=all")]) == sorted(numbers)
    found = set()
    for number in numbers:
        page = get(site, f"/soft.phtml?id={number}", OF_AGE).content.decode("euc_jp")
        assert 'charset="EUC-JP"' in page
        assert len(re.findall("<charalist>.+?</charalist>", page)) == page.count('id="chara')
        for name in re.findall(rf'href="\./(brandnew/{number}/c{number}charab\d+\.jpg)"', page):
            found.add(get(site, f"/{name}", OF_AGE).content)
    drawn = [post.file for post in whole(corpus) if post.file]
    assert found >= {(corpus.folder / file).read_bytes() for file in drawn}
    assert get(site, MONTH.replace("2022", "1999"), OF_AGE).text.count("soft.phtml") == 0
    assert get(site, "/soft.phtml?id=12", OF_AGE).status_code == 404
    assert get(site, f"/item/{numbers[0]}/", OF_AGE).status_code == 200


def test_getchu_shows_images_to_visitors_of_age(running: Running) -> None:
    site = running("getchu")
    number = next(
        number for number in products(site)
        if "package" in get(site, f"/soft.phtml?id={number}", OF_AGE).text
    )  # fmt: skip
    start = f"/brandnew/{number}/"
    for name in (f"c{number}sample1.jpg", f"c{number}sample1_s.jpg", f"rc{number}package.jpg"):
        for left_out in OF_AGE:
            some = {key: value for key, value in OF_AGE.items() if key != left_out}
            assert get(site, start + name, some).status_code == 403
        assert get(site, start + name, OF_AGE).headers["content-type"] == "image/jpeg"
    assert get(site, start + f"c{number}sample9.jpg", OF_AGE).status_code == 404


def test_getchu_takes_products_away_with_their_last_character(corpus: Corpus) -> None:
    with PracticeServer(corpus, protocol="getchu") as site:
        before = products(site)
        for post in site.protocol.products()[0].posts:  # type: ignore[attr-defined]
            site.delete(post.id)
        gone = set(before) - set(products(site))
        assert len(gone) == 1
        assert get(site, f"/soft.phtml?id={gone.pop()}", OF_AGE).status_code == 404
        site.show(1)
        assert len(products(site)) <= 1


def test_safebooru_forgets_deleted_posts_and_their_files(corpus: Corpus) -> None:
    with PracticeServer(corpus) as site:
        post = whole(corpus)[0]
        site.delete(post.id)
        assert post.id not in [row["id"] for row in gelbooru(site, limit=1000).json()]
        assert get(site, f"/images/{post.directory}/{post.image}").status_code == 404


def test_a_replaced_file_has_another_md5_under_the_same_id(corpus: Corpus) -> None:
    first, second = (post for post in whole(corpus)[:2])
    assert second.file
    content = (corpus.folder / second.file).read_bytes()
    with PracticeServer(corpus) as site:
        site.replace(first.id, corpus.folder / second.file)
        row = gelbooru(site, f"id:{first.id}").json()[0]
        assert row["hash"] != first.md5
        assert (row["width"], row["image"]) != (first.width, first.image)
        assert row["change"] > max(post.changed for post in corpus.posts)
        assert get(site, row["file_url"]).content == content
        with pytest.raises(ConfigError, match="no post 5"):
            site.change(5, [])
        with pytest.raises(ConfigError, match="cannot show"):
            site.replace(first.id, corpus.folder / "posts.json")
