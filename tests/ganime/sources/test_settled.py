from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ganime.rows import AttemptRow, ListingRow, PostRow, SeenPost
from ganime.sources import Post
from ganime.sources.settled import Columns, Settled, from_json, to_json

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)
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


@pytest.fixture
def post(post_row: Callable[..., PostRow]) -> PostRow:
    """A fetched one with what JSON has no words for: times, and letters of other scripts."""
    return post_row(
        7,
        "ab" * 32,
        tags=["1girl", "hatsune_miku_(\u521d\u97f3)"],
        posted_at=MOMENT,
        fetched_at=MOMENT,
    )


@pytest.fixture
def listed(post: PostRow) -> ListingRow:
    return ListingRow(query_id="query", **Columns(SeenPost).of(post))


def test_what_was_settled_reads_back_as_it_was(post: PostRow, listed: ListingRow) -> None:
    settled = Settled(post, [ATTEMPT, replace(ATTEMPT, request=1)])
    assert from_json(to_json(settled, listed), listed) == settled


def test_a_post_that_changed_since_it_was_listed_reads_back_as_it_was(
    post: PostRow, listed: ListingRow
) -> None:
    changes = {"site_md5": "c" * 32, "changed_at": MOMENT + timedelta(days=1), "tags": ["solo"]}
    changed = Settled(replace(post, **changes))
    assert from_json(to_json(changed, listed), listed) == changed


def test_what_a_listing_says_is_not_written_once_more(post: PostRow, listed: ListingRow) -> None:
    assert "1girl" not in to_json(Settled(post), listed)


def test_columns_are_taken_from_whatever_has_them(post: PostRow) -> None:
    columns = Columns(Post)
    assert Post(**columns.of(post)).tags == post.tags
    assert columns.names[0] == "post_id"
