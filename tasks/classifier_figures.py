"""Classifiers before and after they learned anew, as markdown."""

import html
from typing import Any

from prefect.artifacts import create_markdown_artifact

from ganime.classifiers.storage import load_figures
from ganime.relearn import Obeyed
from ganime.store.workspace import Workspace
from tasks.review_links import review_link

NUM_LINES = 40  # of what flips: the artifact stays below 50 kB


def publish_relearning(
    workspace: Workspace, before: Obeyed, after: Obeyed, flips: list[str]
) -> None:
    """How good each classifier was and is, and which images it moved.

    Args:
        workspace: Where.
        before: Those that the dataset obeyed.
        after: Those that it obeys now.
        flips: What changed in the dataset, in lines.
    """
    text = relearning_text(workspace, before, after, flips)
    create_markdown_artifact(text, key="classifiers")


def relearning_text(workspace: Workspace, before: Obeyed, after: Obeyed, flips: list[str]) -> str:
    """The same as text."""
    lines = ["# Classifiers, before and after", ""]
    lines += ["| question | | by people | yes | no | precision | recall | threshold | |"]
    lines += ["|---|---|--:|--:|--:|--:|--:|--:|---|"]
    for question in sorted({*before, *after}):
        link = review_link("scores", view="thresholds", rule=question)
        for when, found in (("before", before.get(question)), ("after", after.get(question))):
            cells = _cells(workspace, *found) if found else ["", "", "", "", "", "abstains"]
            name = html.escape(question)
            lines.append(f"| {name} | {when} | {' | '.join(cells)} | {link} |")
    lines += ["", "Precision and recall are held out.", "", "## What changed in the dataset", ""]
    lines += [f"- {html.escape(line)}" for line in flips[:NUM_LINES]]
    return "\n".join(lines)


def _cells(workspace: Workspace, classifier_id: str, threshold: float) -> list[str]:
    figures = load_figures(workspace, classifier_id)
    people = sum(count["people"] for count in figures["labels"].values())
    counted = figures["people"] if figures["judged_by"] == "people" else figures
    numbers = [str(people), str(figures["num_positive"]), str(figures["num_negative"])]
    return [*numbers, _share(counted["precision"]), _share(counted["recall"]), f"{threshold:.3f}"]


def _share(value: Any) -> str:
    return "none" if value is None else f"{value:.3f}"
