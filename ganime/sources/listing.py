"""The listing of one query: every post that a site ever named for it, committed page by page.

A part is a page. Its footer keeps the cursor where the descent goes on, empty at the end: committed
with the rows, the two cannot disagree, and a listing that was cut off goes on exactly there. Posts
that come later are added above; a slower sweep asks for everything again and writes a new version
of what the site has changed or taken away.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ganime.config import Config, digest_of
from ganime.errors import SourceRefused
from ganime.rows import ListingRow
from ganime.sources import Page, Post, Source
from ganime.sources.client import Client
from ganime.sources.settled import Columns
from ganime.store.manifest import Provenance, Table, from_arrow, read_footer
from ganime.store.workspace import Workspace

logger = logging.getLogger(__name__)

_POST = Columns(Post)
# What makes a new version of a post. Scores and times change daily and mean nothing here.
_WATCHED = (
    *("file_url", "site_md5", "rating", "state", "width", "height", "parent_id", "source_link"),
    *("tags", "artist_tags", "copyright_tags", "character_tags", "meta_tags"),
)
_MOST_ASKED_AGAIN = 200  # posts of one sweep that are missing from the list, one call each


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one site.

    Attributes:
        source: The site.
        tags: As the user wrote them.
    """

    source: Source
    tags: str

    @property
    def query_id(self) -> str:
        """Name of its listing: same source, same tags in any order, same listing."""
        parts = self.tags.split(",") if "," in self.tags else self.tags.split()
        words = sorted({" ".join(part.split()) for part in parts} - {""})
        return digest_of(self.source.canonical(), *words)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose work the parts are: goes into their footers."""

    stage: str
    revision: int
    config: Config
    run_id: str

    def provenance(self, **parents: str) -> Provenance:
        """For one part."""
        return Provenance(
            stage=self.stage,
            revision=self.revision,
            config=self.config,
            run_id=self.run_id,
            parents=parents,
        )


class Listing:
    """One query's listing while it is brought up to date.

    Args:
        workspace: Where.
        query: What is asked.
        limit: Posts wanted at most from the newest down.
        origin: Whose work it is.
        on_listed: Called with the number of posts of every page committed.
    """

    def __init__(
        self,
        workspace: Workspace,
        query: Query,
        limit: int,
        origin: Origin,
        on_listed: Callable[[int], None] | None = None,
    ) -> None:
        self._query = query
        self._query_id = query.query_id  # of every row, and slow to tell
        self._site = query.source
        self._limit = limit
        self._origin = origin
        self._on_listed = on_listed
        self.table = listing_table(workspace, query)
        known = self.table.read(["post_id", "position"])
        self._ids = set(known["post_id"].to_pylist())
        positions = known["position"].to_pylist()
        self._num_older = sum(position >= 0 for position in positions)
        self._lowest_position = min([0, *positions])
        parts = self.table.parts()
        older = [key for key in parts if "/older-" in key]
        self._num_older_parts = len(older)
        self._swept = [key for key in parts if "/swept-" in key]
        footer = read_footer(workspace, older[-1])["parents"] if older else None
        self._cursor: str | None = (footer["next"] or None) if footer else None
        self._at_end = footer is not None and self._cursor is None
        self._first_listed = _moment(workspace, older[0]) if older else None
        self._last_swept = _moment(workspace, self._swept[-1]) if self._swept else None

    async def update(self, client: Client) -> int:
        """Go on down to the limit or the end, then add what is new; how many posts were added."""
        before, resumed = len(self._ids), self._num_older_parts > 0
        while not self._at_end and self._num_older < self._limit:
            wanted = self._limit - self._num_older
            page = await self._site.older(client, self._query.tags, self._cursor, wanted)
            if page.cursor is not None and page.cursor == self._cursor:
                logger.warning("%s has more posts but lists none now", self._site.root)
                break
            self._commit_older(page)
        if resumed:
            await self._add_newer(client)
        return len(self._ids) - before

    def needs_sweep(self, every: timedelta) -> bool:
        """Whether the last look at everything is so long ago; the first listing was one."""
        last = self._last_swept or self._first_listed
        return bool(every and last and datetime.now(UTC) - last >= every)

    async def sweep(self, client: Client) -> int:
        """Ask for all listed posts again; how many have changed, are gone, or had been missed.

        Nothing is committed before the end, so a sweep that is cut off begins anew.
        """
        known = {row.post_id: row for row in from_arrow(ListingRow, self.table.read())}
        seen = await self._everything(client, known)
        lost = [row for key, row in known.items() if key not in seen and row.state != "gone"]
        if len(lost) > _MOST_ASKED_AGAIN:
            logger.warning(
                "%d posts of %r are no longer listed; %d of them are looked at now",
                *(len(lost), self._query.tags, _MOST_ASKED_AGAIN),
            )
        rows = [
            self._next_version(known[key], post)
            for key, post in seen.items()
            if key in known and _differs(known[key], post)
        ]
        for row in lost[:_MOST_ASKED_AGAIN]:
            post = await self._site.again(client, post_of(row))
            if post is None:
                rows.append(dataclasses.replace(row, state="gone", version=row.version + 1))
            elif _differs(row, post):
                rows.append(self._next_version(row, post))
        missed = [post for key, post in seen.items() if key not in known]
        self._write(f"swept-{len(self._swept):06d}", [*rows, *self._above(missed)])
        logger.info(
            "%s: %d posts changed, %d missed before", self._site.root, len(rows), len(missed)
        )
        return len(rows) + len(missed)

    async def _everything(self, client: Client, known: Mapping[str, ListingRow]) -> dict[str, Post]:
        """What the site lists now, down to where this listing has got."""
        seen: dict[str, Post] = {}
        cursor: str | None = None
        while True:
            size = self._site.FACTS.page_limit
            page = await self._site.older(client, self._query.tags, cursor, size)
            posts = {post.post_id: post for post in page.posts}
            is_below = not self._at_end and len(seen) >= len(known) and not posts.keys() & known
            if is_below or page.cursor == cursor:
                return seen
            seen |= posts
            if page.cursor is None:
                return seen
            cursor = page.cursor

    async def _add_newer(self, client: Client) -> None:
        added = 0
        while added < self._limit:
            posts = await self._site.newer(
                client, self._query.tags, frozenset(self._ids), self._cursor, self._limit - added
            )
            posts = [post for post in posts if post.post_id not in self._ids]
            if not posts:
                return
            # Named by its place: a second writer of the same page writes the same name.
            self._write(f"newer-{1 - self._lowest_position:09d}", self._above(posts))
            added += len(posts)

    def _above(self, posts: Sequence[Post]) -> list[ListingRow]:
        """Rows of posts that come on top, oldest first."""
        first = self._lowest_position - 1
        self._lowest_position -= len(posts)
        return [self._row(post, first - place) for place, post in enumerate(posts)]

    def _commit_older(self, page: Page) -> None:
        posts = {post.post_id: post for post in page.posts if post.post_id not in self._ids}
        if not self._ids and not posts and page.cursor is None:
            raise SourceRefused(
                f"no post at {self._site.root} is tagged {self._query.tags!r}; check the spelling"
            )
        rows = [
            self._row(post, self._num_older + place) for place, post in enumerate(posts.values())
        ]
        self._write(f"older-{self._num_older_parts:06d}", rows, page.cursor or "")
        self._num_older_parts += 1
        self._num_older += len(rows)
        self._cursor, self._at_end = page.cursor, page.cursor is None

    def _write(self, name: str, rows: Sequence[ListingRow], cursor: str = "") -> None:
        now = datetime.now(UTC).isoformat()
        origin = self._origin.provenance(next=cursor, at=now)
        try:
            self.table.write(name, rows, origin)
        except UnicodeEncodeError:
            self.table.write(name, [_storable_row(row) for row in rows], origin)
        before = len(self._ids)
        self._ids.update(row.post_id for row in rows)
        if self._on_listed:
            self._on_listed(len(self._ids) - before)

    def _row(self, post: Post, position: int, version: int = 1) -> ListingRow:
        return ListingRow(
            query_id=self._query_id,
            source=self._site.component,
            query=self._query.tags,
            position=position,
            version=version,
            **_POST.of(post),
        )

    def _next_version(self, row: ListingRow, post: Post) -> ListingRow:
        return self._row(post, row.position, row.version + 1)


def listing_table(workspace: Workspace, query: Query) -> Table[ListingRow]:
    """All posts of one query."""
    return Table(workspace, ListingRow, query.query_id)


def post_of(row: Any) -> Post:
    """The post of a listing row or a post row."""
    return Post(**_POST.of(row))


def _differs(row: ListingRow, post: Post) -> bool:
    return any(getattr(row, name) != _storable(getattr(post, name)) for name in _WATCHED)


def _moment(workspace: Workspace, key: str) -> datetime:
    return datetime.fromisoformat(read_footer(workspace, key)["parents"]["at"])


def _storable_row(row: ListingRow) -> ListingRow:
    return dataclasses.replace(row, **{name: _storable(getattr(row, name)) for name in _POST.names})


def _storable(value: Any) -> Any:
    """Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes a question mark."""
    if isinstance(value, list):
        return value if all(map(str.isascii, value)) else [_storable(item) for item in value]
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "replace").decode()
