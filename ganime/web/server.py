"""Where a page is served and to whom: settings, the socket, the token and the server."""

import ipaddress
import secrets
import socket
from typing import Annotated, Self

import uvicorn
from pydantic import Field, model_validator

from ganime.config import Config
from ganime.errors import ConfigError, StoreError
from ganime.web.guard import App

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # addresses to listen at, no names to be called by
_MIN_TOKEN = 16  # characters; ours have 43

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")]


class WebConfig(Config):
    """Where a page is served and to whom."""

    host: str = Field("127.0.0.1", description="Address to listen at; beyond loopback needs token.")
    port: int = Field(8400, ge=0, le=65535, description="Port; 0 takes a free one.")
    hosts: tuple[HostName, ...] = Field(
        (), description="More names that browsers may call this server by, for example a proxy's."
    )
    token_required: bool = Field(
        False, description="Ask for a token on loopback too: other users of this machine."
    )

    @property
    def is_loopback(self) -> bool:
        """Whether nobody beyond this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names(self) -> frozenset[str]:
        """Names that the server answers to."""
        own = () if self.host in _EVERYWHERE else (self.host,)
        return frozenset(name.lower() for name in (*_LOOPBACK, *own, *self.hosts))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.host in _EVERYWHERE and not self.hosts:
            raise ValueError(
                f"host {self.host} listens at every address: say in hosts by which names browsers "
                "may call it, so that no other site can pose as it"
            )
        return self


def token_for(config: WebConfig, token: str = "") -> str:
    """The token of a server: the one given, a drawn one where one is needed, or none.

    Raises:
        ConfigError: the given one can be guessed.
    """
    if token and (len(token) < _MIN_TOKEN or not token.isascii() or not token.isprintable()):
        raise ConfigError(
            f"the token has {len(token)} characters: wanted at least {_MIN_TOKEN}, plain ASCII; "
            "without one a good one is drawn"
        )
    if token or (config.is_loopback and not config.token_required):
        return token
    return secrets.token_urlsafe(32)


def listen(config: WebConfig) -> socket.socket:
    """The socket that the server answers at.

    Raises:
        StoreError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # Only of a socket that says TCP does asyncio send small answers at once, not after 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
        listener.listen()  # so that who is told the address now waits rather than fails
    except OSError as error:
        listener.close()
        raise StoreError(
            f"cannot listen at {config.host} port {config.port} ({error.strerror}): choose another "
            "with --port 0"
        ) from error
    return listener


def server_of(app: App, limit_concurrency: int | None = 256) -> uvicorn.Server:
    """The server of a guarded app, not yet started.

    Args:
        app: What it serves.
        limit_concurrency: Connections beyond which it answers 503 by itself; None where the app
            says in its own words when it is too much.
    """
    settings = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # whoever connects is who connects
        ws="none",
        timeout_keep_alive=30,
        limit_concurrency=limit_concurrency,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(settings)


def address(config: WebConfig, port: int, token: str) -> str:
    """What to open in a browser."""
    host = config.hosts[0] if config.host in _EVERYWHERE else config.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")
