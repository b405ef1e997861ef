"""Settling posts: each gets its original and exactly one outcome, with every request on record.

A file that has come is written ahead into the coordinator's journal within a third of a second, and
into the manifest with its whole shard: after a kill, what came before that is not asked for again.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ganime.errors import SourceError, SourceUnavailable
from ganime.rows import AttemptRow, ListingRow, PostRow
from ganime.sources import Attempt, Post, Received, Source
from ganime.sources.addresses import AddressRefused, host_of
from ganime.sources.client import CannotConnect, Client, HostBusy, TurnedAway
from ganime.sources.coordinator import Coordinator
from ganime.sources.listing import post_of
from ganime.sources.received import damage_of, problem_of
from ganime.sources.settled import SEEN, Columns, Settled, from_json, to_json
from ganime.store.originals import Originals

logger = logging.getLogger(__name__)

_CONCURRENCY = 8  # downloads of one site at once; the host's budget bounds them further
_IN_WORK = 24  # posts at once: the others have come, and gather to be worked on together
_OUTAGE = 16  # posts in a row without an answer, or turned away: it is the site, not the post
_TRIES = 5  # runs that try a post whose failure may heal
_NO_IMAGES = frozenset(
    {".mp4", ".webm", ".mkv", ".avi", ".mov", ".zip", ".rar", ".7z", ".swf", ".ugoira", ".pdf"}
)
_MAY_HEAL = ("truncated",)  # the line was bad
_RULES = ("robots", "noai")  # the site's wish, which other settings may overrule
_MADE = Columns(Attempt)
_NEWS = tuple(item.name for item in dataclasses.fields(Post) if item.name != "post_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What came of a post earlier, in this crawl or in another.

    Attributes:
        is_own: Whether in this crawl.
        attempt: Of this crawl; 0 if it was another.
    """

    is_own: bool
    attempt: int
    outcome: str
    reason: str | None
    transient: bool
    http_status: int | None
    num_bytes: int | None
    image_id: str | None
    fetched_at: datetime | None
    file_url: str | None
    site_md5: str | None

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to try."""
        return not self.transient


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what rules posts are settled.

    Attributes:
        crawl_id: The crawl.
        run_id: The run.
        ratings: Posts of other ratings are skipped.
        max_bytes: Longer files are not fetched [bytes].
    """

    crawl_id: str
    run_id: str
    ratings: Sequence[str]
    max_bytes: int


