import asyncio
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ganime.errors import SourceRefused
from ganime.sources.client import Client
from ganime.sources.folder import Folder
from ganime.sources.sidecars import split_tags


def ask(source, work):
    async def run():
        async with Client(source.FACTS, source.root) as client:
            return await work(client)

    return asyncio.run(run())


def older(source, tags="", cursor=None, limit=100):
    return ask(source, lambda client: source.older(client, tags, cursor, limit))


def newer(source, listed, cursor=None, limit=100):
    return ask(source, lambda client: source.newer(client, "", listed, cursor, limit))


def fetch(source, post, max_bytes=1000):
    return ask(source, lambda client: source.fetch(client, post, max_bytes))


def ids(posts):
    return [post.post_id for post in posts]


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "my images"
    for name in ["b.png", "a.jpg", "sub/c.WEBP", "sub/deep/d.gif"]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    for junk in [".DS_Store", ".hidden/e.png", "__MACOSX/._a.jpg", "notes.md", "._a.jpg"]:
        (folder / junk).parent.mkdir(exist_ok=True)
        (folder / junk).write_bytes(b"junk")
    return folder


@pytest.fixture(params=["folder", "zip"])
def source(request, images) -> Folder:
    if request.param == "folder":
        return Folder(path=str(images))
    archive = images.parent / "images.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in images.rglob("*"):
            file.write(path, path.relative_to(images))
    return Folder(path=str(archive))


def test_all_images_are_posts_and_junk_is_not(source):
    page = older(source)
    assert ids(page.posts) == ["a.jpg", "b.png", "sub/c.WEBP", "sub/deep/d.gif"]
    assert page.cursor is None
    assert {post.rating for post in page.posts} == {"unknown"}


def test_a_file_is_read_where_it_lies(source):
    for post in older(source).posts:
        received = fetch(source, post)
        assert (received.content, received.problem) == (post.post_id.encode(), None)


def test_a_page_ends_at_the_limit_and_goes_on_below(source):
    first = older(source, limit=3)
    assert (ids(first.posts), first.cursor) == (["a.jpg", "b.png", "sub/c.WEBP"], "sub/c.WEBP")
    rest = older(source, cursor=first.cursor, limit=3)
    assert (ids(rest.posts), rest.cursor) == (["sub/deep/d.gif"], None)


def test_new_files_are_found_wherever_they_sort(images):
    source = Folder(path=str(images))
    (images / "aa.png").write_bytes(b"new")
    (images / "zz.png").write_bytes(b"new")
    old = ["a.jpg", "b.png", "sub/c.WEBP", "sub/deep/d.gif"]
    assert ids(newer(source, old)) == ["aa.png", "zz.png"]
    assert ids(newer(source, old[:2], cursor="b.png")) == ["aa.png"]


def test_a_giant_is_not_read_whole(source):
    assert fetch(source, older(source).posts[0], max_bytes=3).problem == "too_large"


def test_a_file_that_went_away_is_gone(images):
    source = Folder(path=str(images))
    post = older(source).posts[0]
    (images / post.post_id).unlink()
    assert fetch(source, post).problem == "gone"


def test_tags_lie_beside_the_images(images):
    (images / "a.txt").write_text("1girl long_hair")
    (images / "b.png.txt").write_text("1girl, long hair,\nblue eyes")
    (images / "sub/c.json").write_text(
        json.dumps({"tags": "x y", "rating": "q", "score": 4, "source": "http://s"})
    )
    (images / "sub/deep/d.json").write_text('{"tags": ["z", "two words", 3, ""]}')
    a, b, c, d = older(Folder(path=str(images))).posts
    assert a.tags == ["1girl", "long_hair"]
    assert b.tags == ["1girl", "blue_eyes", "long_hair"]
    assert (c.tags, c.rating, c.score, c.source_link) == (["x", "y"], "questionable", 4, "http://s")
    assert d.tags == ["3", "two_words", "z"]


