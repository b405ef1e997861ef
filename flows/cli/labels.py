"""`ganime label` and `ganime labels`: what people say about images, in and out."""

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Group

from flows.cli.console import open_workspace, say, say_json
from flows.cli.options import (
    DEFAULTS,
    WHAT,
    DebugOption,
    JsonOption,
    PersonOption,
    ReferenceArgument,
    WorkspaceOption,
    option,
    register,
)
from ganime.errors import ConfigError

if TYPE_CHECKING:
    from ganime.classifiers.active import Candidate
    from ganime.store.workspace import Workspace

labels = App(
    name="labels",
    help="Labels in and out, and which to look at next.",
    help_format="plaintext",
    default_parameter=DEFAULTS,
    group_commands=Group("Commands"),
)
_ANSWERS = {"yes": True, "no": False, "forget": None}


def label(
    reference: ReferenceArgument,
    answer: Annotated[Literal["yes", "no", "forget"], option(WHAT, "The answer.")],
    /,
    *,
    question: Annotated[
        str, option(WHAT, "keep, chibi, multiple, viewpoint, background, or one of your own.")
    ] = "keep",
    note: Annotated[str, option(WHAT, "Why.")] = "",
    by: PersonOption = "",
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Put a decision right by hand; the next run obeys.

    Examples:

        ganime label 3e067e4e no --note "a doll, not a drawing"

        ganime label safebooru/1000948 yes --question chibi
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.store.explain import explain as tell
    from ganime.store.label_files import check_question
    from ganime.store.labels import Answer, LabelLog

    check_question("--question", question)
    ids = [story.image_id for story in tell(store, reference) if story.image_id]
    if not ids:
        raise ConfigError(f"no image came of {reference!r}, so there is nothing to label")
    if len(ids) > 1:
        raise ConfigError(f"{reference!r} means {len(ids)} images: give more digits")
    person = by or getpass.getuser()
    entry = Answer(image_id=ids[0], question=question, answer=_ANSWERS[answer], note=note)
    LabelLog(store).append([entry], by=person, how="by hand")
    asked = _questions(store)
    effect = "the next run obeys"
    if asked and question not in asked:
        effect = f"no rule asks that yet; asked here: {', '.join(sorted(asked))}"
    say(f"{person} said {question}: {answer} of {ids[0][:12]}; {effect}")


def _questions(store: "Workspace") -> set[str]:
    """What people may be asked by the rules of the newest datasets; empty if that is not known."""
    from ganime.stages.curate import CurateConfig
    from ganime.store.lineage import latest
    from ganime.store.manifest import read_footer

    found = set()
    for name, version in latest(store):
        footer = read_footer(store, f"datasets/{name}/{version}/decisions/decisions.parquet")
        try:
            found |= {
                "keep",
                *(rule.question for rule in CurateConfig.parse(footer["config"]).rules),
            }
        except ConfigError:  # written by another release, whose rules were others
            return set()
    return found - {""}


def import_(
    file: Path,
    /,
    *,
    by: PersonOption = "",
    folder: Annotated[
        tuple[str, ...],
        option(WHAT, "Of a folder of folders: name=question:yes or name=question:no; repeatable."),
    ] = (),
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Take labels from a .csv, a .jsonl, or a folder whose folders are classes.

    Importing twice adds nothing. Columns: image (id, source/post_id or file), question, answer and,
    if you like, by and note.

    Examples:

        ganime labels import labels.csv

        ganime labels import sorted/ --folder chibi=chibi:yes --folder normal=chibi:no
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.store.label_files import import_labels

    classes = dict(map(_class_of, folder))
    result = import_labels(store, file, by=by or getpass.getuser(), classes=classes or None)
    say(*result.lines())


def export(
    file: Path,
    /,
    *,
    all_events: Annotated[bool, option(WHAT, "Earlier answers as well.")] = False,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Write people's answers to a .csv or .jsonl."""
    store = open_workspace(workspace, debug=debug)
    from ganime.store.label_files import export_labels

    num = export_labels(store, file, all_events=all_events)
    say(f"{num} answers: {file}")


def next_(
    question: str,
    /,
    *,
    num: Annotated[int, option(WHAT, "How many.", least=1)] = 20,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say which images to label next: unsure ones, likely ones of a rare answer, unlike ones.

    Before any classifier answers the question: typical images and unlike ones.
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.classifiers.active import find_classifier, propose_first_labels, propose_labels
    from ganime.store.label_files import check_question
    from ganime.store.labels import LabelLog

    check_question("QUESTION", question)
    classifier = find_classifier(store, question)
    current = LabelLog(store).current()
    if classifier is not None:
        _say_candidates(propose_labels(store, classifier, current, num), as_json=json)
        return
    found = propose_first_labels(store, question, current, num)
    if not json:
        say(_why_these(question, [row.answer for row in current if row.question == question]))
    _say_candidates(found, as_json=json)


def _why_these(question: str, answers: Sequence[bool | None]) -> str:
    return (
        f"no classifier answers {question!r} yet, so these are typical images and ones unlike all "
        f"known, in turns; known are {answers.count(True)} yes and {answers.count(False)} no, and "
        "`ganime run` learns the question once enough of both are"
    )


def suspects(
    question: str,
    /,
    *,
    num: Annotated[int, option(WHAT, "At most so many.", least=1)] = 20,
    workspace: WorkspaceOption = "workspace",
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Say which labels the classifier confidently contradicts: slips of the hand, or its errors."""
    store = open_workspace(workspace, debug=debug)
    from ganime.classifiers.active import find_suspects, newest_classifier
    from ganime.store.labels import LabelLog

    classifier = newest_classifier(store, question)
    current = LabelLog(store).current()
    _say_candidates(find_suspects(store, classifier, current, num), as_json=json)


def _say_candidates(found: "Sequence[Candidate]", *, as_json: bool) -> None:
    if as_json:
        say_json([asdict(item) for item in found])
    else:
        say(*(map(_line, found) if found else ["none"]))


def _line(item: "Candidate") -> str:
    score = "-" if item.score is None else f"{item.score:.3f}"
    return f"{item.image_id[:12]} {score:5} {item.reason}"


def _class_of(text: str) -> tuple[str, tuple[str, bool]]:
    name, _, said = text.partition("=")
    question, _, answer = said.partition(":")
    if not (name and question and answer in ("yes", "no")):
        raise ConfigError(f"--folder {text!r}: wanted name=question:yes or name=question:no")
    return name, (question, answer == "yes")


for name, command in (("import", import_), ("export", export), ("next", next_)):
    register(labels, command, name=name)
register(labels, suspects)
