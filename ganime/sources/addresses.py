"""Which addresses may be asked: the site's own, never a private one that an answer points at."""

import ipaddress
import re
import socket
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from ganime.errors import SourceRefused

_UP_TO_PATH = re.compile(r"[^/?#]*//[^/?#]*")  # RFC 3986, 3.2: what ends the authority


class AddressRefused(SourceRefused):
    """A URL or redirect leads to a place that is not the site's."""


@lru_cache(maxsize=1000)
def is_loopback(host: str) -> bool:
    """Whether the host is this machine by its very name, without asking DNS."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def host_of(url: str) -> str:
    """Host of a URL in lower case, empty if it has none."""
    found = _UP_TO_PATH.match(url)
    return _host_at(found.group() if found else url)


@lru_cache(maxsize=1000)  # thousands of files lie on a few hosts
def _host_at(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:  # for example an unclosed bracket
        return ""


class Guard:
    """Knows a site's places.

    Args:
        root: The address the user gave; its host is trusted wherever it lies.
        hosts: Public hosts of the site, subdomains included.
    """

    def __init__(self, root: str, hosts: tuple[str, ...]) -> None:
        self._root_host = host_of(root)
        self._hosts = hosts

    def check(self, url: str, came_from: str | None = None) -> None:
        """Refuse a URL that is not the site's.

        Args:
            url: To be asked.
            came_from: The URL that redirected to it.

        Raises:
            AddressRefused: other scheme, other host, or a redirect from https to http.
        """
        scheme = url.partition(":")[0].lower()
        host = host_of(url)
        if scheme not in ("http", "https"):
            raise AddressRefused(f"{url!r:.200} is not an http address; it was not asked")
        if came_from and came_from.startswith("https:") and scheme == "http":
            raise AddressRefused(f"{came_from!r:.200} redirects to plain http; it was not followed")
        if not self._is_ours(host):
            raise AddressRefused(
                f"{url!r:.200} does not belong to {self._root_host}; it was not asked"
            )

    def is_trusted(self, host: str) -> bool:
        """Whether the user named this host, so that it may lie in a private network."""
        return host == self._root_host or (is_loopback(host) and is_loopback(self._root_host))

    def is_public_name(self, host: str) -> bool:
        """Whether it is one of the site's public hosts."""
        return any(host == known or host.endswith(f".{known}") for known in self._hosts)

    def _is_ours(self, host: str) -> bool:
        if not host:
            return False
        # A public site's table does not open it to this machine's own servers, nor the reverse.
        return self.is_trusted(host) or (
            not is_loopback(self._root_host) and self.is_public_name(host)
        )


class PublicResolver(AbstractResolver):
    """Resolves names, but refuses a site's public name that points into a private network.

    Names that are not the site's pass: only an environment's proxy is ever asked for by such.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of the host.

        Raises:
            OSError: it has none, or none that is public.
        """
        found = await self._inner.resolve(host, port, family)
        if self._guard.is_trusted(host) or not self._guard.is_public_name(host):
            return found
        public = [item for item in found if ipaddress.ip_address(item["host"]).is_global]
        if not public:
            raise OSError(f"{host} resolves to a private address, {found[0]['host']}")
        return public

    async def close(self) -> None:
        """Nothing is held."""