@pytest.mark.parametrize("damaged", ["{", "[1]", '{"tags": {"a": 1}, "rating": [], "score": "x"}'])
def test_a_damaged_sidecar_counts_as_absent(images, damaged):
    (images / "a.json").write_text(damaged)
    post = older(Folder(path=str(images))).posts[0]
    assert (post.tags, post.rating, post.score) == ([], "unknown", None)


def test_folders_can_be_tags(images):
    posts = older(Folder(path=str(images), tags_from_folders=True)).posts
    assert [post.tags for post in posts] == [[], [], ["sub"], ["deep", "sub"]]


def test_a_table_can_hold_the_tags(images, tmp_path):
    table = tmp_path / "tags.csv"
    table.write_text('file,tags\na.jpg,1girl solo\nsub/c.WEBP,"long hair, hat"\n')
    posts = older(Folder(path=str(images), tags=str(table))).posts
    assert [post.tags for post in posts] == [["1girl", "solo"], [], ["hat", "long_hair"], []]
    parquet = tmp_path / "tags.parquet"
    pq.write_table(pa.table({"file": ["d.gif"], "tags": [["x"]]}), parquet)
    posts = older(Folder(path=str(images), tags=str(parquet))).posts
    assert [post.tags for post in posts] == [[], [], [], ["x"]]


def test_a_table_without_its_columns_names_what_it_has(images, tmp_path):
    table = tmp_path / "tags.csv"
    table.write_text("name,words\n")
    with pytest.raises(SourceRefused, match="has the columns name, words; wanted: file, tags"):
        older(Folder(path=str(images), tags=str(table)))


def test_asking_for_tags_chooses_images(images):
    (images / "a.txt").write_text("1girl solo")
    (images / "b.txt").write_text("1girl chibi")
    source = Folder(path=str(images))
    assert ids(older(source, tags="1girl").posts) == ["a.jpg", "b.png"]
    assert ids(older(source, tags="1girl -chibi").posts) == ["a.jpg"]


def test_no_such_folder_is_said(tmp_path):
    with pytest.raises(SourceRefused, match=r"there is no folder .*nowhere"):
        older(Folder(path=str(tmp_path / "nowhere")))


def test_a_folder_without_images_is_said(tmp_path):
    with pytest.raises(SourceRefused, match="holds no images"):
        older(Folder(path=str(tmp_path)))


def test_a_file_that_is_no_archive_is_said(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK nonsense")
    with pytest.raises(SourceRefused, match=r"neither a folder nor a readable \.zip"):
        older(Folder(path=str(tmp_path / "a.zip")))


def test_names_that_climb_out_reach_nothing(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../secret.png", b"harmless")
        file.writestr("/abs.png", b"harmless")
    before = sorted(tmp_path.iterdir())
    source = Folder(path=str(archive))
    assert {fetch(source, post).content for post in older(source).posts} == {b"harmless"}
    assert sorted(tmp_path.iterdir()) == before
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    plain = Folder(path=str(folder))
    assert fetch(plain, older(source).posts[0]).problem == "gone"


def test_a_bomb_is_not_unpacked(tmp_path):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(50_000_000))
    source = Folder(path=str(archive))
    assert fetch(source, older(source).posts[0]).problem == "too_large"


def test_a_damaged_member_is_unreadable(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a.png", b"0123456789" * 10)
    archive.write_bytes(archive.read_bytes().replace(b"0123456789", b"012345678X", 1))
    source = Folder(path=str(archive))
    assert fetch(source, older(source).posts[0]).problem == "unreadable"


def test_a_name_that_is_not_utf8_gets_a_post(tmp_path):

    with open(os.fsencode(tmp_path) + b"/bad\xff.png", "wb") as file:
        file.write(b"x")
    source = Folder(path=str(tmp_path))
    (post,) = older(source).posts
    assert post.post_id == "bad\\xff.png"
    assert fetch(source, post).problem == "gone"


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", []),
        ("1girl solo", ["1girl", "solo"]),
        ("1girl, long  hair,,", ["1girl", "long_hair"]),
        ("one\ntwo words\n", ["one", "two_words"]),
        ("1girl solo\n", ["1girl", "solo"]),
    ],
)
def test_tags_are_split_at_commas_lines_or_spaces(text, tags):
    assert split_tags(text) == tags
