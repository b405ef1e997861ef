"""The `ganime` command."""

import getpass
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

import ganime
from flows import settings
from ganime.errors import ConfigError, GanimeError
from ganime.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganime.classifiers.active import Candidate
    from ganime.stages.crawl import CrawlConfig

# Prefect, torch and pyarrow take seconds to import: each command imports what it needs.

WHERE = Group("Where", sort_key=1)
WHAT = Group("What", sort_key=2)
HOW = Group("How", sort_key=3)
DEMO_TAGS = "full_body standing"
DEMO_PORT = 8351  # a fixed port: the site's address is part of what was crawled

app = App(
    name="ganime",
    help=ganime.__doc__,
    version=ganime.__version__,
    help_format="plaintext",
    default_parameter=Parameter(negative=""),
)


def option(group: Group, text: str, *names: str) -> Parameter:
    """One command-line option."""
    return Parameter(name=names or None, help=text, group=group)


WorkspaceOption = Annotated[
    str, option(WHERE, "Folder or fsspec URL of the workspace.", "--workspace", "-w")
]
DebugOption = Annotated[
    bool, option(HOW, "Show Prefect's log and, on failure, the traceback.", "--debug")
]


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
    limit: Annotated[int, option(WHAT, "At most so many posts per query, newest first.")] = 0
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


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions(CrawlOptions):
    """The settings people reach for; `--set` reaches all others."""

    name: Annotated[str, option(WHAT, "Name of the dataset.")] = ""
    backbone: Annotated[
        Literal["", "resnet18", "resnet34", "resnet50", "vgg16", "mobilenet_v2"],
        option(WHAT, "Network whose features classify and score."),
    ] = ""
    backbone_weights: Annotated[
        str, option(WHAT, "A path, download, tags (learn them from the posts' tags) or none.")
    ] = ""
    inception_weights: Annotated[
        str, option(WHAT, "Path of the published FID weights; the score is then FID.")
    ] = ""
    resolution: Annotated[int, option(WHAT, "Side of the training images [px].")] = 0
    nimg: Annotated[int, option(WHAT, "Images to show in training.")] = 0

    def layers(self) -> dict[str, Any]:
        """The options as nested settings, those not given left out."""
        paths = {
            "name": ("curate", "name"),
            "backbone": ("classify", "backbone", "architecture"),
            "backbone_weights": ("classify", "backbone", "weights"),
            "inception_weights": ("evaluate", "inception_weights"),
            "nimg": ("train", "nimg"),
        }
        nested = super().layers()
        for name, path in paths.items():
            if value := getattr(self, name):
                _put(nested, path, value)
        if self.resolution:
            _put(nested, ("curate", "resolution"), self.resolution)
            _put(nested, ("train", "resolution"), self.resolution)
        if self.inception_weights:
            _put(nested, ("evaluate", "extractor"), "inception")
        return nested


@app.command
def run(
    options: RunOptions = RunOptions(),
    *,
    workspace: WorkspaceOption = "workspace",
    preset: Annotated[str, option(HOW, "default, faces, face-crops, demo or smoke.")] = "default",
    dry_run: Annotated[bool, option(HOW, "Print all settings as JSON and stop.")] = False,
    debug: DebugOption = False,
) -> None:
    """Run the pipeline: crawl, dedupe, pad, classify, curate, train, evaluate, report.

    The same command carries on after an interruption, and costs only what is new when run again.

    Examples:

        ganime run --tags "full_body solo standing white_background" --limit 5000

        ganime run --path ~/art --backbone-weights resnet18.pth

        ganime run --config my.toml --set train.nimg=80000 --dry-run
    """
    _run(options, preset, workspace, dry_run=dry_run, debug=debug)


