"""What a crawl is asked to do, and whether that can work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ganime.config import Config, digest_of, overlay, parse_sets, read_toml
from ganime.errors import ConfigError
from ganime.sources import SOURCES, Source
from ganime.sources.listing import Query
from ganime.sources.safebooru import Safebooru

Rating = Literal["general", "sensitive", "questionable", "explicit", "unknown"]
Credentials = Mapping[str, Mapping[str, str]]  # by source, by name


class QueryConfig(Config):
    """One more query of a crawl."""

    tags: str = Field(description="As at the site, separated by spaces.")
    source: SOURCES.field() | None = Field(  # type: ignore[valid-type]
        None, description="Where to ask; the crawl's own source if not given."
    )


class CrawlConfig(Config):
    """What to fetch, and from where."""

    source: SOURCES.field() = Field(  # type: ignore[valid-type]
        Safebooru(), description="Where to ask: the site, or a folder of images."
    )
    tags: str = Field("", description="As at the site, separated by spaces.")
    queries: tuple[QueryConfig, ...] = Field(
        (), description="More queries, there or elsewhere; a post that two of them find is one."
    )
    limit: int = Field(1000, ge=1, description="Posts listed at most per query, newest first.")
    ratings: tuple[Rating, ...] = Field(
        ("general", "unknown"), min_length=1, description="Posts of other ratings are skipped."
    )
    shard_size: int = Field(250, ge=1, le=10_000, description="Posts that are committed together.")
    max_bytes: int = Field(50_000_000, ge=1, description="Longer files are not fetched [bytes].")
    user: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9 _.@+/:-]*$")] = Field(
        "", description="Named to the site: your account there, or how to reach you."
    )
    sweep_days: float = Field(
        7.0, ge=0, description="Everything listed is asked for again so often [days]; 0: never."
    )
    obey_robots: bool = Field(True, description="Whether robots.txt and noai headers count.")
    rehearse: bool = Field(
        False, description="Keep to budgets and robots.txt on this machine's own servers as well."
    )

    @model_validator(mode="after")
    def _one_site_of_a_kind(self) -> "CrawlConfig":
        sites: dict[str, Source] = {}
        for query in self.all_queries:
            name = query.source.component
            if sites.setdefault(name, query.source) != query.source:
                raise ValueError(
                    f"two different {name} sources in one crawl, {sites[name].root} and "
                    f"{query.source.root}: give the second a crawl of its own"
                )
        return self

    @property
    def all_queries(self) -> list[Query]:
        """Every query once, in order."""
        own = [Query(self.source, self.tags)] if self.tags or not self.queries else []
        more = [Query(query.source or self.source, query.tags) for query in self.queries]
        return list({query.query_id: query for query in own + more}.values())

    @property
    def sites(self) -> dict[str, Source]:
        """The sources asked, by name."""
        return {query.source.component: query.source for query in self.all_queries}


# Tables that a file of settings may hold beside this stage's, as one for whole runs does.
OTHER_STAGES = ("dedupe", "detect", "pad", "classify", "curate", "train", "evaluate")


class _OneStage(Config):
    """A run that is nothing but a crawl."""

    crawl: CrawlConfig = Field(default_factory=CrawlConfig)


def read_crawl(
    options: Mapping[str, Any], *, file: Path | None = None, sets: Sequence[str] = ()
) -> CrawlConfig:
    """The settings of a crawl alone; those of other stages, which bring torch, are not looked at.

    Args:
        options: Nested settings by stage, from command-line options.
        file: TOML file with a table for each stage; it comes before the options.
        sets: `crawl.field=value` pairs; they come last.

    Raises:
        ConfigError: a setting is wrong; names the field.
    """
    merged = overlay(read_toml(file) if file else {}, options, parse_sets(sets))
    ours = {name: table for name, table in merged.items() if name not in OTHER_STAGES}
    return _OneStage.parse(ours).crawl


def crawl_id(config: CrawlConfig) -> str:
    """Name of the crawl's tables: same queries and rules in any order, same crawl."""
    queries = sorted(query.query_id for query in config.all_queries)
    rules = [*sorted(set(config.ratings)), *([] if config.obey_robots else ["disobeying robots"])]
    return digest_of(*queries, " ".join(rules))


def check(config: CrawlConfig, credentials: Credentials | None = None) -> None:
    """Refuse what cannot work before anything is asked.

    Raises:
        ConfigError: a query that the source cannot answer, no user where the site wants one, or no
            credentials.
    """
    for query in config.all_queries:
        query.source.check(query.tags)
    for name, site in config.sites.items():
        if site.FACTS.needs_user and not config.user:
            raise ConfigError(
                f"{name} wants to know its users: set crawl.user to your account's name there"
            )
        missing = set(site.FACTS.credentials) - set((credentials or {}).get(name, {}))
        if site.FACTS.needs_credentials and missing:
            wanted = ", ".join(f"GANIME_{name}_{item}".upper() for item in site.FACTS.credentials)
            blocks = ", ".join(
                f"{name}-{item}".replace("_", "-") for item in site.FACTS.credentials
            )
            raise ConfigError(
                f"{name} answers only to those with credentials, and {', '.join(sorted(missing))} "
                f"is missing: set the environment variables {wanted}, or make the Prefect Secret "
                f"blocks {blocks}"
            )
