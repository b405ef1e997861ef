"""`ganime studio`: generate characters in a browser, or from programs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.console import open_workspace, prepare, say
from flows.cli.options import (
    DebugOption,
    HostOption,
    HostsOption,
    PortOption,
    TokenOption,
    WorkspaceOption,
)


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
    host: HostOption = "127.0.0.1",
    port: PortOption = 8500,
    hosts: HostsOption = (),
    token: TokenOption = "",
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
