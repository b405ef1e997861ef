"""Options that commands share, and how all of them look in `--help`."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

WHERE = Group("Where", sort_key=1)
WHAT = Group("What", sort_key=2)
HOW = Group("How", sort_key=3)
MOST_PORT = 65535


def shown_default(value: Any) -> str | None:
    """A default as `--help` shows it; None for those that only say that nothing was given."""
    return None if value is False or value in ("", (), None) else str(value)


# No `--no-debug`; `--help` without `[default: ()]` and its like.
DEFAULTS = Parameter(negative="", show_default=shown_default)


def option(
    group: Group, text: str, *names: str, least: int | None = None, most: int | None = None
) -> Parameter:
    """One command-line option.

    Args:
        group: Its box in `--help`.
        text: What it says there.
        names: Its spellings, where the argument's name is not enough.
        least: The smallest number it may be.
        most: The largest.
    """
    limits = None if least is most is None else Number(gte=least, lte=most)
    return Parameter(name=names or None, help=text, group=group, validator=limits)


WorkspaceOption = Annotated[
    str, option(WHERE, "Folder or fsspec URL of the workspace.", "--workspace", "-w")
]
DebugOption = Annotated[
    bool, option(HOW, "Show Prefect's log and, on failure, the traceback.", "--debug")
]
JsonOption = Annotated[bool, option(HOW, "Print JSON, for scripts.", "--json")]
RunnerOption = Annotated[
    str,
    option(
        HOW,
        "Where shards run: threads, dask, dask:WORKERS or dask://HOST:PORT; GANIME_RUNNER, or "
        "threads, if not given.",
        "--runner",
    ),
]
DatasetArgument = Annotated[str, Parameter(help="name, or name/version; empty for the only one.")]
ReferenceArgument = Annotated[
    str,
    Parameter(help="Image id (6 or more digits), source/post_id, a post's URL, or an image file."),
]
HostOption = Annotated[
    str, option(WHERE, "Address to listen at; beyond this machine a token is asked for.")
]
PortOption = Annotated[
    int, option(WHERE, "Port of the page; 0 takes a free one.", least=0, most=MOST_PORT)
]
HostsOption = Annotated[
    tuple[str, ...],
    option(WHERE, "Another name that browsers call it by, a proxy's say; repeatable."),
]
TokenOption = Annotated[
    str, option(HOW, "What who opens the page must know; drawn if one is needed.")
]
RecipeOption = Annotated[
    str, option(WHAT, "projected, fastgan, dcgan, lsgan, wgan_gp, progan, stylegan2 or r3gan.")
]
PersonOption = Annotated[str, option(WHAT, "Who says so; your login name if you do not say.")]


def register(app: App, command: Callable[..., None], **options: Any) -> None:
    """Add a command whose `--help` ends with the examples of its docstring.

    Cyclopts takes a section `Examples:` for one about an argument and leaves it out.
    """
    _, _, text = inspect.cleandoc(command.__doc__ or "").partition("Examples:\n")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    epilogue = "\n".join(["Examples:", *(f"  {line}" for line in lines)]) if lines else ""
    app.command(command, help_epilogue=epilogue, **options)
