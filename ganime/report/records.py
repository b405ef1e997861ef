"""What the manifests hold about one run, read once."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from ganime.rows import DecisionRow, ImageRow, LabelRow, ListingRow, MemberRow, PostRow
from ganime.store.labels import LabelLog
from ganime.store.lineage import queries_of
from ganime.store.manifest import Table, from_arrow
from ganime.store.workspace import Workspace

_NOT_SEEN = ("dropped_before", "not_asked")  # a rule abstained because it had nothing to look at


@dataclass(frozen=True)
class Records:
    """Posts, decisions and members of one run.

    Attributes:
        posts: Every post with an outcome.
        num_listed: Posts that were listed, with or without an outcome.
        problems: Images that do not decode, with the reason.
        decisions: All verdicts; empty if nothing was decided.
        members: The dataset's images.
        labels: People's current answers.
    """

    posts: list[PostRow]
    num_listed: int
    problems: dict[str, str]
    decisions: pa.Table
    members: list[MemberRow]
    labels: list[LabelRow] = field(default_factory=list)

    @cached_property
    def posts_of(self) -> dict[str, list[PostRow]]:
        """The posts of each image, by image id."""
        found: dict[str, list[PostRow]] = defaultdict(list)
        for row in self.posts:
            if row.image_id is not None:
                found[row.image_id].append(row)
        return dict(found)

    @cached_property
    def image_ids(self) -> set[str]:
        """All images the crawls brought."""
        return set(self.posts_of)

    @cached_property
    def decided(self) -> set[str]:
        """Images with a decision."""
        return set(pc.unique(self.decisions["image_id"]).to_pylist())

    @cached_property
    def rules(self) -> list[str]:
        """Names of the rules, in their order."""
        pairs = self.decisions.select(["order", "rule"]).group_by(["order", "rule"]).aggregate([])
        return [row["rule"] for row in pairs.sort_by("order").to_pylist()]

    @cached_property
    def drops(self) -> dict[str, DecisionRow]:
        """The first verdict that drops each dropped image: its status."""
        table = self.decisions.filter(pc.equal(self.decisions["verdict"], "drop"))
        # Later orders are put in first, so that the first one stays.
        rows = from_arrow(DecisionRow, table.sort_by([("order", "descending")]))
        return {row.image_id: row for row in rows}

    @cached_property
    def abstained(self) -> list[tuple[str, str, int]]:
        """Rule, reason and count of images that reached a rule which could not tell, in order."""
        table = self.decisions.filter(pc.equal(self.decisions["verdict"], "abstain"))
        found: Counter[tuple[int, str, str]] = Counter()
        for row in table.select(["image_id", "order", "rule", "reason"]).to_pylist():
            drop = self.drops.get(row["image_id"])
            reached = drop is None or drop.order > row["order"]
            if reached and row["reason"] not in _NOT_SEEN:
                found[row["order"], row["rule"], row["reason"] or "no_fact"] += 1
        return [(rule, reason, number) for (_, rule, reason), number in sorted(found.items())]

    @cached_property
    def kept(self) -> list[str]:
        """Images of the crawls that were judged and that no rule dropped, sorted."""
        return sorted((self.image_ids & self.decided) - set(self.drops))

    def verdicts(self, image_ids: Sequence[str]) -> dict[str, list[DecisionRow]]:
        """All verdicts on a few images, in the order of the rules."""
        chosen = pc.is_in(self.decisions["image_id"], pa.array(image_ids, pa.string()))
        found: dict[str, list[DecisionRow]] = {image_id: [] for image_id in image_ids}
        for row in from_arrow(DecisionRow, self.decisions.filter(chosen).sort_by("order")):
            found[row.image_id].append(row)
        return found


def read_records(
    workspace: Workspace, crawl_ids: Sequence[str], dataset_name: str, dataset_version: str
) -> Records:
    """Read what the manifests hold about these crawls and this dataset version.

    Args:
        workspace: Where.
        crawl_ids: The crawls.
        dataset_name: Empty if there is no dataset.
        dataset_version: Likewise.
    """
    posts: list[PostRow] = []
    keys: set[tuple[str, str, str]] = set()
    for crawl_id in dict.fromkeys(crawl_ids):
        posts += Table(workspace, PostRow, crawl_id).rows()
        for query_id in queries_of(workspace, crawl_id):
            listed = Table(workspace, ListingRow, query_id).read(["source", "post_id"]).to_pylist()
            keys |= {(crawl_id, row["source"], row["post_id"]) for row in listed}
    keys |= {(row.crawl_id, row.source, row.post_id) for row in posts}
    facts = Table(workspace, ImageRow).read(["image_id", "problem"])
    broken = facts.filter(pc.is_valid(facts["problem"])).to_pylist()
    root = f"datasets/{dataset_name}/{dataset_version}" if dataset_name else "datasets/none"
    return Records(
        posts=posts,
        num_listed=len(keys),
        problems={row["image_id"]: row["problem"] for row in broken},
        decisions=Table(workspace, DecisionRow, root=root).read(),
        members=Table(workspace, MemberRow, root=root).rows(),
        labels=LabelLog(workspace).current(),
    )
