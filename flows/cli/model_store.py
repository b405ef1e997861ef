"""`ganime models`: which models there are, which one is current, and models as files."""

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from flows.cli.console import open_workspace, prepare, say, say_json
from flows.cli.options import (
    DEFAULTS,
    HOW,
    WHAT,
    DebugOption,
    JsonOption,
    PersonOption,
    WorkspaceOption,
    option,
    register,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ganime.lite.description import TrainingSet
    from ganime.model_packages.facts import ModelFacts
    from ganime.promotion import Promotion

models = App(
    name="models",
    help="Which models there are, which one is current, and models as files.",
    help_format="plaintext",
    default_parameter=DEFAULTS,
    group_commands=Group("Commands"),
)

ModelArgument = Annotated[
    str, Parameter(help="Id of the model or its first digits; empty for the only one.")
]
NoteOption = Annotated[str, option(WHAT, "Why.")]


def list_(
    *,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List all models, the newest first.

    Examples:

        ganime models list --json | jq '.[] | select(.current).model'
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.model_packages.facts import read_facts
    from ganime.promotion import current

    marked = current(store)
    rows = [{**one.row(), "current": one.model_id == marked} for one in read_facts(store)]
    if json:
        say_json(rows)
    elif rows:
        _table(rows)
    else:
        say("no model yet: `ganime train` trains one, `ganime models import FILE` brings one")


def show(
    model: ModelArgument = "",
    /,
    *,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Tell all of a model: settings, images, metrics, snapshots, when it was promoted by whom.

    Examples:

        ganime models show 41f0
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.model_packages.facts import facts_of, images_of
    from ganime.promotion import current, history
    from ganime.training.pictures import find_model

    facts = facts_of(store, find_model(store, model))
    images = images_of(store, facts)
    promotions = [entry for entry in history(store) if entry.model == facts.model_id]
    is_current = current(store) == facts.model_id
    if json:
        say_json(
            {
                **facts.row(),
                "current": is_current,
                "settings": facts.settings,
                "snapshots": facts.snapshots,
                "finished": facts.finished,
                "trained_on": images.model_dump(mode="json"),
                "dataset_is_here": facts.dataset_is_here,
                "scores": [asdict(row) for row in facts.scores],
                "promotions": [entry.model_dump(mode="json") for entry in promotions],
            }
        )
        return
    say(f"model {facts.model_id}{', the current one' if is_current else ''}")
    say(*_told(facts), *_images_told(facts, images), *_scores_told(facts))
    say(*(f"{_entry(entry)}" for entry in promotions))


def promote(
    model: ModelArgument,
    /,
    *,
    note: NoteOption = "",
    by: PersonOption = "",
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Make a model the current one.

    Examples:

        ganime models promote 41f0 --note "hands are better"
    """
    store = open_workspace(workspace, debug=debug)
    from ganime import promotion
    from ganime.training.pictures import find_model

    identity = find_model(store, model)
    entry = promotion.promote(store, identity, by=by or getpass.getuser(), note=note)
    say(f"current: {_entry(entry)}")


def rollback(
    *,
    note: NoteOption = "",
    by: PersonOption = "",
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Make the model current that was so before.

    Examples:

        ganime models rollback --note "faces are blurred"
    """
    store = open_workspace(workspace, debug=debug)
    from ganime import promotion

    say(f"current: {promotion.rollback(store, by=by or getpass.getuser(), note=note)}")


def history(
    *,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """List every promotion and rollback, the first one first.

    Examples:

        ganime models history
    """
    store = open_workspace(workspace, debug=debug)
    from ganime import promotion

    entries = promotion.history(store)
    if json:
        say_json([entry.model_dump(mode="json") for entry in entries])
    else:
        say(*(map(_entry, entries) if entries else ["no model was ever promoted"]))


def export(
    model: Annotated[str, Parameter(help="Id of the model or its first digits.")],
    file: Path,
    /,
    *,
    snapshot: Annotated[
        int | None, option(WHAT, "Images shown at the snapshot to take; the last by default.")
    ] = None,
    members: Annotated[bool, option(HOW, "List the ids of the training images too.")] = False,
    onnx: Annotated[bool, option(HOW, "Add what draws without torch, and prove it.")] = False,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Write a model into one file: weights, card, samples, digest of its training images.

    Args:
        file: File to make, NAME.ganime.

    Examples:

        ganime models export 41f0 girls.ganime --onnx
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.model_packages.export import export_package
    from ganime.studio.carrying import carried
    from ganime.training.pictures import find_model

    identity = find_model(store, model)
    package = export_package(
        *(store, identity, file),
        nimg=snapshot,
        members=members,
        onnx=onnx,
        directions=carried(store, identity, snapshot),
    )
    size = file.stat().st_size / 1e6
    say(f"{file}: model {identity} at {package.description.nimg} images shown, {size:.2f} MB")
    if package.description.trained_on.members_sha256 is None:
        dataset = package.description.trained_on.dataset
        say(f"its dataset {dataset} is not in this workspace: the card tells its name alone")


def import_(
    file: Path,
    /,
    *,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Bring a model out of a file into the workspace; every byte of it is checked first.

    Args:
        file: What `ganime models export` made.

    Examples:

        ganime models import girls.ganime
    """
    prepare(debug=debug)
    from ganime.model_packages.importing import import_package
    from ganime.store.workspace import Workspace

    store = Workspace(workspace)
    facts = import_package(store, file)
    say(f"model {facts.model_id}: {facts.recipe} at {facts.resolution} px, {facts.nimg} images")
    if not facts.dataset_is_here:
        say(
            f"its dataset {facts.dataset} is not in {store.describe()}: it draws and can be "
            "promoted; hold it against others with `ganime compare --reference DATASET`"
        )


def _table(rows: "Sequence[dict[str, Any]]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    headings = ("model", "recipe", "px", "dataset", "images shown", "best metric", "date", "")
    for heading in headings:
        numbers = heading in ("px", "images shown")
        # An id is there to be copied: whole, however narrow the terminal.
        width = 12 if heading == "model" else None
        side: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(heading, justify=side, min_width=width, overflow="fold")
    for row in rows:
        metric = f"{row['metric']} {row['value']:.4g}" if row["metric"] else ""
        marks = [mark for mark in ("current", "imported") if row[mark]]
        cells = (row["model"], row["recipe"], row["resolution"], row["dataset"], row["nimg"])
        day = (row["at"] or "")[:10]
        table.add_row(*map(str, cells), metric, day, ", ".join(marks))
    Console().print(table)


def _told(facts: "ModelFacts") -> "Iterator[str]":
    settings = facts.settings
    ended = facts.finished["ended"] if facts.finished else "not finished"
    sizes = settings.get("parameters", {})
    yield f"{facts.recipe} at {facts.resolution} px, {facts.nimg} images shown: {ended}"
    if sizes:
        yield "parameters: " + ", ".join(f"{name} {count:,}" for name, count in sizes.items())
    if settings.get("tags"):
        yield f"tags: {' '.join(settings['tags'])}"
    yield f"snapshots: {', '.join(map(str, facts.snapshots)) or 'none'}"
    if facts.at:
        yield f"last snapshot written {facts.at:%Y-%m-%d %H:%M} UTC"
    if facts.origin:
        yield f"brought by a package, weights SHA-256 {facts.origin}"
    for name, value in sorted(settings["config"].items()):
        yield f"  {name} = {value}"


def _images_told(facts: "ModelFacts", images: "TrainingSet") -> "Iterator[str]":
    here = "" if facts.dataset_is_here else ", which is not in this workspace"
    yield f"trained on {images.num_images} images of {facts.dataset}{here}"
    if images.members_sha256:
        yield f"  SHA-256 of their ids: {images.members_sha256}"
    for title, counts in (("sites", images.sites), ("ratings", images.ratings)):
        if counts:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            yield f"  {title}: {told}"
    for rule in images.rules:
        options = ", ".join(f"{key} {value}" for key, value in rule.items() if key != "name")
        yield f"  rule {rule['name']}: {options}"
    yield "  the rights in the images stay with their artists; no licence to them is known"
    if images.obeyed_robots is not None:
        wishes = "obeyed" if images.obeyed_robots else "not obeyed"
        yield f"  robots.txt and noai of the sites: {wishes}"


def _scores_told(facts: "ModelFacts") -> "Iterator[str]":
    if not facts.scores:
        yield "no metrics yet: `ganime evaluate` measures them"
    for row in sorted(facts.scores, key=lambda row: (row.metric, row.nimg)):
        ends = "" if row.low is None else f" ({row.low:.4g} to {row.high:.4g})"
        at = f"at {row.nimg} images shown" if row.nimg else "of reals against reals"
        yield f"{row.metric} {row.value:.4g}{ends} {at}, {row.num_fake} samples, {row.extractor}"


def _entry(entry: "Promotion") -> str:
    note = f": {entry.note}" if entry.note else ""
    done = "promoted" if entry.action == "promote" else "back again"
    return f"{entry.model} {done} {entry.at:%Y-%m-%d %H:%M} UTC by {entry.by}{note}"


register(models, list_, name="list")
register(models, import_, name="import")
register(models, show)
register(models, promote)
register(models, rollback)
register(models, history)
register(models, export)
