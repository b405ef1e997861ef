"""`ganime crawl`, and what it and `ganime run` may be told about what to fetch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli.console import flow_server, importing, prepare, say
from flows.cli.options import HOW, WHAT, DebugOption, RunnerOption, WorkspaceOption, option
from ganime.errors import ConfigError

if TYPE_CHECKING:
    from ganime.stages.crawl import CrawlConfig


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CrawlOptions:
    """What to fetch; `--set` reaches all other settings."""

    source: Annotated[
        tuple[str, ...],
        option(WHAT, "danbooru, folder, gelbooru, getchu, safebooru or zerochan; repeatable."),
    ] = ()
    url: Annotated[str, option(WHAT, "Root of the site; empty for its own.")] = ""
    path: Annotated[str, option(WHAT, "Directory or zip, for the folder source.")] = ""
    tags: Annotated[
        tuple[str, ...], option(WHAT, "Tags to ask for, separated by spaces; each one a query.")
    ] = ()
    queries: Annotated[
        Path | None,
        option(
            WHAT, "File with a query per line, `danbooru: tags` for another site than --source."
        ),
    ] = None
    tags_file: Annotated[
        str, option(WHAT, "CSV or Parquet with columns file and tags, for the folder source.")
    ] = ""
    limit: Annotated[
        int | None, option(WHAT, "At most so many posts per query, newest first.", least=1)
    ] = None
    user: Annotated[str, option(WHAT, "Your account at the site, or how to reach you.")] = ""
    config: Annotated[Path | None, option(HOW, "TOML file with settings, a table per stage.")] = (
        None
    )
    set: Annotated[
        tuple[str, ...], option(HOW, "stage.field=value, any number of times.", "--set")
    ] = ()

    def layers(self) -> dict[str, Any]:
        """The options as nested settings, those not given left out."""
        sources = self.source or (("folder",) if self.path else ("safebooru",) if self.url else ())
        options = {"url": self.url, "path": self.path, "tags": self.tags_file}
        first = {key: value for key, value in options.items() if value}
        crawl: dict[str, Any] = {"limit": self.limit, "user": self.user}
        if sources:
            crawl["source"] = {"name": sources[0], **first}
        asked = [*self.tags, *(read_queries(self.queries) if self.queries else [])]
        wanted = [query if isinstance(query, tuple) else ("", query) for query in asked]
        queries = [
            {"tags": tags, **({"source": site} if (site := own or other) else {})}
            for other in ("", *sources[1:])
            for own, tags in wanted
            if not (own and other)
        ]
        if queries and "source" not in queries[0]:
            crawl["tags"] = queries.pop(0)["tags"]
        crawl["queries"] = queries
        return {"crawl": {key: value for key, value in crawl.items() if value}}


def crawl(
    options: CrawlOptions = CrawlOptions(),
    *,
    workspace: WorkspaceOption = "workspace",
    runner: RunnerOption = "",
    dry_run: Annotated[
        bool, option(HOW, "Print the calls and how long the budgets make them, and stop.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Only crawl: list the posts of all queries and fetch their originals.

    Run again, it costs a list call or two per query and fetches what is new.

    Examples:

        ganime crawl --source safebooru --tags "full_body solo standing 1girl" --limit 20000

        ganime crawl --source zerochan --user MyAccount --tags "Solo, Full Body" --dry-run

        ganime crawl --source safebooru --source danbooru --queries tags.txt
    """
    prepare(debug=debug)
    from ganime.stages.crawl import check, read_crawl, summaries
    from ganime.store.workspace import Workspace
    from tasks.credentials import credentials_of

    config = read_crawl(options.layers(), file=options.config, sets=options.set)
    check(config, credentials_of(config))
    if dry_run:
        say(*_forecast(config))
        return
    store = Workspace(workspace)
    store.check_writable()
    with flow_server() as ready:
        from flows.runners import use

        use(runner)
        with importing():
            from flows.crawl import crawl as crawl_flow

        ready()
        crawl_flow(workspace=workspace, crawl=config)
    say(*(found.describe(name) for name, found in summaries(store, config).items()))


def _forecast(config: "CrawlConfig") -> list[str]:
    """The calls of a first crawl; what the workspace has already is not asked for again."""
    from ganime.sources.client import user_agent
    from ganime.sources.forecast import forecast, in_words

    sites = forecast(config.all_queries, config.limit)
    lines = [f"as {user_agent(config.user)}"]
    for found in sites:
        facts = found.site.FACTS
        lines += ["", f"{found.site.component}, {found.site.root}"]
        for tags, url in found.first_calls:
            lines += [f"  {tags or '(no tags)'}", f"    {url or 'read from the disk'}"]
        if found.site.IS_LOCAL:
            continue
        lines += [
            f"  {found.num_list_calls:,} list calls of {facts.page_limit} posts, at most "
            f"{facts.list_budget.rate_per_s:g} a second: {in_words(found.list_s)}",
            f"  {found.num_files:,} files, at most {facts.file_budget.rate_per_s:g} a second: "
            f"{in_words(found.files_s)}",
        ]
    longest = max(found.list_s + found.files_s for found in sites)
    return [
        *lines,
        "",
        f"at most {in_words(longest)}, sites side by side; shorter pages take more list calls, "
        "and what the workspace has is not asked for again",
    ]


def read_queries(file: Path) -> list[tuple[str, str]]:
    """Site (empty for the command's own) and tags of every line that is no `#` comment.

    Raises:
        ConfigError: the file cannot be read, or holds no query.
    """
    from ganime.sources import SOURCES

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the queries in {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"cannot read the queries in {file}: it is not UTF-8 at byte {error.start}; save it as "
            "UTF-8"
        ) from error
    found = []
    for line in lines:
        text = "" if line.lstrip().startswith("#") else line.strip()
        site, separator, tags = text.partition(": ")
        named = bool(separator) and site in SOURCES.names()
        if text:
            found.append((site, tags.strip()) if named else ("", text))
    if not found:
        raise ConfigError(f"{file} holds no query: write one per line, for example: 1girl solo")
    return found
