"""What every protocol of the practice booru has: paths to answer, limits, users, files."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from ganime.practice.answers import file_answer
from ganime.practice.collection import Collection
from ganime.practice.corpus import PostRecord
from ganime.practice.grounds import BUSY, PALE
from ganime.practice.plan import ALWAYS, VIEWPOINTS
from ganime.practice.search import Index

__all__ = ["CATEGORIES", "Handler", "Index", "Protocol", "Route", "category_of", "in_category"]
Handler = Callable[[Request], "Response | Awaitable[Response]"]
Route = tuple[str, Handler]  # the kind of request, see `traffic.KINDS`, and who answers it
CATEGORIES = ("artist", "copyright", "character", "meta")
# Tags that filters ask for must stand where they ask, whatever the others are made to be.
_TELLING = ("on_back", "foreshortening", "chibi", "multiple_girls", "2girls", "3girls")
_GENERAL = ALWAYS.union(_TELLING, VIEWPOINTS, PALE.values(), *BUSY.values())


class Protocol:
    """One site's way to answer; the subclasses hold its facts.

    Args:
        collection: The posts.
        page_cap: Most posts of one page, whatever is asked for; the site's own limit if None.
        users: Known accounts, name (or number) to key; None knows everybody.
    """

    NAME: ClassVar[str]
    PAGE_LIMIT: ClassVar[int]  # posts that one list call may ask for
    LISTS_DELETED: ClassVar[bool] = False

    def __init__(
        self,
        collection: Collection,
        *,
        page_cap: int | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.collection = collection
        self.page_cap = self.PAGE_LIMIT if page_cap is None else page_cap
        self.users = users
        self.prepare()

    def prepare(self) -> None:
        """Derive from the collection what answers are looked up in; called once, at the start."""

    def route(self, request: Request) -> Route | None:
        """Who answers a request; None if the site has no such path."""
        raise NotImplementedError

    def knows(self, name: str | None, key: str | None) -> bool:
        """Whether the name of an account and its key are good."""
        if not name or not key:
            return False
        return self.users is None or self.users.get(name) == key

    def file(self, request: Request, post: PostRecord | None) -> Response:
        """The original of a post."""
        path = None if post is None else self.collection.path(post)
        return file_answer(request, path, post.media_type if post else "")


def root_of(request: Request) -> str:
    """Address of the site as the client named it, without a slash at its end."""
    return f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"


@lru_cache(maxsize=65536)
def category_of(tag: str) -> str:
    """Which category a tag has at sites that know categories: by its hash, always the same."""
    if tag in _GENERAL:
        return "general"
    draw = hashlib.sha256(tag.encode()).digest()[0] % 16
    return CATEGORIES[draw] if draw < len(CATEGORIES) else "general"


def in_category(post: PostRecord, category: str) -> list[str]:
    """The tags of a post that are of a category."""
    return [tag for tag in post.tags if category_of(tag) == category]
