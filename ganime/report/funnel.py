"""Where the images went: in, kept and dropped by reason, step by step, so that all adds up."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ganime.report.records import Records, read_records
from ganime.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way.

    Attributes:
        stage: Name of the stage.
        rule: What was asked at this step, a short code.
        unit: `posts` or `images`.
        num_in: How many came in.
        num_kept: How many went on; counted, not subtracted, so that `reconciles` can fail.
        dropped: How many were left behind, by reason, the most first.
    """

    stage: str
    rule: str
    unit: str
    num_in: int
    num_kept: int
    dropped: dict[str, int]

    @property
    def num_dropped(self) -> int:
        """How many were left behind here."""
        return sum(self.dropped.values())

    @property
    def reconciles(self) -> bool:
        """Whether in = kept + dropped."""
        return self.num_in == self.num_kept + self.num_dropped


@dataclass(frozen=True, slots=True)
class Funnel:
    """All steps from listed posts to the dataset."""

    steps: list[Step]

    @property
    def num_in(self) -> int:
        """Posts that were listed."""
        return self.steps[0].num_in

    @property
    def num_kept(self) -> int:
        """What is left after the last step."""
        return self.steps[-1].num_kept

    @property
    def num_dropped(self) -> int:
        """All that was left behind on the way."""
        return sum(step.num_dropped for step in self.steps)

    @property
    def reconciles(self) -> bool:
        """Whether every step adds up, and takes in what the one before let through."""
        joined = all(
            before.num_kept == after.num_in
            for before, after in zip(self.steps, self.steps[1:], strict=False)
        )
        return joined and all(step.reconciles for step in self.steps)

    def lines(self) -> list[str]:
        """One countable line per step, for a terminal."""
        return [_line(step) for step in self.steps]


def read_funnel(
    workspace: Workspace, crawl_ids: Sequence[str], dataset_name: str, dataset_version: str
) -> Funnel:
    """The funnel of these crawls and this dataset version, read from the manifests.

    Args:
        workspace: Where.
        crawl_ids: The crawls.
        dataset_name: Empty if there is no dataset yet.
        dataset_version: Likewise.
    """
    return funnel_of(read_records(workspace, crawl_ids, dataset_name, dataset_version))


def funnel_of(records: Records) -> Funnel:
    """Count every post and image exactly once."""
    steps = [_crawl(records), _same_file(records)]
    if records.decided:
        steps += _rules(records)
        steps += _packing(records)
    return Funnel(steps)


def _crawl(records: Records) -> Step:
    lost = Counter(
        row.reason or row.outcome for row in records.posts if row.outcome in ("skipped", "failed")
    )
    lost["no_outcome_yet"] = records.num_listed - len(records.posts)
    kept = sum(row.image_id is not None for row in records.posts)
    return Step("crawl", "fetch", "posts", records.num_listed, kept, _sorted(lost))


def _same_file(records: Records) -> Step:
    again = sum(len(posts) - 1 for posts in records.posts_of.values())
    num_in = sum(row.image_id is not None for row in records.posts)
    return Step(
        "dedupe",
        "same_file",
        "posts",
        num_in,
        len(records.image_ids),
        _sorted(Counter(same_file_posted_again=again)),
    )


def _rules(records: Records) -> Iterator[Step]:
    alive = records.image_ids & records.decided
    if undecided := len(records.image_ids - alive):
        yield Step(
            "curate",
            "decided",
            "images",
            len(records.image_ids),
            len(alive),
            {"not_decided_yet": undecided},
        )
    for rule in records.rules:
        status = {image_id: records.drops.get(image_id) for image_id in alive}
        lost = Counter(
            row.reason or rule for row in status.values() if row is not None and row.rule == rule
        )
        left = {image_id for image_id, row in status.items() if row is None or row.rule != rule}
        # A person's answer is a rule that seldom has anything to say.
        if lost or rule != "person":
            stage = "dedupe" if rule == "decodable" else "curate"
            yield Step(stage, rule, "images", len(alive), len(left), _sorted(lost))
        alive = left


def _packing(records: Records) -> Iterator[Step]:
    """Only where the dataset does not hold what the rules kept."""
    packed = {row.image_id for row in records.members}
    kept = set(records.kept)
    if missing := len(kept - packed):
        yield Step(
            "curate", "packed", "images", len(kept), len(kept & packed), {"not_packed": missing}
        )


def _sorted(counter: Counter[str]) -> dict[str, int]:
    pairs = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return {reason: number for reason, number in pairs if number}


def _line(step: Step) -> str:
    detail = ", ".join(f"{reason} {number}" for reason, number in step.dropped.items())
    line = (
        f"{step.stage} {step.rule}: {step.num_in} {step.unit} in, {step.num_kept} kept, "
        f"{step.num_dropped} dropped"
    )
    return f"{line} ({detail})" if detail else line
