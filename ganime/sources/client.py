"""The polite HTTP client that all sites share.

It names itself honestly, keeps to each host's budget, honours robots.txt and Retry-After, backs off
with full jitter (M. Brooker, "Exponential Backoff and Jitter", AWS 2015), resumes a body that broke
off (RFC 9110, 14), stops at once where it is turned away, reads no body beyond its limit and goes
nowhere but to the site's own hosts. Servers on this machine are asked without a budget, and only
those, unless a rehearsal is wanted.
"""

import asyncio
import copy
import logging
import math
import random
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import aiohttp
from yarl import URL

import ganime
from ganime.config import digest_of
from ganime.errors import SourceRefused, SourceUnavailable
from ganime.sources import Attempt, Budget, Received, SiteFacts
from ganime.sources.addresses import AddressRefused, Guard, PublicResolver, host_of, is_loopback
from ganime.sources.bodies import Body
from ganime.sources.budgets import HostBudget
from ganime.sources.coordinator import Coordinator
from ganime.sources.robots import MAX_AGE_S, MAX_BYTES, Robots, forbids_training

logger = logging.getLogger(__name__)

ResourceT = TypeVar("ResourceT", bound=AbstractContextManager[Any])
ThingT = TypeVar("ThingT")
Purpose = Literal["list", "file"]
_ATTEMPTS = 5
_REDIRECTS = 5
_BACKOFF_S, _BACKOFF_CAP_S = 1.0, 60.0
_BACKOFF_LOOPBACK_S, _BACKOFF_LOOPBACK_CAP_S = 0.02, 0.2  # nobody else is waiting there
_MAX_RETRY_AFTER_S = 120.0  # rather than sleep longer, the run ends and is started again
_COOL_OFF_S, _COOL_OFF_LOOPBACK_S = 900.0, 0.5  # after a host turned this client away
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
_CHUNK = 1 << 16
_REFUSALS_EVERY_S = 0.5  # what another process was told is heeded so soon
_PERSONAL = ("authorization", "cookie")
_CHALLENGES = (
    b"just a moment",
    b"challenge-platform",
    b"cf-chl",
    b"attention required! | cloudflare",
)
_PEEK_BYTES = 16 << 10  # of a refusal, to see whether it is a challenge


class CannotConnect(SourceUnavailable):
    """The host itself cannot be reached, whatever is asked of it."""


