"""The commands put together, and the one sentence in which whatever goes wrong is said."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from cyclopts import App, CycloptsError, Group

import ganime
from flows.cli.crawl import crawl
from flows.cli.datasets import curate, export
from flows.cli.evaluate import ablate, compare, evaluate
from flows.cli.labels import label, labels
from flows.cli.look import diff, explain, status
from flows.cli.model_store import models
from flows.cli.models import generate, interpolate, mix, onnx, project
from flows.cli.operate import deploy, doctor, up
from flows.cli.options import DEFAULTS, register
from flows.cli.practice import demo, practice
from flows.cli.review import review
from flows.cli.run import run
from flows.cli.studio import studio
from flows.cli.train import train
from ganime.errors import ConfigError, GanimeError

# Prefect, torch and pyarrow take seconds to import: each command imports what it needs, after
# `prepare` has set the environment that they read when imported.

COMMANDS: dict[str, tuple[Callable[..., None] | App, ...]] = {
    "Run": (run, crawl, curate, export, train),
    "Look": (status, explain, diff, review),
    "Label": (label, labels),
    "Use a model": (
        studio,
        generate,
        interpolate,
        mix,
        project,
        onnx,
        evaluate,
        compare,
        ablate,
        models,
    ),
    "Operate": (up, deploy, doctor),
    "Practise": (demo, practice),
}

app = App(
    name="ganime",
    help=ganime.__doc__,
    version=ganime.__version__,
    help_format="plaintext",
    default_parameter=DEFAULTS,
    group_commands=Group("Other", sort_key=len(COMMANDS)),  # --help and --version
    suppress_keyboard_interrupt=False,  # `main` says what an interrupted command does
)


for number, (title, commands) in enumerate(COMMANDS.items()):
    group = Group(title, sort_key=number)
    for place, command in enumerate(commands):
        if isinstance(command, App):
            command.group, command.sort_key = group, place
            app.command(command)
        else:
            register(app, command, group=group, sort_key=place)


def main() -> None:
    """Entry point: 0 done, 1 failed, 2 wrong settings, 130 interrupted; no traceback unasked."""
    debug = "--debug" in sys.argv
    signal.signal(signal.SIGTERM, _interrupt)  # its default would leave Prefect's server behind
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        _fail(f"{error}".strip().rstrip(".") + "; see `ganime --help`", 2, debug=debug)
    except ConfigError as error:
        _fail(str(error), 2, debug=debug)
    except GanimeError as error:
        _fail(str(error), 1, debug=debug)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on where it stopped", 130, debug=debug)
    except BrokenPipeError:  # the reader has seen enough, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last line of defence says it in one sentence
        _fail(_unforeseen(error), 1, debug=debug)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _unforeseen(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {error.filename}: {error.strerror}"
    return f"unexpected {type(error).__name__}: {error}; run again with --debug to see where"


def _fail(message: str, code: int, *, debug: bool) -> None:
    if debug:
        logging.getLogger("ganime").exception("failed")
    sys.stderr.write(f"ganime: {message}\n")
    sys.exit(code)
