"""`ganime status`, `explain` and `diff`: what happened, and why."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from flows.cli.console import open_workspace, say, say_json
from flows.cli.options import DebugOption, JsonOption, ReferenceArgument, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ganime.report.funnel import Funnel
    from ganime.store.workspace import Workspace


def status(
    *,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show the funnel of the newest run: in, kept and dropped by reason, stage by stage.

    Examples:

        ganime status --json | jq '.[].steps[] | select(.dropped != {})'
    """
    store = open_workspace(workspace, debug=debug)
    if json:
        say_json([{"dataset": name, **asdict(funnel)} for name, funnel in _funnels(store)])
    else:
        funnel_tables(store)


def funnel_tables(store: "Workspace") -> None:
    """Print the newest funnel of every dataset; before there is one, that of all crawls."""
    from rich.console import Console
    from rich.table import Table

    for name, funnel in _funnels(store):
        table = Table(title=name or "no dataset yet", title_justify="left")
        for heading in ("stage", "step", "in", "kept", "dropped", "why"):
            number = heading in ("in", "kept", "dropped")
            table.add_column(heading, justify="right" if number else "left")
        for step in funnel.steps:
            why = ", ".join(f"{reason} {count}" for reason, count in step.dropped.items())
            numbers = (step.num_in, step.num_kept, step.num_dropped)
            table.add_row(step.stage, step.rule, *map(str, numbers), why)
        Console().print(table)


def _funnels(store: "Workspace") -> "Iterator[tuple[str, Funnel]]":
    from ganime.report.funnel import read_funnel
    from ganime.store.lineage import crawls, crawls_of, latest

    for name, version in latest(store):
        crawl_ids = crawls_of(store, name, version)
        yield f"{name}/{version}", read_funnel(store, crawl_ids, name, version)
    if not latest(store):
        yield "", read_funnel(store, crawls(store), "", "")


def explain(
    reference: ReferenceArgument,
    /,
    *,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Tell the whole story of an image or a post.

    Examples:

        ganime explain 3e067e4e

        ganime explain safebooru/1000948
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.store.explain import explain as tell

    stories = tell(store, reference)
    if json:
        say_json([{"image_id": item.image_id, "chapters": dict(item.chapters)} for item in stories])
        return
    for story in stories:
        say(f"image {story.image_id}" if story.image_id else "no image came of this post")
        for title, lines in story.chapters:
            say("", title, *("  " + line.replace("\n", "\n  ") for line in lines))


def diff(
    before: str,
    after: str,
    /,
    *,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say what changed between two dataset versions, and why.

    Args:
        before: name/version.
        after: name/version, or a name for its latest.

    Examples:

        ganime diff characters/c4a5c3763c2e characters
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.recurate import find_dataset
    from ganime.store.difference import difference

    versions = [str(find_dataset(store, reference)) for reference in (before, after)]
    found = difference(store, *versions)
    if json:
        say_json(asdict(found))
    else:
        say(*found.lines())
