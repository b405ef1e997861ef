"""`ganime review`: look through a dataset in a browser, and correct it."""

from typing import Annotated

from cyclopts.validators import Number

from flows.cli.console import open_workspace, say
from flows.cli.options import HOW, WHERE, DatasetArgument, DebugOption, WorkspaceOption, option


def review(
    dataset: DatasetArgument = "",
    /,
    *,
    host: Annotated[
        str, option(WHERE, "Address to listen at; beyond this machine a token is asked for.")
    ] = "127.0.0.1",
    port: Annotated[
        int, option(WHERE, "Port of the page; 0 takes a free one."), Number(gte=0, lte=65535)
    ] = 8400,
    hosts: Annotated[
        tuple[str, ...],
        option(WHERE, "Another name that browsers call it by, a proxy's say; repeatable."),
    ] = (),
    token: Annotated[
        str, option(HOW, "What who opens the page must know; drawn if one is needed.")
    ] = "",
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

    config = ReviewConfig.parse({"dataset": dataset, "host": host, "port": port, "hosts": hosts})
    serve(store, config, lambda address: say(f"open {address} (Ctrl-C ends it)"), token)
