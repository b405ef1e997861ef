"""What every command does first, and how it speaks: results to stdout, the log to stderr."""

import gc
import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import settings
from ganime.errors import ConfigError

if TYPE_CHECKING:
    from flows.operate.embedded import Ready
    from ganime.store.workspace import Workspace


def say(*lines: str) -> None:
    """Print lines of a result."""
    for line in lines:
        print(line)  # noqa: T201 - the one place where the command line speaks


def say_json(data: Any) -> None:
    """Print a result for scripts; what JSON lacks (times, say) becomes text."""
    say(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def prepare(*, debug: bool) -> None:
    """Library log to the console, Prefect kept quiet: before numpy or prefect is imported."""
    settings.apply(debug=debug)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("ganime")
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    if not logger.handlers:
        logger.addHandler(handler)


@contextmanager
def importing() -> Iterator[None]:
    """Import what is heavy, and never look for garbage in it.

    Torch and Prefect are half a million objects that live as long as the process: searched while
    they are imported and once more at its end, they take a second and a half of CPU time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def flow_server() -> Iterator["Ready"]:
    """The server of a command that runs a flow, started at once; see `flows.operate.embedded`."""
    with importing():
        from flows.operate.embedded import embedded_server
    with embedded_server() as ready:
        yield ready


def open_workspace(url: str, *, debug: bool) -> "Workspace":
    """The workspace of a command that reads it.

    Raises:
        ConfigError: no crawl and no import has put anything there.
    """
    prepare(debug=debug)
    from ganime.store.workspace import Workspace

    store = Workspace(url)
    if not (store.exists("manifests") or store.exists("models")):  # a model may be imported
        there = ", ".join(_workspaces_here())
        hint = f" (there is: {there})" if there else ""
        raise ConfigError(
            f"{store.describe()} holds nothing yet: start with `ganime run` or `ganime demo`, or "
            f"name another folder with --workspace{hint}"
        )
    return store


def _workspaces_here() -> Iterable[str]:
    return sorted(path.parent.name for path in Path().glob("*/manifests"))
