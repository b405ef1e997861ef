"""`ganime studio`: generate characters in a browser, or from programs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.cli.console import open_workspace, prepare, say
from flows.cli.options import HOW, WHERE, DebugOption, WorkspaceOption, option


def studio(
    model: Annotated[
        str,
        Parameter(
            help="Id of the model or its first digits, empty for the current or newest; or a "
            "package, FILE.ganime, which is drawn from without torch."
        ),
    ] = "",
    /,
    *,
    host: Annotated[
        str, option(WHERE, "Address to listen at; beyond this machine a token is asked for.")
    ] = "127.0.0.1",
    port: Annotated[
        int, option(WHERE, "Port of the page; 0 takes a free one."), Number(gte=0, lte=65535)
    ] = 8500,
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
    """Serve the studio: generate, vary, mix and walk between characters; export sprites.

    Examples:

        ganime studio

        ganime studio 41f0 --workspace workspace-demo --port 8501

        ganime studio girls.ganime
    """
    prepare(debug=debug)
    from ganime.lite.archive import SUFFIX
    from ganime.studio.serve import StudioConfig, serve

    settings = {"model": model, "host": host, "port": port, "hosts": hosts}
    is_package = model.endswith(SUFFIX)
    source = Path(model) if is_package else open_workspace(workspace, debug=debug)
    serve(
        source,
        StudioConfig.parse(settings),
        lambda address: say(f"open {address} (Ctrl-C ends it)"),
        token,
    )
