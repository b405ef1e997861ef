"""The booru's search: tags and metatags in the words of Gelbooru, by an index built once."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

from ganime.practice.corpus import PostRecord

ID_RANGE = re.compile(r"id:(<=|>=|<|>)?(\d{1,18})")
NUMBER = re.compile(r"(score|width|height|parent|updated):(<=|>=|<|>)?(-?\d{1,18})")
REMEMBERED = 256  # searches; a crawl has a few, each asked for page by page
Test = Callable[[PostRecord, frozenset[str]], bool]
Key = Callable[[PostRecord], tuple[int, int]]
ORDERS: dict[str, Key] = {  # all but the two by id, which the places themselves give
    "sort:updated:desc": lambda post: (-post.changed, -post.id),
    "sort:updated": lambda post: (-post.changed, -post.id),
    "sort:updated:asc": lambda post: (post.changed, post.id),
    "sort:score:desc": lambda post: (-(post.score or 0), -post.id),
    "sort:score": lambda post: (-(post.score or 0), -post.id),
}


class Index:
    """Posts, searchable by tags; a search costs its length once, and its pages nearly nothing.

    Args:
        posts: In any order.
        deleted: Ids of those that are marked as deleted.
    """

    def __init__(self, posts: Iterable[PostRecord], deleted: Collection[int] = ()) -> None:
        ordered = sorted(posts, key=lambda post: post.id, reverse=True)
        self.posts = [(post, frozenset(post.tags)) for post in ordered]
        self.deleted = frozenset(deleted)
        self._downward = [-post.id for post in ordered]  # ascending, as bisect wants it
        self._by_tag: defaultdict[str, list[int]] = defaultdict(list)
        for place, (_, tags) in enumerate(self.posts):
            for tag in tags:
                self._by_tag[tag].append(place)
        self._found: dict[tuple[str, ...], Sequence[int]] = {}

    def get(self, post_id: int) -> PostRecord | None:
        """The post of an id."""
        place = bisect_left(self._downward, -post_id)
        found = self.posts[place][0] if place < len(self.posts) else None
        return found if found and found.id == post_id else None

    def num_posts(self, tag: str) -> int:
        """How many posts have a tag."""
        return len(self._by_tag[tag]) if tag in self._by_tag else 0

    def search(self, query: str) -> list[PostRecord]:
        """All posts that match every word, newest first unless `sort:` says otherwise."""
        return self.page(query, 0, len(self.posts))[0]

    def page(self, query: str, offset: int, limit: int) -> tuple[list[PostRecord], int]:
        """A part of what `search` gives, and the length of the whole."""
        words = query.lower().split()
        order = next((word for word in words if word.startswith("sort:")), "")
        first, end = 0, len(self.posts)
        others = []
        for word in words:
            limits = ID_RANGE.fullmatch(word)
            if limits:
                low, high = self._places(limits[1] or "=", int(limits[2]))
                first, end = max(first, low), min(end, high)
            elif not word.startswith("sort:"):
                others.append(word)
        found = self._matches(tuple(sorted(set(others))))
        start, stop = bisect_left(found, first), bisect_left(found, end)
        total = max(stop - start, 0)
        offset, limit = max(offset, 0), max(limit, 0)
        if order == "sort:id:asc":
            last = max(stop - offset, start)
            shown = found[max(last - limit, start) : last][::-1] if total else []
        elif order in ORDERS and total:
            shown = self._sorted(found[start:stop], ORDERS[order])[offset : offset + limit]
        else:
            shown = found[start + offset : min(start + offset + limit, stop)] if total else []
        return [self.posts[place][0] for place in shown], total

    def _sorted(self, places: Sequence[int], key: Key) -> list[int]:
        return sorted(places, key=lambda place: key(self.posts[place][0]))

    def _places(self, sign: str, limit: int) -> tuple[int, int]:
        """From which place to which the ids keep to a limit."""
        at, after = bisect_left(self._downward, -limit), bisect_right(self._downward, -limit)
        return {
            "<": (after, len(self.posts)),
            "<=": (at, len(self.posts)),
            ">": (0, at),
            ">=": (0, after),
            "=": (at, after),
        }[sign]

    def _matches(self, words: tuple[str, ...]) -> Sequence[int]:
        """Places of the posts that match words which are no ranges of ids."""
        if not words:
            return range(len(self.posts))
        if words not in self._found:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[words] = self._match(words)
        return self._found[words]

    def _match(self, words: tuple[str, ...]) -> list[int]:
        plain = [word for word in words if word in self._by_tag]
        rarest = min(plain, key=self.num_posts, default=None)
        places = range(len(self.posts)) if rarest is None else self._by_tag[rarest]
        tests = [self._test(word) for word in words if word != rarest]
        return [place for place in places if all(test(*self.posts[place]) for test in tests)]

    def _test(self, word: str) -> Test:
        if word.startswith("-") and len(word) > 1:
            negated = self._test(word[1:])
            return lambda post, tags: not negated(post, tags)
        limits = ID_RANGE.fullmatch(word)
        if limits:  # only negated ones come here
            return _compare("id", limits[1] or "=", int(limits[2]))
        limits = NUMBER.fullmatch(word)
        if limits:
            return _compare(limits[1], limits[2] or "=", int(limits[3]))
        name, _, wanted = word.partition(":")
        if name == "rating":
            return lambda post, tags: wanted in (post.rating, post.rating[:1])
        if name == "md5":
            return lambda post, tags: post.md5 == wanted
        if name == "status" and wanted:
            return lambda post, tags: (
                wanted in ("any", "all") or (wanted == "deleted") == (post.id in self.deleted)
            )
        return lambda post, tags: word in tags


_FIELDS: dict[str, Callable[[PostRecord], int]] = {
    "id": lambda post: post.id,
    "score": lambda post: post.score or 0,
    "width": lambda post: post.width,
    "height": lambda post: post.height,
    "parent": lambda post: post.parent_id or 0,
    "updated": lambda post: post.changed,
}


def _compare(name: str, sign: str, limit: int) -> Test:
    field = _FIELDS[name]
    tests: dict[str, Test] = {
        "<": lambda post, tags: field(post) < limit,
        ">": lambda post, tags: field(post) > limit,
        "<=": lambda post, tags: field(post) <= limit,
        ">=": lambda post, tags: field(post) >= limit,
        "=": lambda post, tags: field(post) == limit,
    }
    return tests[sign]
