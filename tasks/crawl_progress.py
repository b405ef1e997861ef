"""Crawling as one watches it: a table in a terminal, lines in a log, a ring on the run's page."""

import logging
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ganime.sources.forecast import in_words
from ganime.stages.crawl import CrawlConfig, CrawlEvent, Shard
from tasks.progress import ARTIFACT_EVERY_S, LINE_EVERY_S

log = logging.getLogger("ganime.stages.crawl")
_RATE_OVER_S = 30.0  # the speed shown is that of so many last seconds
_HEADINGS = ("site", "listed", "due", "fetched", "known", "skipped", "failed", "MB")


@dataclass
class SiteProgress:
    """Counts of one site since the run began."""

    budget_per_s: float
    listed: int = 0
    due: int = 0
    num_bytes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    requests: deque[float] = field(default_factory=deque)  # when files came, lately

    @property
    def settled(self) -> int:
        """Posts with an outcome."""
        return sum(self.outcomes.values())

    def rate_per_s(self, now: float) -> float:
        """Files per second, lately."""
        while self.requests and now - self.requests[0] > _RATE_OVER_S:
            self.requests.popleft()
        if len(self.requests) < 2:
            return 0.0
        return len(self.requests) / max(now - self.requests[0], 1.0)

    def eta_s(self, now: float) -> float | None:
        """Seconds until all that is due is settled, at this speed; None if none can be told."""
        rate = self.rate_per_s(now)
        return max(0, self.due - self.settled) / rate if rate else None


class CrawlProgress:
    """Told of every event, by several threads; shows now and then what it was told.

    Args:
        config: The crawl.
        lines: Whether to log lines; not where a live table is shown.
        artifact: The progress artifact to keep up to date.
    """

    def __init__(
        self, config: CrawlConfig, *, lines: bool = True, artifact: UUID | None = None
    ) -> None:
        self.sites: dict[str, SiteProgress] = {
            name: SiteProgress(site.FACTS.file_budget.rate_per_s)
            for name, site in config.sites.items()
        }
        self._config = config
        self._lines = lines
        self._artifact = artifact
        self._lock = threading.Lock()
        self._line_at = self._artifact_at = time.monotonic()

    def __reduce__(self) -> tuple[Any, ...]:
        return CrawlProgress, (self._config,)  # on another machine it counts, and shows lines

    def expect(self, shards: list[Shard]) -> None:
        """Learn how much is due."""
        due: Counter[str] = Counter(row.source for shard in shards for row in shard.rows)
        with self._lock:
            for name, number in due.items():
                self.sites[name].due = number

    def __call__(self, event: CrawlEvent) -> None:
        """Count it."""
        now = time.monotonic()
        with self._lock:
            site = self.sites[event.source]
            site.listed += event.num_listed
            if event.post is not None:
                site.outcomes[event.post.outcome] += 1
                site.num_bytes += event.post.num_bytes or 0
                if event.post.outcome == "failed":
                    site.failures[event.post.reason or ""] += 1
                if event.post.http_status is not None:
                    site.requests.append(now)
            self._show(now)

    def table(self) -> Table:
        """Where each site stands."""
        now = time.monotonic()
        table = Table(title="crawl", title_justify="left")
        for heading in (*_HEADINGS, "per s", "of at most", "to go", "why failed"):
            table.add_column(
                heading, justify="left" if heading in ("site", "why failed") else "right"
            )
        for name, site in self.sites.items():
            eta_s = site.eta_s(now)
            why = ", ".join(f"{reason} {count}" for reason, count in site.failures.most_common(4))
            counts = [site.outcomes[key] for key in ("fetched", "known", "skipped", "failed")]
            table.add_row(
                name,
                *(f"{number:,}" for number in (site.listed, site.due - site.settled, *counts)),
                f"{site.num_bytes / 1e6:,.1f}",
                f"{site.rate_per_s(now):.1f}",
                f"{site.budget_per_s:g}",
                "" if eta_s is None else in_words(eta_s),
                why,
            )
        return table

    def _show(self, now: float) -> None:
        if self._lines and now - self._line_at >= LINE_EVERY_S:
            self._line_at = now
            for name, site in self.sites.items():
                log.info("crawl: %s %s", name, self._line(site, now))
        if self._artifact and now - self._artifact_at >= ARTIFACT_EVERY_S:
            self._artifact_at = now
            due = sum(site.due for site in self.sites.values())
            done = sum(site.settled for site in self.sites.values())
            update_progress_artifact(self._artifact, progress=min(100.0, 100 * done / max(due, 1)))

    def _line(self, site: SiteProgress, now: float) -> str:
        eta_s = site.eta_s(now)
        parts = [f"{site.listed} listed", f"{site.settled} of {site.due} settled"]
        parts += [f"{number} {outcome}" for outcome, number in sorted(site.outcomes.items())]
        parts.append(f"{site.num_bytes / 1e6:.1f} MB")
        parts.append(f"{site.rate_per_s(now):.1f} of at most {site.budget_per_s:g} files/s")
        if eta_s is not None:
            parts.append(f"{in_words(eta_s)} to go")
        parts += [f"{reason} {number}" for reason, number in site.failures.most_common(4)]
        return ", ".join(parts)


@contextmanager
def crawl_progress(config: CrawlConfig) -> Iterator[CrawlProgress]:
    """Progress for the length of one crawl."""
    artifact = cast(UUID, create_progress_artifact(0.0, key="crawl-progress"))
    is_terminal = sys.stderr.isatty()
    progress = CrawlProgress(config, lines=not is_terminal, artifact=artifact)
    if is_terminal:
        console = Console(stderr=True)
        with Live(console=console, refresh_per_second=4, get_renderable=progress.table):
            yield progress
    else:
        yield progress
    update_progress_artifact(artifact, progress=100.0)
