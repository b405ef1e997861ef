"""`ganime curate` and `export`: decide again about a dataset, and carry it elsewhere."""

from pathlib import Path
from typing import Annotated

from flows.cli.console import open_workspace, say
from flows.cli.options import HOW, DatasetArgument, DebugOption, WorkspaceOption, option
from ganime.errors import ConfigError


def curate(
    dataset: DatasetArgument = "",
    /,
    *,
    set: Annotated[
        tuple[str, ...],
        option(HOW, "rule.option=value, for example chibi.threshold=0.7; repeatable.", "--set"),
    ] = (),
    dry_run: Annotated[bool, option(HOW, "Only say what would flip.")] = False,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Decide again about a dataset, with other thresholds and today's labels; no pixel is touched.

    Examples:

        ganime curate --set chibi.threshold=0.7 --dry-run

        ganime curate characters --set duplicate.similarity=0.9
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.config import parse_sets
    from ganime.recurate import recurate
    from ganime.store.labels import LabelLog

    changes = parse_sets(set)
    for rule, options in changes.items():
        if not isinstance(options, dict):
            raise ConfigError(
                f"--set {rule}={options}: wanted RULE.OPTION=VALUE, for example chibi.threshold=0.7"
            )
    labels = LabelLog(store).current()
    found = recurate(store, dataset, changes, labels=labels, run_id="by hand", write=not dry_run)
    say(*found.lines())


def export(
    target: Path,
    dataset: DatasetArgument = "",
    /,
    *,
    to: Annotated[
        str, option(HOW, "hugging_face, image_folder, stylegan or webdataset.", "--to", "--format")
    ] = "image_folder",
    set: Annotated[tuple[str, ...], option(HOW, "option=value of the format.", "--set")] = (),
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Write a dataset in a layout that other tools read.

    Args:
        target: File or folder to make; it must not exist yet.

    Examples:

        ganime export characters.zip --to stylegan --set tags=64
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.config import parse_sets
    from ganime.exports import EXPORTS
    from ganime.exports import export as write
    from ganime.recurate import find_dataset
    from ganime.store.pixels import Dataset

    found = find_dataset(store, dataset)
    try:
        form = EXPORTS.build({**parse_sets(set), "name": to})
    except ValueError as error:
        raise ConfigError(f"--to {to}: {error}") from error
    write(Dataset(store, found.name, found.version), form, target)
    say(f"{found}: {target}")
