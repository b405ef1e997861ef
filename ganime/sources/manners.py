"""How a site is asked: within budgets, by its robots.txt, and not at all where it said no.

Servers on this machine are asked without a budget, and only those, unless a rehearsal is wanted.
"""

import asyncio
import math
import time
from collections.abc import Callable

import aiohttp
from yarl import URL

from ganime.errors import SourceRefused, SourceUnavailable
from ganime.sources import Budget, SiteFacts
from ganime.sources.addresses import is_loopback
from ganime.sources.budgets import HostBudget
from ganime.sources.coordinator import Coordinator
from ganime.sources.request import Purpose, host_and_port
from ganime.sources.retries import (
    MAX_RETRY_AFTER_S,
    HostBusy,
    TryAgain,
    TurnedAway,
    no_connection,
    retry_after,
)
from ganime.sources.robots import MAX_AGE_S, MAX_BYTES, Robots

_COOL_OFF_S, _COOL_OFF_LOOPBACK_S = 900.0, 0.5  # after a host turned this client away
_REFUSALS_EVERY_S = 0.5  # what another process was told is heeded so soon


class Manners:
    """What one client owes the hosts of its site.

    Args:
        facts: The site's.
        root: The site's address, as the user gave it.
        identity: Digest of who asks: refusals are told to a user, not to a machine.
        shared: Of all who crawl into the same workspace.
        session: The open session for a URL.
        rehearse: Treat servers on this machine like public ones.
        obey_robots: Whether robots.txt counts.
    """

    def __init__(
        self,
        facts: SiteFacts,
        root: str,
        identity: str,
        shared: Coordinator,
        session: Callable[[URL], aiohttp.ClientSession],
        *,
        rehearse: bool,
        obey_robots: bool,
    ) -> None:
        self._facts = facts
        self._root = URL(root)
        self._identity = identity
        self._shared = shared
        self._session = session
        self._rehearse = rehearse
        self._obey_robots = obey_robots
        self._robots: dict[str, asyncio.Task[Robots]] = {}
        self._refusals_read: dict[str, float] = {}  # when, by host

    def close(self) -> None:
        """Ask for no robots.txt any more."""
        for task in self._robots.values():
            task.cancel()

    async def budget(self, url: URL, purpose: Purpose) -> HostBudget | None:
        """By which requests are spaced; None where nobody is bothered."""
        if not self._is_public(url):
            return None
        budget = self._facts.list_budget if purpose == "list" else self._facts.file_budget
        delay_s = (await self._rules(url)).crawl_delay_s if self._asks_robots(url) else 0.0
        if delay_s * budget.rate_per_s > 1:
            budget = Budget(rate_per_s=1 / delay_s, in_flight=budget.in_flight)
        return HostBudget(self._shared, host_and_port(url), purpose, budget)

    async def may_ask(self, url: URL) -> bool:
        """Whether the host's robots.txt allows it.

        Raises:
            SourceUnavailable: it cannot be read.
        """
        return not self._asks_robots(url) or (await self._rules(url)).allows(str(url))

    def check_refusal(self, url: URL) -> None:
        """Stop where this client, or another by the same name, was turned away.

        Raises:
            TurnedAway: a short while ago.
        """
        now, host = time.monotonic(), host_and_port(url)
        if now - self._refusals_read.get(host, -math.inf) < _REFUSALS_EVERY_S:
            return
        self._refusals_read[host] = now
        refusal = self._shared.refusal(host, self._identity)
        if refusal:
            self._refusals_read.clear()
            why, left = refusal
            raise TurnedAway(
                f"{url.origin()} {why}; that was a short while ago, so it is not asked again for "
                f"{left:.0f} s"
            )

    def turned_away(self, url: URL, why: str) -> TurnedAway:
        """The host said no: the error to raise; all others who ask in this name are told."""
        cool_off = _COOL_OFF_S if self._is_public(url) else _COOL_OFF_LOOPBACK_S
        self._shared.refuse(host_and_port(url), self._identity, why, cool_off)
        self._refusals_read.clear()
        return TurnedAway(f"{url.origin()} {why}; nothing more is asked of it for {cool_off:.0f} s")

    def busy(self, response: aiohttp.ClientResponse, url: URL) -> TryAgain:
        """The host cannot now: the signal to raise; if it names a time, all others wait as well."""
        after_s = retry_after(response.headers.get("Retry-After", ""))
        if after_s and self._is_public(url):
            self._shared.pause(host_and_port(url), min(after_s, MAX_RETRY_AFTER_S))
        asks = f" and asks to wait {after_s:.0f} s" if after_s else ""
        return TryAgain(
            HostBusy(
                response.status,
                f"{url.origin()} answers {response.status}{asks}; it may be overloaded: "
                "run the same command again later",
            ),
            outcome=f"http_{response.status}",
            after_s=after_s,
        )

    def refused_by_robots(self, url: URL) -> SourceRefused:
        """The error to raise where a list, without which there is nothing, is off limits."""
        return SourceRefused(
            f"{url.origin()} asks crawlers to stay away from {url.path} "
            "(robots.txt); ask the site, or set crawl.obey_robots=false if you have its leave"
        )

    def _is_public(self, url: URL) -> bool:
        return self._rehearse or not is_loopback(url.host or "")

    def _asks_robots(self, url: URL) -> bool:
        return self._obey_robots and self._is_public(url) and not self._is_documented(url)

    def _is_documented(self, url: URL) -> bool:
        root = self._root.path.rstrip("/")
        return url.origin() == self._root.origin() and any(
            url.path.startswith(root + start) for start in self._facts.documented
        )

    async def _rules(self, url: URL) -> Robots:
        host = host_and_port(url)
        if host not in self._robots:
            self._robots[host] = asyncio.create_task(self._read_robots(url.origin()))
        try:
            return await asyncio.shield(self._robots[host])
        except TryAgain:
            self._robots.pop(host, None)
            raise

    async def _read_robots(self, origin: URL) -> Robots:
        host = host_and_port(origin)
        text = self._shared.robots(host, MAX_AGE_S)
        if text is None:
            budget = HostBudget(self._shared, host, "list", self._facts.list_budget)
            url = origin / "robots.txt"
            try:
                async with budget.request(), self._session(origin).get(url) as response:
                    if response.status >= 500:  # RFC 9309, 2.3.1.4: everything is disallowed
                        raise self.busy(response, origin)
                    content = await response.content.read(MAX_BYTES)
                    text = content.decode("utf-8", "replace") if response.status == 200 else ""
            except (aiohttp.ClientError, OSError) as error:
                if problem := no_connection(str(origin), error):
                    raise problem from error
                raise SourceUnavailable(
                    f"{url} cannot be read ({error}); try again later"
                ) from error
            self._shared.keep_robots(host, text)
        return Robots(text)
