"""Near-duplicates of a dataset, as markdown: how many, and pairs to judge the rule by."""

import html
import json
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact

from ganime.rows import DecisionRow
from ganime.stages.curate import DatasetRef
from ganime.store.manifest import Table
from ganime.store.pixels import PaddedPixels
from ganime.store.workspace import Workspace
from tasks.artifacts import picture
from tasks.review_links import review_link

NUM_PAIRS = 8
SIDE, MOST_EXAMPLE = 96, 1_900  # of a picture [px, bytes]: 16 in base64 stay below 50 kB
Pair = tuple[float, str, str, bool]  # similarity, dropped, kept instead, whether it is mirrored


def publish_duplicates(workspace: Workspace, dataset: DatasetRef, pad_scope: str) -> None:
    """Which images were dropped as copies of others; nothing where none was."""
    if pairs := duplicate_pairs(workspace, dataset):
        padded = PaddedPixels(workspace, pad_scope)
        text = duplicates_text(str(dataset), pairs, padded)
        create_markdown_artifact(text, key="duplicates")


def duplicate_pairs(workspace: Workspace, dataset: DatasetRef) -> list[Pair]:
    """Every image that was dropped for another, the least alike first: those are in doubt."""
    columns = ["image_id", "verdict", "score", "evidence"]
    rows = Table(workspace, DecisionRow, root=f"datasets/{dataset}").read(columns).to_pylist()
    pairs = []
    for row in rows:
        if row["verdict"] == "drop" and row["evidence"]:
            found = json.loads(row["evidence"])
            if "kept" in found:
                similarity = 0.0 if row["score"] is None else float(row["score"])
                pair = (similarity, row["image_id"], found["kept"], bool(found.get("mirrored")))
                pairs.append(pair)
    return sorted(pairs)


def duplicates_text(title: str, pairs: Sequence[Pair], padded: PaddedPixels) -> str:
    """The first pairs side by side.

    Args:
        title: Of the dataset.
        pairs: All of them, those to show first.
        padded: Where their pixels are.
    """
    num_kept = len({kept for _, _, kept, _ in pairs})
    lines = [
        f"# Near-duplicates in {html.escape(title)}",
        "",
        f"{len(pairs)} images were dropped as copies of {num_kept} others. The least alike, left "
        "what was dropped, right what is kept instead:",
    ]
    shown = [pair for pair in pairs if pair[1] in padded and pair[2] in padded][:NUM_PAIRS]
    for similarity, dropped, kept, mirrored in shown:
        both = " ".join(
            picture(padded.load([item])[0], item[:12], SIDE, MOST_EXAMPLE)
            for item in (dropped, kept)
        )
        how = f"similarity {similarity:.3f}" + (", mirrored" if mirrored else "")
        lines += ["", f"`{dropped[:12]}` → `{kept[:12]}`: {how}", "", both]
    link = review_link("All of them in the review page", status="dropped", rule="duplicate")
    return "\n".join([*lines, "", link]).rstrip()
