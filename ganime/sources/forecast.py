"""What a crawl will ask of each site, and how long the budgets make it: known before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganime.sources import Budget, Source
from ganime.sources.coordinator import SPACING
from ganime.sources.listing import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteForecast:
    """The calls to one site.

    Attributes:
        site: The site.
        first_calls: Query and URL of the first list call, for each query.
        num_list_calls: Full pages that the limit takes; shorter pages take more.
        list_s: How long the budget makes them [s].
        num_files: At most.
        files_s: How long the budget makes them [s].
    """

    site: Source
    first_calls: list[tuple[str, str]]
    num_list_calls: int
    list_s: float
    num_files: int
    files_s: float


def forecast(queries: Sequence[Query], limit: int) -> list[SiteForecast]:
    """Foretell a first crawl.

    Args:
        queries: What is asked.
        limit: Posts per query at most.
    """
    sites = {query.source.component: query.source for query in queries}
    found = []
    for name, site in sites.items():
        ours = [query for query in queries if query.source.component == name]
        facts = site.FACTS
        # One more call per query sees that nothing is new, or that the end is reached.
        num_list_calls = 0 if site.IS_LOCAL else len(ours) * -(-limit // facts.page_limit)
        num_files = limit * len(ours)
        found.append(
            SiteForecast(
                site=site,
                first_calls=[(query.tags, site.first_call(query.tags, limit)) for query in ours],
                num_list_calls=num_list_calls,
                list_s=_duration_s(num_list_calls, facts.list_budget),
                num_files=num_files,
                files_s=0.0 if site.IS_LOCAL else _duration_s(num_files, facts.file_budget),
            )
        )
    return found


def in_words(seconds: float) -> str:
    """A time for people to read: `3 min 05 s` or `1 h 27 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _duration_s(num_requests: int, budget: Budget) -> float:
    return num_requests * SPACING / budget.rate_per_s
