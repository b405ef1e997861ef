"""Where the posts of a crawl stand, counted."""

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

OUTCOMES = ("fetched", "known", "skipped", "failed", "due")


@dataclass(frozen=True, slots=True)
class CrawlSummary:
    """Where the posts of a crawl stand.

    Attributes:
        num_posts: Posts listed.
        outcomes: Posts by outcome; `due` are those without one.
        reasons: Posts by outcome and reason, for skipped and failed.
        num_bytes: Length of all that was fetched.
    """

    num_posts: int
    outcomes: dict[str, int]
    reasons: dict[tuple[str, str], int]
    num_bytes: int = 0

    def describe(self, title: str = "crawl") -> str:
        """One countable line."""
        parts = [f"{title}: {self.num_posts} posts"]
        for outcome in OUTCOMES:
            if count := self.outcomes.get(outcome, 0):
                why = [
                    f"{reason} {number}"
                    for (of, reason), number in sorted(self.reasons.items())
                    if of == outcome
                ]
                parts.append(f"{count} {outcome}" + (f" ({', '.join(why)})" if why else ""))
        return ", ".join(parts)


def summarise(num_listed: int, posts: pa.Table) -> CrawlSummary:
    """Count posts by outcome and reason.

    Args:
        num_listed: Posts that were listed.
        posts: The columns `outcome`, `reason` and `num_bytes` of those that have an outcome.
    """
    pairs = list(zip(posts["outcome"].to_pylist(), posts["reason"].to_pylist(), strict=True))
    outcomes = Counter(outcome for outcome, _ in pairs)
    if num_listed > len(pairs):
        outcomes["due"] = num_listed - len(pairs)
    fetched = posts.filter(pc.equal(posts["outcome"], "fetched"))
    return CrawlSummary(
        num_posts=num_listed,
        outcomes=dict(outcomes),
        reasons=dict(Counter(pair for pair in pairs if pair[1])),
        num_bytes=pc.sum(fetched["num_bytes"]).as_py() or 0,
    )