class Settler:
    """Settles posts of one site.

    Args:
        site: The site.
        client: Its client.
        originals: Where bytes go.
        coordinator: Of the workspace; its journal is written.
        terms: The rules.
        before: What came earlier, by post id.
        on_settled: Called with each post as it is settled.
    """

    def __init__(
        self,
        site: Source,
        client: Client,
        originals: Originals,
        coordinator: Coordinator,
        terms: Terms,
        before: Mapping[str, Before],
        on_settled: Callable[[PostRow], None] | None = None,
    ) -> None:
        self._site = site
        self._client = client
        self._originals = originals
        self._coordinator = coordinator
        self._terms = terms
        self._before = before
        self._on_settled = on_settled
        self._downloading = asyncio.Semaphore(_CONCURRENCY)
        self._listed: dict[str, ListingRow] = {}  # by post id
        self._turned_away = 0  # posts in a row
        self._any_answer = False

    async def settle(self, listed: Sequence[ListingRow]) -> list[Settled]:
        """One outcome per post, in their order.

        Raises:
            SourceUnavailable: the site is down; what was settled is in the journal.
            SourceRefused: it turns this client away.
        """
        self._listed = {row.post_id: row for row in listed}
        settled = self._written_ahead(listed)
        waiting = iter([row for row in listed if row.post_id not in settled])
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_IN_WORK, len(listed))):
                    group.create_task(self._work(waiting, settled))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [settled[row.post_id] for row in listed]

    def note_key(self, row: ListingRow) -> str:
        """Name of the post's entry in the journal."""
        return f"{row.source}/{row.post_id}/{row.version}/{self._attempt(row)}"

    def _written_ahead(self, listed: Sequence[ListingRow]) -> dict[str, Settled]:
        rows = {self.note_key(row): row for row in listed}
        notes = self._coordinator.notes(self._terms.crawl_id, rows)
        return {rows[key].post_id: from_json(text, rows[key]) for key, text in notes.items()}

    async def _work(self, waiting: Iterator[ListingRow], settled: dict[str, Settled]) -> None:
        for row in waiting:
            found = self._without_asking(row)
            if found is None:
                found = await self._download(row)
            settled[row.post_id] = found
            if self._on_settled:
                self._on_settled(found.post)

    def _without_asking(self, row: ListingRow) -> Settled | None:
        if row.rating not in self._terms.ratings:
            return Settled(self._row(row, outcome="skipped", reason="rating"))
        before = self._before.get(row.post_id)
        if before and self._still_holds(before, row):
            return Settled(self._carry_on(before, row))
        if row.file_url is None:
            reason = row.state if row.state in ("deleted", "banned", "gone") else "ghost"
            return Settled(self._row(row, outcome="failed", reason=reason))
        if _extension(row.file_url) in _NO_IMAGES:
            return Settled(self._row(row, outcome="skipped", reason="extension"))
        return None

    def _still_holds(self, before: Before, row: ListingRow) -> bool:
        """Whether the file is the one that was asked for then, or is no longer to be had."""
        if before.outcome == "skipped" or not before.is_settled:
            return False
        same = (before.file_url, before.site_md5) == (row.file_url, row.site_md5)
        if before.image_id is None:
            return same
        taken_away = row.file_url is None or row.state == "gone"
        return (same or taken_away) and self._originals.has(before.image_id)

    def _carry_on(self, before: Before, row: ListingRow) -> PostRow:
        outcome = before.outcome if before.is_own or before.image_id is None else "known"
        facts = {
            name: getattr(before, name)
            for name in ("reason", "http_status", "num_bytes", "image_id", "fetched_at")
        }
        return self._row(row, outcome=outcome, **facts)

    async def _download(self, row: ListingRow) -> Settled:
        """Ask for the file, a second time where it is not what the site said."""
        journal: list[Attempt] = []
        client = self._client.recording(journal)
        try:
            found = await self._ask(client, row, journal)
            if found.post.reason != "md5_mismatch":
                return found
            # The file may have been replaced since it was listed, or damaged on its way.
            again = await self._site.again(client, post_of(row))
            if again is None or again.file_url is None:
                gone = self._row(row, outcome="failed", reason="gone")
                return Settled(gone, self._attempt_rows(row, journal))
            row = dataclasses.replace(row, **{name: getattr(again, name) for name in _NEWS})
            return await self._ask(client, row, journal)
        except SourceError as error:
            return Settled(self._failed(row, error), self._attempt_rows(row, journal))

    async def _ask(self, client: Client, row: ListingRow, journal: list[Attempt]) -> Settled:
        post = post_of(row)
        async with self._downloading:
            received = await self._site.fetch(client, post, self._terms.max_bytes)
        self._note(received)
        try:
            # Digests, decoder and disk would keep the other downloads waiting.
            return await client.work_on(received, self._take, row, post, received, journal)
        finally:
            if received.file is not None:
                received.file.unlink(missing_ok=True)

    def _take(
        self, row: ListingRow, post: Post, received: Received, journal: Sequence[Attempt]
    ) -> Settled:
        """Store the file if it is what it should be, and write that ahead."""
        attempts = self._attempt_rows(row, journal)
        facts: dict[str, Any] = {"http_status": received.status, "num_bytes": received.num_bytes}
        problem = problem_of(received, post)
        if problem is None and not self._site.IS_LOCAL and damage_of(received):
            problem = "decode_error"
        if problem is not None:
            outcome = "skipped" if problem in _RULES else "failed"
            heals = problem in _MAY_HEAL and self._attempt(row) < _TRIES
            failed = self._row(row, outcome=outcome, reason=problem, transient=heals, **facts)
            return Settled(failed, attempts)
        if received.file is not None:
            facts["image_id"] = self._originals.put_file(received.file)
        else:
            facts["image_id"] = self._originals.put(received.content)
        fetched = self._row(row, outcome="fetched", fetched_at=datetime.now(UTC), **facts)
        settled = Settled(fetched, attempts)
        content = partial(to_json, settled, self._listed[row.post_id])
        self._coordinator.note(self._terms.crawl_id, self.note_key(row), content)
        return settled

    def _failed(self, row: ListingRow, error: SourceError) -> PostRow:
        """The row of a post that got no answer.

        Raises:
            SourceError: this one, if it is not about the post but about the whole site.
        """
        if isinstance(error, AddressRefused):
            return self._row(row, outcome="failed", reason="address_refused")
        if isinstance(error, TurnedAway) or not isinstance(error, SourceUnavailable):
            raise error
        self._turned_away += 1
        if self._turned_away >= _OUTAGE:
            raise error
        if isinstance(error, CannotConnect) and not self._any_answer and self._is_at_root(row):
            raise error
        logger.warning("post %s: %s", row.post_id, error)
        status = error.status if isinstance(error, HostBusy) else None
        # After some runs it is taken as settled, or a dead file would be asked for for ever.
        transient = self._attempt(row) < _TRIES
        return self._row(
            row, outcome="failed", reason="unavailable", transient=transient, http_status=status
        )

    def _is_at_root(self, row: ListingRow) -> bool:
        # Of a name that one post alone has made up, nothing follows for the site.
        return host_of(row.file_url or "") == host_of(self._site.root)

    def _note(self, received: Received) -> None:
        self._any_answer = True
        self._turned_away = self._turned_away + 1 if received.status == 403 else 0
        if self._turned_away >= _OUTAGE:
            raise TurnedAway(
                f"{self._site.root} answers {received.status} to {_OUTAGE} files in a row: "
                "it turns this client away; wait, set the crawl's user, or ask the site"
            )

    def _attempt(self, row: ListingRow) -> int:
        before = self._before.get(row.post_id)
        return before.attempt + 1 if before else 1

    def _row(self, row: ListingRow, *, outcome: str, **facts: Any) -> PostRow:
        asked_for_nothing = {"reason": None, "http_status": None, "num_bytes": None}
        nothing_came = {"image_id": None, "fetched_at": None, "transient": False}
        return PostRow(
            **SEEN.of(row),
            **asked_for_nothing | nothing_came | facts,
            crawl_id=self._terms.crawl_id,
            outcome=outcome,
            attempt=self._attempt(row),
            run_id=self._terms.run_id,
        )

    def _attempt_rows(self, row: ListingRow, journal: Sequence[Attempt]) -> list[AttemptRow]:
        return [
            AttemptRow(
                crawl_id=self._terms.crawl_id,
                source=row.source,
                post_id=row.post_id,
                attempt=self._attempt(row),
                request=place,
                **_MADE.of(made),
            )
            for place, made in enumerate(journal)
        ]


def _extension(url: str) -> str:
    """Of the path, in lower case: `.jpg`. `urlsplit` and `Path` take ten times as long."""
    _, _, after_scheme = url.partition("://")
    path = (after_scheme or url).partition("?")[0].partition("#")[0]
    _, is_below_host, name = path.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f".{extension.lower()}" if is_below_host and stem and dot else ""