@app.command
def crawl(
    options: CrawlOptions = CrawlOptions(),
    *,
    workspace: WorkspaceOption = "workspace",
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
    from ganime.presets import build

    _prepare(debug=debug)
    config = build("default", options.layers(), file=options.config, sets=options.set).crawl
    if dry_run:
        _print_forecast(config)
        return
    store = Workspace(workspace)
    store.check_writable()
    from flows.crawl import crawl as crawl_flow
    from ganime.stages.crawl import summaries

    crawl_flow(workspace=workspace, crawl=config)
    for name, found in summaries(store, config).items():
        print(found.describe(name))


@app.command
def demo(
    options: RunOptions = RunOptions(),
    *,
    workspace: WorkspaceOption = "workspace-demo",
    preset: Annotated[str, option(HOW, "default, faces, face-crops, demo or smoke.")] = "demo",
    posts: Annotated[int, option(WHAT, "How many posts to draw.")] = 2000,
    seed: Annotated[int, option(WHAT, "Seed of the drawings.")] = 0,
    port: Annotated[int, option(WHERE, "Port of the practice booru.")] = DEMO_PORT,
    debug: DebugOption = False,
) -> None:
    """Draw a practice booru, serve it on this machine, and run the pipeline on it."""
    from ganime.practice.corpus import Corpus, PracticeConfig
    from ganime.practice.server import PracticeServer

    _prepare(debug=debug)
    folder = Workspace(workspace).local_path("practice")
    corpus = Corpus.build(PracticeConfig.parse({"posts": posts, "seed": seed}), folder)
    with PracticeServer(corpus, port=port) as server:
        options = replace(options, url=server.url, tags=options.tags or (DEMO_TAGS,))
        _run(options, preset, workspace, dry_run=False, debug=debug)


@app.command
def practice(
    *,
    folder: Annotated[Path, option(WHERE, "Where the drawings are kept.")] = Path("practice"),
    host: Annotated[str, option(WHERE, "Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, option(WHERE, "Port to listen on.")] = DEMO_PORT,
    protocol: Annotated[
        Literal["safebooru", "gelbooru", "danbooru", "zerochan", "getchu"],
        option(WHAT, "The site to be."),
    ] = "safebooru",
    posts: Annotated[int, option(WHAT, "How many posts to draw.")] = 2000,
    seed: Annotated[int, option(WHAT, "Seed of the drawings.")] = 0,
    debug: DebugOption = False,
) -> None:
    """Serve a booru of drawn characters by a real site's protocol, until Ctrl-C."""
    from ganime.practice.corpus import Corpus, PracticeConfig
    from ganime.practice.server import serve

    _prepare(debug=debug)
    corpus = Corpus.build(PracticeConfig.parse({"posts": posts, "seed": seed}), folder)
    print(f"the practice booru listens on http://{host}:{port}; try")
    tags = "month:2022-01" if protocol == "getchu" else DEMO_TAGS
    source = f"--source {protocol} --url http://{host}:{port} --user you"
    print(f'  ganime run --preset demo {source} --tags "{tags}"')
    serve(corpus, host, port, protocol=protocol)


@app.command
def status(*, workspace: WorkspaceOption = "workspace", debug: DebugOption = False) -> None:
    """Show the funnel of the newest run: in, kept and dropped by reason, stage by stage."""
    _prepare(debug=debug)
    _print_funnel(Workspace(workspace))


@app.command
def explain(
    reference: str, *, workspace: WorkspaceOption = "workspace", debug: DebugOption = False
) -> None:
    """Tell the whole story of an image or a post.

    Args:
        reference: Image id (6 or more digits), source/post_id, a post's URL, or the image's file.
    """
    from ganime.store.explain import explain as tell

    _prepare(debug=debug)
    for story in tell(Workspace(workspace), reference):
        print(f"image {story.image_id}" if story.image_id else "no image came of this post")
        for title, lines in story.chapters:
            print(f"\n{title}")
            for line in lines:
                print("  " + line.replace("\n", "\n  "))


@app.command
def label(
    reference: str,
    answer: Annotated[Literal["yes", "no", "forget"], option(WHAT, "The answer.")],
    *,
    question: Annotated[
        str, option(WHAT, "keep, chibi, multiple, viewpoint, background.")
    ] = "keep",
    note: Annotated[str, option(WHAT, "Why.")] = "",
    by: Annotated[str, option(WHAT, "Who says so.")] = "",
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Put a decision right by hand; the next run obeys.

    Args:
        reference: Image id (6 or more digits), source/post_id, a post's URL, or the image's file.
    """
    from ganime.store.explain import explain as tell
    from ganime.store.labels import Answer, LabelLog

    _prepare(debug=debug)
    store = Workspace(workspace)
    ids = [story.image_id for story in tell(store, reference) if story.image_id]
    if len(ids) != 1:
        raise ConfigError(f"{reference!r} means {len(ids)} images: give more digits")
    said = {"yes": True, "no": False, "forget": None}[answer]
    person = by or getpass.getuser()
    entry = Answer(image_id=ids[0], question=question, answer=said, note=note)
    LabelLog(store).append([entry], by=person, how="by hand")
    print(f"{person} said {question}: {answer} of {ids[0][:12]}; the next run obeys")


@app.command
def curate(
    dataset: Annotated[str, Parameter(help="name, or name/version; empty for the only one.")] = "",
    /,
    *,
    set: Annotated[
        tuple[str, ...],
        option(HOW, "rule.option=value, for example chibi.threshold=0.7; repeatable.", "--set"),
    ] = (),
    dry_run: Annotated[bool, option(HOW, "Only say what would flip.")] = False,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Decide again about a dataset, with other thresholds and today's labels; no pixel is touched.

    Examples:

        ganime curate --set chibi.threshold=0.7 --dry-run

        ganime curate characters --set duplicate.min_similarity=0.9
    """
    from ganime.config import parse_sets
    from ganime.recurate import recurate
    from ganime.store.labels import LabelLog

    _prepare(debug=debug)
    store = Workspace(workspace)
    labels = LabelLog(store).current()
    changes = parse_sets(set)
    found = recurate(store, dataset, changes, labels=labels, run_id="by hand", write=not dry_run)
    print("\n".join(found.lines()))


@app.command
def diff(
    before: str,
    after: str,
    /,
    *,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Say what changed between two dataset versions, and why.

    Args:
        before: name/version.
        after: name/version.
    """
    from ganime.recurate import find_dataset
    from ganime.store.difference import difference

    _prepare(debug=debug)
    store = Workspace(workspace)
    versions = [str(find_dataset(store, reference)) for reference in (before, after)]
    print("\n".join(difference(store, *versions).lines()))


@app.command
def export(
    target: Path,
    dataset: Annotated[str, Parameter(help="name, or name/version; empty for the only one.")] = "",
    /,
    *,
    to: Annotated[
        str, option(HOW, "image_folder, stylegan, webdataset or hugging_face.", "--to", "--format")
    ] = "image_folder",
    set: Annotated[tuple[str, ...], option(HOW, "option=value of the format.", "--set")] = (),
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Write a dataset in a layout that other tools read.

    Args:
        target: File or folder to make; it must not exist yet.

    Examples:

        ganime export characters.zip --to stylegan --set tags=64
    """
    from ganime.config import parse_sets
    from ganime.exports import EXPORTS
    from ganime.exports import export as write
    from ganime.recurate import find_dataset
    from ganime.store.pixels import Dataset

    _prepare(debug=debug)
    store = Workspace(workspace)
    found = find_dataset(store, dataset)
    try:
        form = EXPORTS.build({"name": to, **parse_sets(set)})
    except ValueError as error:
        raise ConfigError(f"--to {to}: {error}") from error
    write(Dataset(store, found.name, found.version), form, target)
    print(f"{found}: {target}")


labels = App(
    name="labels",
    help="Labels in and out, and which to look at next.",
    help_format="plaintext",
    default_parameter=Parameter(negative=""),
)
app.command(labels)


@labels.command(name="import")
def import_labels_(
    file: Path,
    /,
    *,
    by: Annotated[str, option(WHAT, "Who said so, where the file does not say.")] = "",
    folder: Annotated[
        tuple[str, ...],
        option(WHAT, "Of a folder of folders: name=question:yes or name=question:no; repeatable."),
    ] = (),
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Take labels from a .csv, a .jsonl, or a folder whose folders are classes.

    Importing twice adds nothing. Columns: image (id, source/post_id or file), question, answer, by,
    note.

    Examples:

        ganime labels import labels.csv

        ganime labels import sorted/ --folder chibi=chibi:yes --folder normal=chibi:no
    """
    from ganime.store.label_files import import_labels

    _prepare(debug=debug)
    classes = dict(map(_class_of, folder))
    person = by or getpass.getuser()
    result = import_labels(Workspace(workspace), file, by=person, classes=classes or None)
    print("\n".join(result.lines()))


@labels.command(name="export")
def export_labels_(
    file: Path,
    /,
    *,
    all_events: Annotated[bool, option(WHAT, "Earlier answers as well.")] = False,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Write people's answers to a .csv or .jsonl."""
    from ganime.store.label_files import export_labels

    _prepare(debug=debug)
    num = export_labels(Workspace(workspace), file, all_events=all_events)
    print(f"{num} answers: {file}")


@labels.command(name="next")
def next_labels(
    question: str,
    /,
    *,
    num: Annotated[int, option(WHAT, "How many.")] = 20,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Say which images to label next: those the classifier is least sure of, unlike each other."""
    from ganime.classifiers.active import newest_classifier, propose_labels
    from ganime.store.labels import LabelLog

    _prepare(debug=debug)
    store = Workspace(workspace)
    classifier = newest_classifier(store, question)
    _print_candidates(propose_labels(store, classifier, LabelLog(store).current(), num))


@labels.command
def suspects(
    question: str,
    /,
    *,
    num: Annotated[int, option(WHAT, "At most so many.")] = 20,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Say which labels the classifier confidently contradicts: slips of the hand, or its errors."""
    from ganime.classifiers.active import find_suspects, newest_classifier
    from ganime.store.labels import LabelLog

    _prepare(debug=debug)
    store = Workspace(workspace)
    classifier = newest_classifier(store, question)
    _print_candidates(find_suspects(store, classifier, LabelLog(store).current(), num))


def _class_of(text: str) -> tuple[str, tuple[str, bool]]:
    name, _, said = text.partition("=")
    question, _, answer = said.partition(":")
    if not (name and question and answer in ("yes", "no")):
        raise ConfigError(f"--folder {text!r}: wanted name=question:yes or name=question:no")
    return name, (question, answer == "yes")


def _print_candidates(found: "Sequence[Candidate]") -> None:
    words = {True: "yes", False: "no", None: ""}
    for item in found:
        said = f" said {words[item.answer]} by {item.by}," if item.answer is not None else ""
        print(f"{item.image_id[:12]} {item.score:.3f}{said} {item.reason}")
    if not found:
        print("none")


def main() -> None:
    """Entry point: 0 done, 1 failed, 2 wrong settings, 130 interrupted; no traceback unasked."""
    debug = "--debug" in sys.argv
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(f"{error}".strip() + "; see `ganime --help`", 2, debug=debug)
    except ConfigError as error:
        _fail(str(error), 2, debug=debug)
    except GanimeError as error:
        _fail(str(error), 1, debug=debug)
    except KeyboardInterrupt:
        _fail("interrupted; the same command carries on where it stopped", 130, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last line of defence says it in one sentence
        _fail(
            f"unexpected {type(error).__name__}: {error}; run again with --debug to see where",
            1,
            debug=debug,
        )


def _fail(message: str, code: int, *, debug: bool) -> None:
    if debug:
        logging.getLogger("ganime").exception("failed")
    print(f"ganime: {message}", file=sys.stderr)
    sys.exit(code)


def _prepare(*, debug: bool) -> None:
    """Library log to the console, Prefect kept quiet: before prefect is imported."""
    settings.apply(debug=debug)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("ganime")
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    if not logger.handlers:
        logger.addHandler(handler)


def _run(options: RunOptions, preset: str, workspace: str, *, dry_run: bool, debug: bool) -> None:
    from ganime.presets import build

    _prepare(debug=debug)
    config = build(preset, options.layers(), file=options.config, sets=options.set)
    if dry_run:
        print(config.model_dump_json(indent=2))
        return
    store = Workspace(workspace)
    store.check_writable()
    from flows.run import run as run_flow

    stages = {name: getattr(config, name) for name in type(config).model_fields}
    report = run_flow(workspace=workspace, **stages)
    _print_funnel(store)
    print(f"report: {store.describe(report)}")


def _print_forecast(config: "CrawlConfig") -> None:
    """The calls of a first crawl; what the workspace has already is not asked for again."""
    from ganime.sources.client import user_agent
    from ganime.sources.forecast import forecast, in_words
    from ganime.stages.crawl import check
    from tasks.credentials import credentials_of

    check(config, credentials_of(config))
    sites = forecast(config.all_queries, config.limit)
    print(f"as {user_agent(config.user)}")
    for found in sites:
        facts = found.site.FACTS
        print(f"\n{found.site.component}, {found.site.root}")
        for tags, url in found.first_calls:
            print(f"  {tags or '(no tags)'}\n    {url or 'read from the disk'}")
        if found.site.IS_LOCAL:
            continue
        print(
            f"  {found.num_list_calls:,} list calls of {facts.page_limit} posts, at most "
            f"{facts.list_budget.rate_per_s:g} a second: {in_words(found.list_s)}"
        )
        print(
            f"  {found.num_files:,} files, at most {facts.file_budget.rate_per_s:g} a second: "
            f"{in_words(found.files_s)}"
        )
    longest = max(found.list_s + found.files_s for found in sites)
    print(
        f"\nat most {in_words(longest)}, sites side by side; shorter pages take more list calls, "
        "and what the workspace has is not asked for again"
    )


def read_queries(file: Path) -> list[tuple[str, str]]:
    """Site (empty for the command's own) and tags of every line that is no `#` comment.

    Raises:
        ConfigError: the file cannot be read, or holds no query.
    """
    from ganime.sources import SOURCES

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the queries in {file}: {error}") from error
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


def _print_funnel(store: Workspace) -> None:
    from rich.console import Console
    from rich.table import Table

    from ganime.report.funnel import read_funnel
    from ganime.store.lineage import crawls, crawls_of, latest

    newest = latest(store)
    if not newest and not crawls(store):
        raise ConfigError(
            f"{store.describe()} holds nothing yet: start with `ganime run` or `ganime demo`, or "
            "name another folder with --workspace"
        )
    for name, version in newest or [("", "")]:
        crawl_ids = crawls_of(store, name, version) if name else crawls(store)
        table = Table(title=f"{name}/{version}" if name else "no dataset yet", title_justify="left")
        for heading in ("stage", "step", "in", "kept", "dropped", "why"):
            number = heading in ("in", "kept", "dropped")
            table.add_column(heading, justify="right" if number else "left")
        for step in read_funnel(store, crawl_ids, name, version).steps:
            why = ", ".join(f"{reason} {count}" for reason, count in step.dropped.items())
            numbers = (step.num_in, step.num_kept, step.num_dropped)
            table.add_row(step.stage, step.rule, *map(str, numbers), why)
        Console().print(table)


def _put(nested: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        nested = nested.setdefault(key, {})
    nested[path[-1]] = value


if __name__ == "__main__":
    main()
