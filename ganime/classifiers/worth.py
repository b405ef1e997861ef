"""What a classifier is worth, in a few figures: for pages and before-and-after tables."""

from dataclasses import dataclass

from ganime.classifiers.storage import load_figures
from ganime.errors import StoreError
from ganime.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """How good a classifier is, on examples held out from it.

    Attributes:
        classifier: Its id.
        threshold: Yes is a score above it.
        precision: Share of its yes that is right; None where it says no yes.
        precision_interval: Wilson's, 95 %.
        recall: Share of the right yes that it finds.
        recall_interval: Likewise.
        judged_by: `people`, or `all` where tags count as well.
        num_people: Answers by people that it learned from.
    """

    classifier: str
    threshold: float
    precision: float | None
    precision_interval: list[float] | None
    recall: float | None
    recall_interval: list[float] | None
    judged_by: str
    num_people: int


def worth(workspace: Workspace, classifier: str) -> Worth:
    """How good a classifier is, from its figures.

    Raises:
        StoreError: there is no such classifier, or an older release wrote its figures.
    """
    figures = load_figures(workspace, classifier)
    if missing := {"judged_by", "people", "labels"} - set(figures):
        raise StoreError(f"the figures of classifier {classifier} lack {sorted(missing)}")
    is_judged_by_people = figures["judged_by"] == "people"
    counted = figures["people"] if is_judged_by_people else figures
    return Worth(
        classifier=classifier,
        threshold=float(figures["threshold"]),
        precision=counted["precision"],
        precision_interval=counted["precision_interval"],
        recall=counted["recall"],
        recall_interval=counted["recall_interval"],
        judged_by=figures["judged_by"],
        num_people=sum(one["people"] for one in figures["labels"].values()),
    )
