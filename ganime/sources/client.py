"""The polite HTTP client that all sites share.

It names itself honestly, keeps to each host's budget, honours Retry-After, backs off with full
jitter (M. Brooker, "Exponential Backoff and Jitter", AWS 2015), reads no body beyond its limit and
goes nowhere but to the site's own hosts. Hosts on this machine have no budget, and only those.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import aiohttp
from yarl import URL

import ganime
from ganime.errors import SourceUnavailable
from ganime.sources import Received, SiteFacts
from ganime.sources.addresses import AddressRefused, Guard, PublicResolver, host_of, is_loopback
from ganime.sources.budgets import HostBudget, budget_of

logger = logging.getLogger(__name__)

ResourceT = TypeVar("ResourceT", bound=AbstractContextManager[Any])
Purpose = Literal["list", "file"]
_ATTEMPTS = 5
_REDIRECTS = 5
_BACKOFF_S, _BACKOFF_CAP_S = 1.0, 60.0
_BACKOFF_LOOPBACK_S, _BACKOFF_LOOPBACK_CAP_S = 0.02, 0.2  # nobody else is waiting there
_MAX_RETRY_AFTER_S = 120.0  # rather than sleep longer, the run ends and is started again
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)
_CHUNK = 1 << 16


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


class _TryAgain(Exception):  # noqa: N818 - it is a signal inside this file
    def __init__(
        self,
        error: SourceUnavailable,
        *,
        after_s: float = 0.0,
        give_up_with: Received | None = None,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_s = after_s
        self.give_up_with = give_up_with


def user_agent(user: str) -> str:
    """How ganime introduces itself; sites want to know the project and whom to write to."""
    return f"ganime/{ganime.__version__} (dataset crawler; {user or 'no user named'})"


class Client:
    """Asks one site. Use it as an async context manager; it belongs to one event loop.

    Args:
        facts: The site's.
        root: The site's address, as the user gave it.
        user: Named in the User-Agent: a site's account or a way to reach a person.
    """

    def __init__(self, facts: SiteFacts, root: str, user: str = "") -> None:
        self._facts = facts
        self._root = root
        self._user = user
        self._guard = Guard(root, facts.hosts)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._kept: dict[str, Any] = {}
        self._resources = ExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()
        for session in self._sessions.values():
            await session.close()

    def keep(self, name: str, opener: Callable[[], ResourceT]) -> ResourceT:
        """Something a source opens once and uses until the client is closed, an archive say."""
        if name not in self._kept:
            self._kept[name] = self._resources.enter_context(opener())
        kept: ResourceT = self._kept[name]
        return kept

    async def get(
        self,
        url: str,
        *,
        purpose: Purpose,
        max_bytes: int,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Received:
        """Ask until there is an answer.

        Returns:
            The answer: a whole body, or a status of 400 and more that will not heal, or a body
            that cannot be used (problem `too_large`, `truncated`).

        Raises:
            CannotConnect: the host is not there.
            SourceUnavailable: 429, 5xx or a broken connection every time, or a long Retry-After.
            AddressRefused: the URL, or where it redirects, is not the site's.
        """
        target = _parsed(url, params)
        for attempt in range(_ATTEMPTS):
            try:
                return await self._follow(target, purpose, max_bytes, headers or {})
            except _TryAgain as problem:
                logger.debug("try %d of %d: %s", attempt + 1, _ATTEMPTS, problem)
                last = problem
            if last.after_s > _MAX_RETRY_AFTER_S:
                break
            if attempt + 1 < _ATTEMPTS:
                await self.back_off(attempt, last.after_s)
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

    async def _follow(
        self, url: URL, purpose: Purpose, max_bytes: int, headers: Mapping[str, str]
    ) -> Received:
        came_from: str | None = None
        for _ in range(_REDIRECTS + 1):
            self._guard.check(str(url), came_from)
            answer = await self._once(url, purpose, max_bytes, headers)
            if isinstance(answer, Received):
                return answer
            came_from, url = str(url), answer
        raise AddressRefused(f"{came_from!r:.200} redirects more than {_REDIRECTS} times")

    async def _once(
        self, url: URL, purpose: Purpose, max_bytes: int, headers: Mapping[str, str]
    ) -> Received | URL:
        """One request; a URL is a redirect."""
        origin = str(url.origin())
        budget = self._budget(url.host or "", purpose)
        # Lengths and digests are those of the bytes on the wire, so files come uncompressed.
        sent = {**headers, **({"Accept-Encoding": "identity"} if purpose == "file" else {})}
        try:
            async with (
                budget.request() if budget else nullcontext(),
                self._session(url).get(url, headers=sent, allow_redirects=False) as response,
            ):
                if response.status in _RETRIED:
                    raise _busy(response, origin, budget)
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    return _redirect(url, response.headers["Location"])
                return await _read(response, max_bytes, origin)
        except aiohttp.InvalidURL as error:
            raise AddressRefused(f"{str(url)!r:.200} is not an address") from error
        except aiohttp.ClientConnectorError as error:
            raise _TryAgain(_unreachable(origin, error.os_error)) from error
        except TimeoutError as error:
            raise _TryAgain(
                SourceUnavailable(f"{origin} did not answer in time; run the same command later")
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _TryAgain(
                SourceUnavailable(
                    f"{origin} broke the connection ({error}); run the same command again"
                )
            ) from error

    def _budget(self, host: str, purpose: Purpose) -> HostBudget | None:
        if is_loopback(host):
            return None
        facts = self._facts
        return budget_of(
            host, purpose, facts.list_budget if purpose == "list" else facts.file_budget
        )

    def _session(self, url: URL) -> aiohttp.ClientSession:
        loopback = is_loopback(url.host or "")
        if loopback not in self._sessions:
            self._sessions[loopback] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=PublicResolver(self._guard)),
                headers={"User-Agent": user_agent(self._user)},
                timeout=_TIMEOUT,
                trust_env=not loopback,  # a proxy cannot reach this machine's own servers
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._sessions[loopback]


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


async def _read(response: aiohttp.ClientResponse, max_bytes: int, origin: str) -> Received:
    status = response.status
    too_large = Received(content=b"", status=status, problem="too_large")
    if (response.content_length or 0) > max_bytes:
        response.close()
        return too_large
    chunks, size = [], 0
    try:
        async for chunk in response.content.iter_chunked(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                response.close()
                return too_large
    except aiohttp.ClientPayloadError as error:
        raise _TryAgain(
            SourceUnavailable(f"{origin} breaks off in the middle of a body"),
            give_up_with=Received(content=b"", status=status, problem="truncated"),
        ) from error
    return Received(content=b"".join(chunks), status=status)


def _busy(response: aiohttp.ClientResponse, origin: str, budget: HostBudget | None) -> _TryAgain:
    after_s = _retry_after(response.headers.get("Retry-After", ""))
    if budget and after_s:
        budget.pause(min(after_s, _MAX_RETRY_AFTER_S))
    asks = f" and asks to wait {after_s:.0f} s" if after_s else ""
    return _TryAgain(
        HostBusy(
            response.status,
            f"{origin} answers {response.status}{asks}; it may be overloaded: "
            "run the same command again later",
        ),
        after_s=after_s,
    )


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
