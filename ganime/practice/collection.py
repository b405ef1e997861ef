"""What a practice booru has at the moment: a drawn corpus whose posts come, change and go."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from PIL import Image

from ganime.errors import ConfigError
from ganime.practice.corpus import Corpus, PostRecord
from ganime.practice.search import Index

T = TypeVar("T")
_MEDIA_TYPES = {"png": "image/png", "gif": "image/gif", "webp": "image/webp"}


class Collection:
    """The posts as they are now.

    Args:
        corpus: What there is to show.
        first_posts: Show only so many of the oldest posts; all if None.
        lists_deleted: Whether deleted posts stay in searches, marked.
    """

    def __init__(
        self, corpus: Corpus, *, first_posts: int | None = None, lists_deleted: bool = False
    ) -> None:
        self.corpus = corpus
        self.lists_deleted = lists_deleted
        self.deleted: frozenset[int] = frozenset()
        self.version = 0  # raised by every change: what is derived from the posts is then old
        self._posts = {post.id: post for post in corpus.posts}
        self._shown = len(self._posts)
        self._index = Derived(self, self._build)
        self.show(first_posts)

    @property
    def index(self) -> Index:
        """What searches see."""
        return self._index()

    @property
    def num_shown(self) -> int:
        """How many of the oldest posts are shown, deleted ones included."""
        return self._shown

    def all(self) -> Iterable[PostRecord]:
        """Every post, oldest first, also those that are not shown or deleted."""
        return self._posts.values()

    def shown(self) -> list[PostRecord]:
        """Posts that are shown, oldest first, deleted ones included."""
        return list(self._posts.values())[: self._shown]

    def path(self, post: PostRecord) -> Path | None:
        """Where the file of a post lies; None if it has none."""
        return self.corpus.folder / post.file if post.file is not None else None

    def show(self, first_posts: int | None) -> None:
        """Have only the oldest posts, or all (None)."""
        wanted = len(self._posts) if first_posts is None else first_posts
        self._shown = min(max(wanted, 0), len(self._posts))
        self.version += 1

    def change(self, post_id: int, tags: Iterable[str]) -> None:
        """Give a post other tags; its time of change becomes the newest of all.

        Raises:
            ConfigError: there is no such post.
        """
        post = self._get(post_id)
        self._put(replace(post, tags=list(tags), changed=self._next_change()))

    def replace(self, post_id: int, file: Path) -> None:
        """Give a post another file under the same id.

        Raises:
            ConfigError: there is no such post, or the file is no image.
        """
        post = self._get(post_id)
        try:
            content = file.read_bytes()
            with Image.open(file) as image:
                width, height = image.size
        except OSError as error:
            raise ConfigError(f"cannot show {file}: {error}; name an image file") from error
        md5 = hashlib.md5(content).hexdigest()
        suffix = file.suffix.removeprefix(".").lower() or "jpg"
        self._put(
            replace(
                post,
                md5=md5,
                image=f"{hashlib.sha1(content).hexdigest()}.{suffix}",
                file=str(file.resolve()),
                media_type=_MEDIA_TYPES.get(suffix, "image/jpeg"),
                width=width,
                height=height,
                changed=self._next_change(),
                ghost=False,
            )
        )

    def delete(self, post_id: int) -> None:
        """Take a post away, as far as the site's protocol does so.

        Raises:
            ConfigError: there is no such post.
        """
        self._put(replace(self._get(post_id), changed=self._next_change()))
        self.deleted |= {post_id}
        self.version += 1

    def _get(self, post_id: int) -> PostRecord:
        if post_id not in self._posts:
            raise ConfigError(f"the practice booru has no post {post_id}; see Corpus.posts")
        return self._posts[post_id]

    def _put(self, post: PostRecord) -> None:
        self._posts = {**self._posts, post.id: post}  # a reader keeps the old one
        self.version += 1

    def _next_change(self) -> int:
        return max(post.changed for post in self._posts.values()) + 1

    def _build(self) -> Index:
        hidden = frozenset() if self.lists_deleted else self.deleted
        return Index((post for post in self.shown() if post.id not in hidden), self.deleted)


class Derived(Generic[T]):
    """Something worked out from the posts, anew after every change.

    Args:
        collection: The posts.
        build: Works it out.
    """

    def __init__(self, collection: Collection, build: Callable[[], T]) -> None:
        self._collection = collection
        self._build = build
        self._made: tuple[int, T] | None = None

    def __call__(self) -> T:
        """The thing itself."""
        version = self._collection.version
        made = self._made
        if made is None or made[0] != version:
            made = self._made = (version, self._build())
        return made[1]
