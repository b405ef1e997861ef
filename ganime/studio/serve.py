"""Run the studio: settings, and what `ganime studio` starts."""

import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn
from pydantic import Field

from ganime.store.workspace import Workspace
from ganime.studio.app import build_app
from ganime.studio.models import Models
from ganime.studio.packaged import PackagedModel
from ganime.studio.service import Service
from ganime.web import server as web
from ganime.web.server import WebConfig, address, listen, token_for

SWITCH_S = 5e-4  # a layer of a small batch takes about as long


class StudioConfig(WebConfig):
    """Where the studio is served, to whom, and how much it takes on."""

    port: int = Field(8500, ge=0, le=65535, description="Port; 0 takes a free one.")
    model: str = Field(
        "", description="Model where none is named; empty for the current one, else the newest."
    )
    most_waiting: int = Field(
        1024, ge=512, description="Images that may wait; beyond, requests are told to come back."
    )
    most_archives: int = Field(
        2,
        ge=1,
        description="Archives, animations and sheets made at a time; each may take up to 1 GB of "
        "memory. Beyond, requests are told to come back.",
    )
    wait_s: float = Field(0.002, ge=0, le=1, description="How long a batch waits for company [s].")
    timeout_s: float = Field(60.0, gt=0, description="How long a request may take [s].")


def serve(
    source: Workspace | Path, config: StudioConfig, say: Callable[[str], None], token: str = ""
) -> None:
    """Serve the studio until it is interrupted.

    Args:
        source: Where the models lie: a workspace, or the one model's package, which is drawn from
            without torch.
        config: Where to serve it.
        say: Told the address once it answers.
        token: What requests must know; secrets are no settings, which are written down.

    Raises:
        ConfigError: the settings are wrong; a package is missing or has no graphs.
        WeightsError: the package is damaged.
        UnknownModelError: there is no model, or none that is called so.
        StoreError: the address is taken, or the workspace cannot be read.
    """
    token = token_for(config, token)
    service = service_of(source, config)
    try:
        with listen(config) as listener:
            service.models.opened("")  # whoever comes first does not wait for the weights
            share_interpreter()
            server = server_of(service, config, token)
            say(address(config, listener.getsockname()[1], token))
            server.run(sockets=[listener])
    finally:
        service.close()


def share_interpreter() -> None:
    """Let the thread that draws and the one that talks take turns more often than by default.

    Each layer gives Python's lock away and wants it back when it is done: beside a busy server it
    would wait for it as long as it computes.
    """
    sys.setswitchinterval(SWITCH_S)


def service_of(source: Workspace | Path, config: StudioConfig) -> Service:
    """What draws, by settings; see `serve`."""
    return Service(
        PackagedModel(source) if isinstance(source, Path) else Models(source, config.model),
        most_waiting=config.most_waiting,
        wait_s=config.wait_s,
        timeout_s=config.timeout_s,
        most_archives=config.most_archives,
    )


def server_of(service: Service, config: StudioConfig, token: str) -> uvicorn.Server:
    """The server, not yet started."""
    app = build_app(service, hosts=config.names, token=token)
    # What is too much is answered by the queue, which says when to come back.
    return web.server_of(app, limit_concurrency=None)
