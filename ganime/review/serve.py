"""Run the review page: settings, and what `ganime review` starts."""

from collections.abc import Callable

import uvicorn
from pydantic import Field

from ganime.review.app import build_app
from ganime.review.orchestrator import Orchestrator
from ganime.review.service import Service
from ganime.store.workspace import Workspace
from ganime.web import server as web
from ganime.web.server import WebConfig, address, listen, token_for


class ReviewConfig(WebConfig):
    """Where the page is served, to whom, and what it may keep."""

    dataset: str = Field("", description="Name of the dataset; empty for the only one.")
    thumbnail_bytes: int = Field(
        2_000_000_000, ge=1_000_000, description="Room for thumbnails on the disk [bytes]."
    )
    refresh_s: float = Field(
        5.0, gt=0, description="How often to look for new manifests and others' answers [s]."
    )
    orchestrator: str = Field(
        "",
        pattern=r"^(https?://.*)?$",
        description="Prefect's API, to learn questions again there; empty does it on this machine.",
    )


def serve(
    workspace: Workspace,
    config: ReviewConfig,
    say: Callable[[str], None],
    token: str = "",
    authorization: str = "",
) -> None:
    """Serve the page until it is interrupted.

    Args:
        workspace: Where.
        config: Where to serve it.
        say: Told the address once it answers.
        token: What requests must know; secrets are no settings, which are written down.
        authorization: What the orchestrator must be told; empty for nothing.

    Raises:
        ConfigError: the settings are wrong, or there is no such dataset.
        StoreError: the address is taken, or the workspace cannot be read.
    """
    token = token_for(config, token)
    listener = listen(config)
    orchestrator = Orchestrator(config.orchestrator, authorization) if config.orchestrator else None
    service = Service(workspace, config.dataset, config.thumbnail_bytes, orchestrator)
    service.keep_fresh(config.refresh_s)
    try:
        server = server_of(service, config, token)
        say(address(config, listener.getsockname()[1], token))
        server.run(sockets=[listener])
    finally:
        service.close()
        listener.close()


def server_of(service: Service, config: ReviewConfig, token: str) -> uvicorn.Server:
    """The server, not yet started."""
    return web.server_of(build_app(service, hosts=config.names, token=token))
