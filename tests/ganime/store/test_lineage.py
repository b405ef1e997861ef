from pathlib import Path

from ganime.config import Config
from ganime.rows import PostRow
from ganime.store.lineage import CrawledImage, crawled_images
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run-0")
ONE, OTHER = "1" * 64, "0" * 64


def post(crawl_id: str, post_id: str, image_id: str | None, tags: str, attempt: int = 1) -> PostRow:
    return PostRow(
        crawl_id=crawl_id,
        source="safebooru",
        post_id=post_id,
        position=0,
        post_url=f"http://localhost/{post_id}",
        file_url=None,
        query="1girl",
        tags=tags.split(),
        artist_tags=["someone"],
        copyright_tags=[],
        character_tags=[],
        meta_tags=[],
        rating="general",
        score=None,
        width=3,
        height=4,
        site_md5=None,
        posted_at=None,
        changed_at=None,
        state="active",
        parent_id=None,
        source_link=None,
        version=1,
        outcome="fetched" if image_id else "failed",
        reason=None,
        transient=False,
        attempt=attempt,
        http_status=200,
        num_bytes=9,
        image_id=image_id,
        fetched_at=None,
        run_id="run-0",
    )


def test_an_image_has_the_tags_and_posts_of_all_its_crawls(tmp_path: Path) -> None:
    store = Workspace(str(tmp_path))
    Table(store, PostRow, "a").write("1", [post("a", "7", ONE, "hat 1girl")], FROM)
    Table(store, PostRow, "a").write("2", [post("a", "8", None, "lost")], FROM)
    again = [post("b", "7", ONE, "1girl bow"), post("b", "9", OTHER, "")]
    Table(store, PostRow, "b").write("1", again, FROM)
    first = CrawledImage(OTHER, ["someone"], ["safebooru/9"])
    both = CrawledImage(ONE, ["1girl", "bow", "hat", "someone"], ["safebooru/7"])
    assert list(crawled_images(store, ["a", "b"])) == [first, both]
    assert list(crawled_images(store, ["a"])) == [
        CrawledImage(ONE, ["1girl", "hat", "someone"], ["safebooru/7"])
    ]
    assert list(crawled_images(store, [])) == []


def test_a_post_counts_as_its_last_attempt_left_it(tmp_path: Path) -> None:
    store = Workspace(str(tmp_path))
    Table(store, PostRow, "a").write("1", [post("a", "7", OTHER, "new", attempt=2)], FROM)
    Table(store, PostRow, "a").write("2", [post("a", "7", ONE, "old")], FROM)
    (image,) = crawled_images(store, ["a"])
    assert (image.image_id, image.tags) == (OTHER, ["new", "someone"])
