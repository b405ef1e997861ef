"""Run the review page: settings, and what `ganime review` starts."""

import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable
from typing import Annotated

import uvicorn
from pydantic import Field, model_validator

from ganime.config import Config
from ganime.errors import ConfigError, StoreError
from ganime.review.app import build_app
from ganime.review.service import Service
from ganime.store.workspace import Workspace

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # addresses to listen at, no names to be called by
_MIN_TOKEN = 16  # characters; ours have 43
log = logging.getLogger(__name__)


HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")]


class ReviewConfig(Config):
    """Where the page is served and to whom."""

    dataset: str = Field("", description="Name of the dataset; empty for the only one.")
    host: str = Field("127.0.0.1", description="Address to listen at; beyond loopback needs token.")
    port: int = Field(8400, ge=0, le=65535, description="Port; 0 takes a free one.")
    hosts: tuple[HostName, ...] = Field(
        (), description="More names that browsers may call this server by, for example a proxy's."
    )
    token_required: bool = Field(
        False, description="Ask for a token on loopback too: other users of this machine."
    )
    thumbnail_bytes: int = Field(
        2_000_000_000, ge=1_000_000, description="Room for thumbnails on the disk [bytes]."
    )
    refresh_s: float = Field(
        5.0, gt=0, description="How often to look for new manifests and others' answers [s]."
    )

    @property
    def is_loopback(self) -> bool:
        """Whether nobody beyond this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @model_validator(mode="after")
    def _check(self) -> "ReviewConfig":
        if self.host in _EVERYWHERE and not self.hosts:
            raise ValueError(
                f"host {self.host} listens at every address: say in hosts by which names browsers "
                "may call it, so that no other site can pose as it"
            )
        return self


def token_for(config: ReviewConfig, token: str = "") -> str:
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


def serve(
    workspace: Workspace, config: ReviewConfig, say: Callable[[str], None], token: str = ""
) -> None:
    """Serve the page until it is interrupted.

    Args:
        workspace: Where.
        config: Where to serve it.
        say: Told the address once it answers.
        token: What requests must know; secrets are no settings, which are written down.

    Raises:
        ConfigError: the settings are wrong, or there is no such dataset.
        StoreError: the address is taken, or the workspace cannot be read.
    """
    token = token_for(config, token)
    listener = listen(config)
    service = Service(workspace, config.dataset, config.thumbnail_bytes)
    service.keep_fresh(config.refresh_s)
    try:
        server = server_of(service, config, token)
        say(address(config, listener.getsockname()[1], token))
        server.run(sockets=[listener])
    finally:
        service.close()
        listener.close()


def listen(config: ReviewConfig) -> socket.socket:
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


def server_of(service: Service, config: ReviewConfig, token: str) -> uvicorn.Server:
    """The server, not yet started."""
    own = () if config.host in _EVERYWHERE else (config.host,)
    hosts = frozenset(name.lower() for name in (*_LOOPBACK, *own, *config.hosts))
    app = build_app(service, hosts=hosts, token=token)
    settings = uvicorn.Config(
        app,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # whoever connects is who connects
        ws="none",
        timeout_keep_alive=30,
        limit_concurrency=256,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(settings)


def address(config: ReviewConfig, port: int, token: str) -> str:
    """What to open in a browser."""
    host = config.hosts[0] if config.host in _EVERYWHERE else config.host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")
