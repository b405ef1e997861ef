"""Open connections, and how ganime introduces itself over them."""

import logging
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

import ganime
from ganime.sources.addresses import Guard, PublicResolver, is_loopback
from ganime.sources.retries import CONNECT_S

logger = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=CONNECT_S, sock_read=30)


def user_agent(user: str) -> str:
    """How ganime introduces itself; sites want to know the project and whom to write to."""
    return f"ganime/{ganime.__version__} (dataset crawler; {user or 'no user named'})"


class Sessions:
    """Connections of one client, kept open.

    The environment's `http_proxy`, `https_proxy` and `no_proxy` count, and are looked up once for
    each host: aiohttp's own look costs two threads and 0.2 ms of every request.

    Args:
        guard: Knows the site's places.
        user: Named in the User-Agent.
    """

    def __init__(self, guard: Guard, user: str) -> None:
        self._guard = guard
        self._user = user
        self._opened: dict[URL | None, aiohttp.ClientSession] = {}  # by proxy
        self._known: dict[tuple[str, str], aiohttp.ClientSession] = {}  # by scheme and host

    def of(self, url: URL) -> aiohttp.ClientSession:
        """The session to ask this URL with."""
        place = (url.scheme, url.host or "")
        if place not in self._known:
            proxy = _proxy_of(*place)
            if proxy not in self._opened:
                self._opened[proxy] = self._open(proxy)
            self._known[place] = self._opened[proxy]
        return self._known[place]

    async def close(self) -> None:
        """Close them all."""
        for session in self._opened.values():
            await session.close()

    def _open(self, proxy: URL | None) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=PublicResolver(self._guard)),
            headers={"User-Agent": user_agent(self._user)},
            timeout=_TIMEOUT,
            proxy=proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
        )


def _proxy_of(scheme: str, host: str) -> URL | None:
    """What the environment says of a host; nothing but this machine reaches its own servers."""
    if is_loopback(host) or proxy_bypass(host):
        return None
    address = getproxies().get(scheme, "")
    proxy = URL(address if "://" in address or not address else f"http://{address}")
    if address and proxy.scheme != "http":
        logger.warning("%s_proxy is %s: only http:// proxies can be used", scheme, proxy.origin())
    return proxy if proxy.scheme == "http" else None
