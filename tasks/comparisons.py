"""Two models held against each other, as markdown: who is better, by how much, and both grids."""

import html

from prefect.artifacts import create_markdown_artifact

from ganime.report.sheets import last_sheets, read_picture
from ganime.report.words import number
from ganime.stages.compare import Comparison, comparison_key
from ganime.store.workspace import Workspace
from tasks.artifacts import LARGEST, MOST_GRID, picture
from tasks.review_links import review_link

NUM_LINES = 30  # of tags and of training images: each artifact stays below 50 kB


def publish_comparison(workspace: Workspace, found: Comparison) -> None:
    """Who is better in what, how sure that is, and what both draw."""
    create_markdown_artifact(comparison_text(workspace, found), key="comparison")


def publish_retraining(
    workspace: Workspace, said: str, model_id: str, found: Comparison | None
) -> None:
    """What a retraining came to.

    Args:
        workspace: Where.
        said: In a sentence: which model is current now, and why.
        model_id: The new model.
        found: The new one, B, against the one before; None where there was none to beat.
    """
    lines = [f"# {html.escape(said)}", ""]
    if found is not None:
        lines.append(comparison_text(workspace, found))
    else:
        grid, _ = last_sheets(workspace, model_id)
        image = read_picture(workspace, grid) if grid else None
        if image is not None:
            lines.append(picture(image, f"samples of {model_id}", LARGEST, MOST_GRID))
    lines += ["", review_link("The model in the review page", view="models", model=model_id)]
    create_markdown_artifact("\n".join(lines), key="retrain")


def comparison_text(workspace: Workspace, found: Comparison) -> str:
    """The whole comparison as markdown, the first lines of long lists."""
    first, second = (name.partition("@")[0] for name in (found.first, found.second))
    lines = [
        f"## {html.escape(found.first)} (A) against {html.escape(found.second)} (B)",
        "",
        f"{found.counts[1]} samples of each, {found.counts[0]} images of "
        f"{html.escape(found.reference)}, in the features of {html.escape(found.extractor[0])}.",
        "",
        *("| | A | B | |", "|---|--:|--:|---|"),
    ]
    lines += [
        f"| {html.escape(gap.name)} | {number(gap.first)} | {number(gap.second)} "
        f"| {html.escape(gap.verdict)} |"
        for gap in (*found.gaps, *found.tags)
    ]
    key = comparison_key(first, second, "png")
    image = read_picture(workspace, key) if workspace.exists(key) else None
    if image is not None:
        lines += ["", "Left A, right B, from the same seeds:", ""]
        lines.append(picture(image, "samples of both", LARGEST, MOST_GRID))
    told = [html.escape(line) for line in found.lines()]
    lines += ["", "<details><summary>All that was found</summary>", ""]
    lines += [f"- {line.strip()}" for line in told[:NUM_LINES]]
    left = len(told) - NUM_LINES
    lines += [f"- and {left} more"] if left > 0 else []
    lines += ["", "</details>", ""]
    where = html.escape(workspace.describe(comparison_key(first, second, "json")))
    links = (
        review_link(f"{letter} in the review page", view="models", model=model)
        for letter, model in (("A", first), ("B", second))
    )
    return "\n".join([*lines, f"All figures: `{where}`", "", " ".join(links)])
