"""`ganime review`: look through a dataset in a browser, and correct it."""

import os
from base64 import b64encode
from typing import Annotated, Literal

from flows.cli.console import open_workspace, say
from flows.cli.options import (
    HOW,
    DatasetArgument,
    DebugOption,
    HostOption,
    HostsOption,
    PortOption,
    TokenOption,
    WorkspaceOption,
    option,
)
from ganime.errors import ConfigError


def review(
    dataset: DatasetArgument = "",
    /,
    *,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8400,
    hosts: HostsOption = (),
    token: TokenOption = "",
    retrain: Annotated[
        Literal["auto", "here", "prefect"],
        option(
            HOW, "Where the page's button learns a question again; auto: as PREFECT_API_URL is."
        ),
    ] = "auto",
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Serve the review page: every image, why it was dropped, and keys to say otherwise.

    Examples:

        ganime review

        ganime review --workspace workspace-demo --port 8401
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.review.serve import ReviewConfig, serve

    settings = {"dataset": dataset, "host": host, "port": port, "hosts": hosts}
    config = ReviewConfig.parse({**settings, "orchestrator": _orchestrator(retrain)})

    def tell(address: str) -> None:
        say(f"open {address} (Ctrl-C ends it)")

    serve(store, config, tell, token, _authorization())


def _orchestrator(retrain: str) -> str:
    """Address of Prefect's API, as its own settings name it; empty to learn on this machine."""
    url = os.environ.get("PREFECT_API_URL", "")
    if retrain == "prefect" and not url:
        raise ConfigError("--retrain prefect needs PREFECT_API_URL, for example of `ganime up`")
    return "" if retrain == "here" else url


def _authorization() -> str:
    """What Prefect's client would send: a cloud key, or a server's user and password."""
    if key := os.environ.get("PREFECT_API_KEY", ""):
        return f"Bearer {key}"
    login = os.environ.get("PREFECT_API_AUTH_STRING", "")
    return f"Basic {b64encode(login.encode()).decode()}" if login else ""
