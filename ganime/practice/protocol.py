"""Safebooru's protocol (Gelbooru 0.2): the query language, and posts as JSON and as XML."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

from ganime.practice.corpus import PostRecord

XML = '<?xml version="1.0" encoding="UTF-8"?>'
ID_RANGE = re.compile(r"id:(<=|>=|<|>)?(\d+)")
Test = Callable[[PostRecord, frozenset[str]], bool]


class Index:
    """Posts, searchable by tags.

    Args:
        posts: In any order.
    """

    def __init__(self, posts: Iterable[PostRecord]) -> None:
        ordered = sorted(posts, key=lambda post: post.id, reverse=True)
        self.posts = [(post, frozenset(post.tags)) for post in ordered]

    def search(self, query: str) -> list[PostRecord]:
        """All posts that match every word, newest first unless `sort:id:asc` says otherwise."""
        words = query.lower().split()
        tests = [_test(word) for word in words if not word.startswith("sort:")]
        found = [post for post, tags in self.posts if all(test(post, tags) for test in tests)]
        return found[::-1] if "sort:id:asc" in words else found


def _test(word: str) -> Test:
    if word.startswith("-") and len(word) > 1:
        negated = _test(word[1:])
        return lambda post, tags: not negated(post, tags)
    limits = ID_RANGE.fullmatch(word)
    if limits:
        return _compare(limits[1] or "=", int(limits[2]))
    if word.startswith("rating:"):
        wanted = word.removeprefix("rating:")
        return lambda post, tags: post.rating == wanted or post.rating[:1] == wanted
    return lambda post, tags: word in tags


def _compare(sign: str, limit: int) -> Test:
    tests: dict[str, Test] = {
        "<": lambda post, tags: post.id < limit,
        ">": lambda post, tags: post.id > limit,
        "<=": lambda post, tags: post.id <= limit,
        ">=": lambda post, tags: post.id >= limit,
        "=": lambda post, tags: post.id == limit,
    }
    return tests[sign]


def _stem(post: PostRecord) -> str:
    return post.image.rpartition(".")[0]


def _urls(post: PostRecord, root: str) -> dict[str, str]:
    return {
        "preview_url": f"{root}/thumbnails/{post.directory}/thumbnail_{_stem(post)}.jpg",
        "sample_url": f"{root}/samples/{post.directory}/sample_{_stem(post)}.jpg",
        "file_url": f"{root}/images/{post.directory}/{post.image}",
    }


def as_json(posts: Iterable[PostRecord], root: str) -> str:
    """A bare array as the site writes it: without total and time, scores often null."""
    return json.dumps([_json_row(post, root) for post in posts])


def _json_row(post: PostRecord, root: str) -> dict[str, object]:
    row: dict[str, object] = {
        **_urls(post, root),
        "directory": str(post.directory),
        "hash": post.md5,
        "width": post.width,
        "height": post.height,
        "id": post.id,
        "image": post.image,
        "change": post.changed,
        "owner": "practice",
        "parent_id": post.parent_id or 0,
        "rating": post.rating,
        "sample": False,
        "sample_height": 0,
        "sample_width": 0,
        "score": post.score,
        "tags": " ".join(post.tags),
        "source": "",
        "status": "active",
        "has_notes": False,
        "comment_count": 0,
    }
    return dict.fromkeys(row) | _ghost(post, root) if post.ghost else row


def _ghost(post: PostRecord, root: str) -> dict[str, object]:
    """All that is left of a deleted post in an index that is out of date."""
    return {"id": post.id, "file_url": f"{root}/images//"}


def as_xml(posts: Iterable[PostRecord], total: int, offset: int, root: str) -> str:
    """`<posts count offset>` with one element per post; all values are strings."""
    rows = "".join(_xml_row(post, root) for post in posts)
    return f'{XML}\n<posts count="{total}" offset="{offset}">{rows}</posts>'


def _xml_row(post: PostRecord, root: str) -> str:
    created = datetime.fromtimestamp(post.created, UTC).strftime("%a %b %d %H:%M:%S %z %Y")
    values: dict[str, object] = {
        "height": post.height,
        "score": "" if post.score is None else post.score,
        **_urls(post, root),
        "parent_id": post.parent_id or "",
        "sample_width": post.width,
        "sample_height": post.height,
        "rating": post.rating,
        "tags": f" {' '.join(post.tags)} ",
        "id": post.id,
        "width": post.width,
        "change": post.changed,
        "md5": post.md5 or "",
        "creator_id": 1,
        "has_children": "false",
        "created_at": created,
        "status": "active",
        "source": "",
        "has_notes": "false",
        "has_comments": "false",
        "preview_width": 150,
        "preview_height": 150,
    }
    if post.ghost:
        values = dict.fromkeys(values, "") | _ghost(post, root)
    attributes = " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())
    return f"<post {attributes}/>"


def refusal(reason: str) -> str:
    """How the site says that a search failed."""
    return f'{XML}\n<response success="false" reason={quoteattr(reason)}/>'
