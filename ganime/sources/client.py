"""The polite HTTP client that all sites share.

It names itself honestly, keeps to each host's budget, honours robots.txt and Retry-After, backs off
(`retries`, `manners`), resumes a body that broke off (RFC 9110, 14), stops at once where it is
turned away, reads no body beyond its limit and goes nowhere but to the site's own hosts.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

import aiohttp
from yarl import URL

from ganime.config import digest_of
from ganime.errors import CannotConnect, SourceUnavailable
from ganime.sources import Attempt, Received, SiteFacts
from ganime.sources.addresses import AddressRefused, Guard, host_of, is_loopback
from ganime.sources.answers import check_answer, note_answer, read_body
from ganime.sources.batches import Batches
from ganime.sources.bodies import Body
from ganime.sources.coordinator import Coordinator
from ganime.sources.manners import Manners
from ganime.sources.request import Purpose, Request, parsed, redirect
from ganime.sources.retries import (
    ATTEMPTS,
    MAX_RETRY_AFTER_S,
    HostBusy,
    TryAgain,
    TurnedAway,
    back_off,
    no_connection,
)
from ganime.sources.robots import forbids_training
from ganime.sources.sessions import Sessions, user_agent

__all__ = ["CannotConnect", "Client", "HostBusy", "TurnedAway", "user_agent"]

logger = logging.getLogger(__name__)

ResourceT = TypeVar("ResourceT", bound=AbstractContextManager[Any])
ThingT = TypeVar("ThingT")
ArgumentsT = TypeVarTuple("ArgumentsT")
_REDIRECTS = 5
_SHORT_BYTES = 256 << 10  # digests and decoder are done with that in a millisecond or two


class Client:
    """Asks one site. Use it as an async context manager; it belongs to one event loop.

    Args:
        facts: The site's.
        root: The site's address, as the user gave it.
        user: Named in the User-Agent: a site's account or a way to reach a person.
        credentials: Secrets by name, see `SiteFacts.credentials`.
        coordinator: Shared by all who crawl into the same workspace; by all of this machine's
            crawls if not given.
        rehearse: Treat servers on this machine like public ones: budgets, robots.txt, long pauses.
        obey_robots: Whether robots.txt and `noai` count.
    """

    def __init__(
        self,
        facts: SiteFacts,
        root: str,
        user: str = "",
        *,
        credentials: Mapping[str, str] | None = None,
        coordinator: Coordinator | None = None,
        rehearse: bool = False,
        obey_robots: bool = True,
    ) -> None:
        self.user = user
        self.credentials: Mapping[str, str] = credentials or {}
        self._root = root
        self._obey_robots = obey_robots
        self._guard = Guard(root, facts.hosts)
        shared = coordinator or Coordinator.at(
            Path(tempfile.gettempdir()) / f"ganime-crawls-{Path.home().name}"
        )
        self._spool = shared.spool()
        self._sessions = Sessions(self._guard, user)
        secrets = sorted(f"{name}={secret}" for name, secret in self.credentials.items())
        self._manners = Manners(
            *(facts, root, digest_of(user, *secrets), shared, self._sessions.of),
            rehearse=rehearse,
            obey_robots=obey_robots,
        )
        self._batches = Batches()
        self._kept: dict[str, Any] = {}
        self._resources = ExitStack()
        self._journal: list[Attempt] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._manners.close()
        self._resources.close()
        await self._sessions.close()

    def keep(self, name: str, opener: Callable[[], ResourceT]) -> ResourceT:
        """Something a source opens once and uses until the client is closed, an archive say."""
        if name not in self._kept:
            self._kept[name] = self._resources.enter_context(opener())
        kept: ResourceT = self._kept[name]
        return kept

    def remember(self, name: str, factory: Callable[[], ThingT]) -> ThingT:
        """What a source learns once and uses until the client is closed."""
        if name not in self._kept:
            self._kept[name] = factory()
        kept: ThingT = self._kept[name]
        return kept

    def recording(self, journal: list[Attempt]) -> "Client":
        """This client, writing down each of its requests in `journal`."""
        twin = object.__new__(type(self))  # for every file: copy.copy takes five times as long
        vars(twin).update(vars(self), _journal=journal)
        return twin

    async def get(
        self,
        url: str,
        *,
        purpose: Purpose,
        max_bytes: int,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        answers: Collection[int] = (),
    ) -> Received:
        """Ask until there is an answer.

        Args:
            url: Of one of the site's hosts.
            purpose: Whose budget it takes; a long file lies on disk when it has come.
            max_bytes: A longer body is not read to its end: problem `too_large`.
            params: Added to the query.
            headers: Sent with it.
            secrets: Added to the query on the wire alone; no log or manifest shows them.
            answers: Statuses that are an answer here, though they usually are worth a retry.

        Returns:
            The answer: a whole body, or a status of 400 and more that will not heal, or a body
            that cannot be used (problem `too_large`, `truncated`, `robots`, `noai`).

        Raises:
            CannotConnect: the host is not there.
            SourceUnavailable: 429, 5xx or a broken connection every time, or a long Retry-After.
            TurnedAway: 401 or a challenge, now or a short while ago.
            AddressRefused: the URL, or where it redirects, is not the site's.
        """
        request = Request(
            parsed(url, params),
            purpose,
            Body(max_bytes, self._spool if purpose == "file" else None, self._resources),
            headers=headers or {},
            secrets=secrets or {},
            answers=answers,
        )
        for attempt in range(ATTEMPTS):
            try:
                return await self._follow(request)
            except TryAgain as problem:
                logger.debug("try %d of %d: %s", attempt + 1, ATTEMPTS, problem)
                last = problem
            if last.after_s > MAX_RETRY_AFTER_S or attempt + 1 >= last.attempts:
                break
            await self.back_off(attempt, last.after_s)
        request.body.discard()
        if last.give_up_with is not None:
            return last.give_up_with
        raise last.error

    async def work_on(
        self, received: Received, work: Callable[[*ArgumentsT], ThingT], *args: *ArgumentsT
    ) -> ThingT:
        """Call `work` on what came, without keeping the other downloads waiting.

        A long body is worked on in a thread; for a short one the thread would cost as much as the
        work, so those that come within a moment are worked on together (`ganime.sources.batches`).
        """
        if received.file is None and len(received.content) <= _SHORT_BYTES:
            return await self._batches.do(len(received.content), work, *args)
        return await asyncio.to_thread(work, *args)

    async def back_off(self, attempt: int, at_least_s: float = 0.0) -> None:
        """Sleep before trying again, see `ganime.sources.retries.back_off`.

        Args:
            attempt: How many tries have failed, less one.
            at_least_s: What the host asked for.
        """
        await back_off(attempt, at_least_s, loopback=is_loopback(host_of(self._root)))

    async def _follow(self, request: Request) -> Received:
        came_from: str | None = None
        request.asked = request.url
        for _ in range(_REDIRECTS + 1):
            self._guard.check(str(request.asked), came_from)
            if not await self._manners.may_ask(request.asked):
                return self._refused_by_robots(request)
            target = await self._once(request)
            if target is None:
                return request.received()
            if isinstance(target, str):
                return request.received(target)
            came_from, request.asked = str(request.asked), target
        raise AddressRefused(f"{came_from!r:.200} redirects more than {_REDIRECTS} times")

    async def _once(self, request: Request) -> URL | str | None:
        """One request: None if its body is whole, a code why it cannot be used, or a redirect."""
        url = request.asked
        started, clock = datetime.now(UTC), time.monotonic()
        had = request.body.size
        request.status = None
        outcome, error_text = "ok", None
        try:
            self._manners.check_refusal(url)
            target = await self._exchange(request)
            outcome = target if isinstance(target, str) else "redirected" if target else outcome
            if target is None and (request.status or 0) >= 400:
                outcome = f"http_{request.status}"
        except TryAgain as problem:
            outcome, error_text = problem.outcome, str(problem)
            raise
        except TurnedAway as error:
            outcome, error_text = "turned_away", str(error)
            raise
        else:
            return target
        finally:
            if self._journal is not None:
                self._journal.append(
                    Attempt(
                        url=str(url),
                        http_status=request.status,
                        content_type=request.content_type or None,
                        resumed_from=had if request.status == 206 else 0,
                        num_bytes=max(0, request.body.received - had),
                        outcome=outcome,
                        error=error_text,
                        started_at=started,
                        ms=round(1000 * (time.monotonic() - clock)),
                    )
                )

    async def _exchange(self, request: Request) -> URL | str | None:
        url = request.asked
        budget = await self._manners.budget(url, request.purpose)
        try:
            async with (
                budget.request() if budget else nullcontext(),
                self._sessions.of(url).get(
                    request.wire_url(), headers=request.wire_headers(), allow_redirects=False
                ) as response,
            ):
                note_answer(response, request)
                await check_answer(response, request, self._manners)
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    return redirect(url, response.headers["Location"])
                if self._obey_robots and forbids_training(
                    response.headers.getall("X-Robots-Tag", [])
                ):
                    response.close()
                    return "noai"
                return await read_body(response, request)
        except aiohttp.InvalidURL as error:
            raise AddressRefused(f"{str(url)!r:.200} is not an address") from error
        except (aiohttp.ClientError, OSError) as error:
            origin = str(url.origin())
            if problem := no_connection(origin, error):
                raise problem from error
            if isinstance(error, TimeoutError):
                raise TryAgain(
                    SourceUnavailable(
                        f"{origin} did not answer in time; run the same command later"
                    ),
                    outcome="timeout",
                ) from error
            raise TryAgain(
                SourceUnavailable(
                    f"{origin} broke the connection ({error}); run the same command again"
                ),
                outcome="broken",
            ) from error

    def _refused_by_robots(self, request: Request) -> Received:
        if request.purpose == "list":
            raise self._manners.refused_by_robots(request.asked)
        return request.received("robots")
