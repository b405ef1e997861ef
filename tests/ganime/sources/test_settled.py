from dataclasses import replace
from datetime import UTC, datetime

from ganime.rows import AttemptRow, PostRow
from ganime.sources import Post
from ganime.sources.settled import Columns, Settled, from_json, to_json

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)
POST = PostRow(
    source="safebooru",
    post_id="7",
    post_url="https://safebooru.org/7",
    file_url="https://safebooru.org/images/7.png",
    query="1girl",
    position=3,
    tags=["1girl", "hatsune_miku_(\u521d\u97f3)"],
    artist_tags=[],
    copyright_tags=[],
    character_tags=[],
    meta_tags=[],
    rating="general",
    score=None,
    width=600,
    height=900,
    site_md5=None,
    posted_at=MOMENT,
    changed_at=None,
    state="active",
    parent_id=None,
    source_link=None,
    version=1,
    crawl_id="crawl",
    outcome="fetched",
    reason=None,
    transient=False,
    attempt=1,
    http_status=200,
    num_bytes=4,
    image_id="ab" * 32,
    fetched_at=MOMENT,
    run_id="run",
)
ATTEMPT = AttemptRow(
    crawl_id="crawl",
    source="safebooru",
    post_id="7",
    attempt=1,
    request=0,
    url="https://safebooru.org/images/7.png",
    http_status=200,
    content_type="image/png",
    resumed_from=0,
    num_bytes=4,
    outcome="ok",
    error=None,
    started_at=MOMENT,
    ms=12,
)


def test_what_was_settled_reads_back_as_it_was():
    settled = Settled(POST, [ATTEMPT, replace(ATTEMPT, request=1)])
    assert from_json(to_json(settled)) == settled


def test_columns_are_taken_from_whatever_has_them():
    columns = Columns(Post)
    assert Post(**columns.of(POST)).tags == POST.tags
    assert columns.names[0] == "post_id"
