"""The `ganime` command: one module per kind of work, put together in `app`."""

from flows.cli.app import main

__all__ = ["main"]
