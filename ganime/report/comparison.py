"""The page of a comparison: two generators side by side, number by number and tag by tag."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganime.metrics.comparison import Gap
from ganime.report.frame import render
from ganime.report.sheets import read_picture
from ganime.report.thumbnails import data_uri
from ganime.stages.compare import Comparison, comparison_key
from ganime.store.workspace import Workspace

_SIDE, _MOST = 1280, 240_000  # of both sheets of samples [px, bytes]


@dataclass(frozen=True, slots=True)
class Row:
    """One gap with its interval, as places from 0 (A far better) to 100 (B far better)."""

    gap: Gap
    low: float
    high: float
    at: float
    tone: str


def comparison_page_key(first: str, second: str) -> str:
    """Where the page of a comparison of two models lies."""
    return comparison_key(first, second, "html")


def build_comparison_page(workspace: Workspace, found: Comparison) -> str:
    """Write the page beside the numbers and the sheets; returns its key.

    Args:
        workspace: Where the comparison was written.
        found: What was found.
    """
    first, second = (name.partition("@")[0] for name in (found.first, found.second))
    page = render(
        "comparison.html",
        {
            "title": f"{found.first} and {found.second}",
            "sentence": sentence(found),
            "found": found,
            "metrics": [placed([gap])[0] for gap in found.gaps],  # each in a unit of its own
            "tags": placed(found.tags),
            "asked": placed(found.asked),
            "sheet": _sheet(workspace, comparison_key(first, second, "png")),
            "tag_sheet": _sheet(workspace, comparison_key(first, second, "tags.png")),
        },
    )
    key = comparison_page_key(first, second)
    workspace.write_text(key, page)
    return key


def sentence(found: Comparison) -> str:
    """Who is better, by the first metric, and whether the tags agree."""
    first = found.gaps[0]
    said = f"By {first.name}: {first.verdict}."
    for gaps, what in ((found.asked, "drawing what is asked"), (found.tags, "covering tags")):
        wins = [sum(tone_of(gap) == letter for gap in gaps) for letter in "ab"]
        if gaps:
            said += f" In {what}, A is ahead on {wins[0]} and B on {wins[1]} of {len(gaps)} tags."
    return said


def tone_of(gap: Gap) -> str:
    """`a` or `b` where one is shown to be better, else nothing."""
    difference = gap.second - gap.first
    if not abs(difference) > gap.half:
        return ""
    return "b" if (difference < 0) == (gap.better == "lower") else "a"


def placed(gaps: Sequence[Gap]) -> list[Row]:
    """Intervals on one common scale around no difference, which is at 50."""
    reach = max((abs(gap.second - gap.first) + gap.half for gap in gaps), default=0.0) or 1.0

    def place(value: float) -> float:
        return round(50 + 46 * value / reach, 2)

    rows = []
    for gap in gaps:
        towards_b = (gap.second - gap.first) * (-1 if gap.better == "lower" else 1)
        ends = place(towards_b - gap.half), place(towards_b + gap.half)
        rows.append(Row(gap, *ends, place(towards_b), tone_of(gap)))
    return rows


def _sheet(workspace: Workspace, key: str) -> str | None:
    pixels = read_picture(workspace, key)
    return None if pixels is None else data_uri(pixels, _SIDE, _MOST)
