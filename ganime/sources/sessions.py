"""Open connections, and how ganime introduces itself over them."""

import aiohttp
from yarl import URL

import ganime
from ganime.sources.addresses import Guard, PublicResolver, is_loopback
from ganime.sources.retries import CONNECT_S

_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=CONNECT_S, sock_read=30)


def user_agent(user: str) -> str:
    """How ganime introduces itself; sites want to know the project and whom to write to."""
    return f"ganime/{ganime.__version__} (dataset crawler; {user or 'no user named'})"


class Sessions:
    """Connections of one client, kept open: to this machine's own servers, and to all others.

    Args:
        guard: Knows the site's places.
        user: Named in the User-Agent.
    """

    def __init__(self, guard: Guard, user: str) -> None:
        self._guard = guard
        self._user = user
        self._opened: dict[bool, aiohttp.ClientSession] = {}

    def of(self, url: URL) -> aiohttp.ClientSession:
        """The session to ask this URL with."""
        loopback = is_loopback(url.host or "")
        if loopback not in self._opened:
            self._opened[loopback] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=PublicResolver(self._guard)),
                headers={"User-Agent": user_agent(self._user)},
                timeout=_TIMEOUT,
                trust_env=not loopback,  # a proxy cannot reach this machine's own servers
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._opened[loopback]

    async def close(self) -> None:
        """Close them all."""
        for session in self._opened.values():
            await session.close()