class HostBusy(SourceUnavailable):
    """The host answers, but only that it cannot now.

    Attributes:
        status: The HTTP status, 429 or 5xx.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class TurnedAway(SourceRefused):
    """The host refuses this client: wrong or no credentials, or a challenge for browsers."""


class _TryAgain(Exception):  # noqa: N818 - it is a signal inside this file
    def __init__(
        self,
        error: SourceUnavailable,
        *,
        outcome: str,
        after_s: float = 0.0,
        give_up_with: Received | None = None,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.outcome = outcome
        self.after_s = after_s
        self.give_up_with = give_up_with


def user_agent(user: str) -> str:
    """How ganime introduces itself; sites want to know the project and whom to write to."""
    return f"ganime/{ganime.__version__} (dataset crawler; {user or 'no user named'})"


class _Request:
    """One thing asked for, over all its tries and redirects."""

    def __init__(
        self,
        url: URL,
        purpose: Purpose,
        body: Body,
        *,
        headers: Mapping[str, str],
        secrets: Mapping[str, str],
        answers: Collection[int],
    ) -> None:
        self.url = url
        self.purpose = purpose
        self.body = body
        self.headers = headers
        self.secrets = secrets
        self.answers = answers
        self.asked = url  # after redirects
        self.validator = ""  # of the body so far, for If-Range
        self.status: int | None = None
        self.content_type = ""

    @property
    def _is_at_home(self) -> bool:
        """Whether no redirect has led to another host, which secrets are not meant for."""
        return self.asked.origin() == self.url.origin()

    def wire_url(self) -> URL:
        """With the secrets."""
        secrets = self.secrets if self._is_at_home else {}
        return self.asked.update_query(secrets) if secrets else self.asked

    def wire_headers(self) -> dict[str, str]:
        """With what the purpose wants, and the rest of a body that broke off."""
        dropped = () if self._is_at_home else _PERSONAL
        sent = {key: value for key, value in self.headers.items() if key.lower() not in dropped}
        if self.purpose == "file":
            # Lengths and digests are those of the bytes on the wire, so files come uncompressed.
            sent["Accept-Encoding"] = "identity"
        if self.body.size:
            sent |= {"Range": f"bytes={self.body.size}-", "If-Range": self.validator}
        return sent

    def received(self, problem: str | None = None) -> Received:
        if problem:
            self.body.discard()
        return Received(
            content=self.body.content,
            file=self.body.file,
            status=self.status,
            problem=problem,
            content_type=self.content_type,
            url=str(self.asked),
        )


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
        self._facts = facts
        self._root = root
        self._rehearse = rehearse
        self._obey_robots = obey_robots
        self._guard = Guard(root, facts.hosts)
        self._shared = coordinator or Coordinator.at(
            Path(tempfile.gettempdir()) / f"ganime-crawls-{Path.home().name}"
        )
        self._identity = digest_of(user, *sorted(f"{k}={v}" for k, v in self.credentials.items()))
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._robots: dict[str, asyncio.Task[Robots]] = {}
        self._refusals_read: dict[str, float] = {}  # when, by host
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
        for task in self._robots.values():
            task.cancel()
        self._resources.close()
        for session in self._sessions.values():
            await session.close()

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
        twin = copy.copy(self)
        twin._journal = journal
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
        spool = self._shared.spool() if purpose == "file" else None
        request = _Request(
            _parsed(url, params),
            purpose,
            Body(max_bytes, spool, self._resources),
            headers=headers or {},
            secrets=secrets or {},
            answers=answers,
        )
        for attempt in range(_ATTEMPTS):
            try:
                return await self._follow(request)
            except _TryAgain as problem:
                logger.debug("try %d of %d: %s", attempt + 1, _ATTEMPTS, problem)
                last = problem
            if last.after_s > _MAX_RETRY_AFTER_S:
                break
            if attempt + 1 < _ATTEMPTS:
                await self.back_off(attempt, last.after_s)
        request.body.discard()
        if last.give_up_with is not None:
            return last.give_up_with
        raise last.error

    async def back_off(self, attempt: int, at_least_s: float = 0.0) -> None:
        """Sleep before trying again: full jitter below a doubling ceiling, capped.

        Args:
            attempt: How many tries have failed, less one.
            at_least_s: What the host asked for.
        """
        loopback = is_loopback(host_of(self._root))
        base = _BACKOFF_LOOPBACK_S if loopback else _BACKOFF_S
        cap = _BACKOFF_LOOPBACK_CAP_S if loopback else _BACKOFF_CAP_S
        jitter = random.uniform(0, min(cap, base * 2**attempt))
        await asyncio.sleep(at_least_s + jitter)

    async def _follow(self, request: _Request) -> Received:
        came_from: str | None = None
        request.asked = request.url
        for _ in range(_REDIRECTS + 1):
            self._guard.check(str(request.asked), came_from)
            if not await self._may_ask(request.asked):
                return self._refused_by_robots(request)
            target = await self._once(request)
            if target is None:
                return request.received()
            if isinstance(target, str):
                return request.received(target)
            came_from, request.asked = str(request.asked), target
        raise AddressRefused(f"{came_from!r:.200} redirects more than {_REDIRECTS} times")

    async def _once(self, request: _Request) -> URL | str | None:
        """One request: None if its body is whole, a code why it cannot be used, or a redirect."""
        url = request.asked
        started, clock = datetime.now(UTC), time.monotonic()
        had = request.body.size
        request.status = None
        outcome, error_text = "ok", None
        try:
            self._check_refusal(url)
            target = await self._exchange(request)
            outcome = target if isinstance(target, str) else "redirected" if target else outcome
            if target is None and (request.status or 0) >= 400:
                outcome = f"http_{request.status}"
        except _TryAgain as problem:
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

    async def _exchange(self, request: _Request) -> URL | str | None:
        url = request.asked
        origin = str(url.origin())
        budget = await self._budget(url, request.purpose)
        try:
            async with (
                budget.request() if budget else nullcontext(),
                self._session(url).get(
                    request.wire_url(), headers=request.wire_headers(), allow_redirects=False
                ) as response,
            ):
                _note_answer(response, request)
                await self._check_answer(response, request)
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    return _redirect(url, response.headers["Location"])
                if self._obey_robots and forbids_training(
                    response.headers.getall("X-Robots-Tag", [])
                ):
                    response.close()
                    return "noai"
                return await _read(response, request, origin)
        except aiohttp.InvalidURL as error:
            raise AddressRefused(f"{str(url)!r:.200} is not an address") from error
        except aiohttp.ClientConnectorError as error:
            raise _TryAgain(_unreachable(origin, error.os_error), outcome="unreachable") from error
        except TimeoutError as error:
            raise _TryAgain(
                SourceUnavailable(f"{origin} did not answer in time; run the same command later"),
                outcome="timeout",
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _TryAgain(
                SourceUnavailable(
                    f"{origin} broke the connection ({error}); run the same command again"
                ),
                outcome="broken",
            ) from error

    async def _check_answer(self, response: aiohttp.ClientResponse, request: _Request) -> None:
        """Stop where we are turned away, come back later where the host is busy."""
        status, url = response.status, request.asked
        if status == 401:
            self._turn_away(
                url, "answers 401: it wants valid credentials; check the user and credentials"
            )
        if status in (403, 503) and await _is_challenge(response, request.body):
            self._turn_away(
                url, f"answers {status} with a challenge for browsers; it does not want this client"
            )
        if status in _RETRIED and status not in request.answers:
            raise self._busy(response, url)
        if status == 416:  # what came before was not what the server has now
            request.validator = ""
            request.body.discard()
            raise _TryAgain(
                SourceUnavailable(f"{url.origin()} cannot resume {url.path}"), outcome="http_416"
            )

    def _turn_away(self, url: URL, why: str) -> None:
        cool_off = _COOL_OFF_S if self._is_public(url) else _COOL_OFF_LOOPBACK_S
        self._shared.refuse(_host(url), self._identity, why, cool_off)
        self._refusals_read.clear()
        raise TurnedAway(f"{url.origin()} {why}; nothing more is asked of it for {cool_off:.0f} s")

    def _check_refusal(self, url: URL) -> None:
        now = time.monotonic()
        if now - self._refusals_read.get(_host(url), -math.inf) < _REFUSALS_EVERY_S:
            return
        self._refusals_read[_host(url)] = now
        refusal = self._shared.refusal(_host(url), self._identity)
        if refusal:
            self._refusals_read.clear()
            why, left = refusal
            raise TurnedAway(
                f"{url.origin()} {why}; that was a short while ago, so it is not asked again for "
                f"{left:.0f} s"
            )

    def _busy(self, response: aiohttp.ClientResponse, url: URL) -> _TryAgain:
        after_s = _retry_after(response.headers.get("Retry-After", ""))
        if after_s and self._is_public(url):
            self._shared.pause(_host(url), min(after_s, _MAX_RETRY_AFTER_S))
        asks = f" and asks to wait {after_s:.0f} s" if after_s else ""
        return _TryAgain(
            HostBusy(
                response.status,
                f"{url.origin()} answers {response.status}{asks}; it may be overloaded: "
                "run the same command again later",
            ),
            outcome=f"http_{response.status}",
            after_s=after_s,
        )

    def _is_public(self, url: URL) -> bool:
        return self._rehearse or not is_loopback(url.host or "")

    async def _budget(self, url: URL, purpose: Purpose) -> HostBudget | None:
        if not self._is_public(url):
            return None
        budget = self._facts.list_budget if purpose == "list" else self._facts.file_budget
        delay_s = (await self._rules(url)).crawl_delay_s if self._asks_robots(url) else 0.0
        if delay_s * budget.rate_per_s > 1:
            budget = Budget(rate_per_s=1 / delay_s, in_flight=budget.in_flight)
        return HostBudget(self._shared, _host(url), purpose, budget)

    async def _may_ask(self, url: URL) -> bool:
        return not self._asks_robots(url) or (await self._rules(url)).allows(str(url))

    def _asks_robots(self, url: URL) -> bool:
        is_documented = str(url.origin()) == str(URL(self._root).origin()) and any(
            url.path.startswith(URL(self._root).path.rstrip("/") + start)
            for start in self._facts.documented
        )
        return self._obey_robots and self._is_public(url) and not is_documented

    def _refused_by_robots(self, request: _Request) -> Received:
        if request.purpose == "list":
            raise SourceRefused(
                f"{request.asked.origin()} asks crawlers to stay away from {request.asked.path} "
                "(robots.txt); ask the site, or set crawl.obey_robots=false if you have its leave"
            )
        return request.received("robots")

    async def _rules(self, url: URL) -> Robots:
        host = _host(url)
        if host not in self._robots:
            self._robots[host] = asyncio.create_task(self._read_robots(url.origin()))
        try:
            return await asyncio.shield(self._robots[host])
        except _TryAgain:
            self._robots.pop(host, None)
            raise

    async def _read_robots(self, origin: URL) -> Robots:
        host = _host(origin)
        text = self._shared.robots(host, MAX_AGE_S)
        if text is None:
            budget = HostBudget(self._shared, host, "list", self._facts.list_budget)
            url = origin / "robots.txt"
            try:
                async with budget.request(), self._session(origin).get(url) as response:
                    if response.status >= 500:  # RFC 9309, 2.3.1.4: everything is disallowed
                        raise self._busy(response, origin)
                    content = await response.content.read(MAX_BYTES)
                    text = content.decode("utf-8", "replace") if response.status == 200 else ""
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise SourceUnavailable(
                    f"{url} cannot be read ({error}); try again later"
                ) from error
            self._shared.keep_robots(host, text)
        return Robots(text)

    def _session(self, url: URL) -> aiohttp.ClientSession:
        loopback = is_loopback(url.host or "")
        if loopback not in self._sessions:
            self._sessions[loopback] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=PublicResolver(self._guard)),
                headers={"User-Agent": user_agent(self.user)},
                timeout=_TIMEOUT,
                trust_env=not loopback,  # a proxy cannot reach this machine's own servers
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._sessions[loopback]


def _host(url: URL) -> str:
    return f"{url.host}:{url.port}"


def _parsed(url: str, params: Mapping[str, str] | None) -> URL:
    try:
        parsed = URL(url)
        return parsed.update_query(params) if params else parsed
    except ValueError as error:
        raise AddressRefused(f"{url!r:.200} is not an address: {error}") from error


def _redirect(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location))
    except ValueError as error:
        raise AddressRefused(f"{str(url)!r:.200} redirects to {location!r:.200}") from error


def _note_answer(response: aiohttp.ClientResponse, request: _Request) -> None:
    if request.body.size and response.status != 206:
        request.body.discard()  # it has changed in between, or the server knows no ranges
    request.status = response.status
    request.content_type = response.content_type.lower()
    request.validator = response.headers.get("ETag", "")


async def _read(response: aiohttp.ClientResponse, request: _Request, origin: str) -> str | None:
    """Bring the body home: None if it is whole, else a code."""
    body = request.body
    if (response.content_length or 0) + body.size > body.max_bytes:
        response.close()
        return "too_large"
    try:
        async for chunk in response.content.iter_chunked(_CHUNK):
            body.append(chunk)
            if body.size > body.max_bytes:
                response.close()
                return "too_large"
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
        if not _is_resumable(response, request.validator):
            body.discard()
        raise _TryAgain(
            SourceUnavailable(f"{origin} breaks off in the middle of a body"),
            outcome="truncated",
            give_up_with=Received(
                status=response.status, problem="truncated", url=str(request.asked)
            ),
        ) from error
    return None


def _is_resumable(response: aiohttp.ClientResponse, validator: str) -> bool:
    """Whether the rest may be asked for: only of a file that can be told from another version."""
    strong = validator.startswith('"')  # RFC 9110, 8.8.1: a weak one does not speak of bytes
    known = response.status in (200, 206) and "Content-Encoding" not in response.headers
    return strong and known and response.headers.get("Accept-Ranges", "bytes") == "bytes"


async def _is_challenge(response: aiohttp.ClientResponse, body: Body) -> bool:
    if "cf-mitigated" in response.headers:
        return True
    if response.content_type != "text/html":
        return False
    start = await response.content.read(_PEEK_BYTES)
    body.append(start)  # `_read` goes on behind it
    return any(sign in start.lower() for sign in _CHALLENGES)


def _retry_after(value: str) -> float:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3): a number or a date."""
    try:
        if value.strip().isdigit():
            return float(value)
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except ValueError:
        return 0.0


def _unreachable(origin: str, error: OSError) -> CannotConnect:
    why = "connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
    return CannotConnect(
        f"cannot reach {origin}: {why}; is it up? Check the address and the network, "
        "then run the same command again"
    )
