"""The `ganime` command."""

import getpass
import logging
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

import ganime
from flows import settings
from ganime.errors import ConfigError, GanimeError
from ganime.store.workspace import Workspace

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
class RunOptions:
    """The settings people reach for; `--set` reaches all others."""

    source: Annotated[str, option(WHAT, "safebooru or folder.")] = ""
    url: Annotated[str, option(WHAT, "Root of the site; empty for its own.")] = ""
    path: Annotated[str, option(WHAT, "Directory or zip, for the folder source.")] = ""
    tags: Annotated[str, option(WHAT, "Tags to ask the site for.")] = ""
    tags_file: Annotated[
        str, option(WHAT, "CSV or Parquet with columns file and tags, for the folder source.")
    ] = ""
    limit: Annotated[int, option(WHAT, "At most so many posts, newest first.")] = 0
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
    config: Annotated[Path | None, option(HOW, "TOML file with settings, a table per stage.")] = (
        None
    )
    set: Annotated[
        tuple[str, ...], option(HOW, "stage.field=value, any number of times.", "--set")
    ] = ()

    def layers(self) -> dict[str, Any]:
        """The options as nested settings, those not given left out."""
        source = self.source or ("folder" if self.path else "safebooru" if self.url else "")
        paths = {
            "source": ("crawl", "source", "name"),
            "url": ("crawl", "source", "url"),
            "path": ("crawl", "source", "path"),
            "tags_file": ("crawl", "source", "tags"),
            "tags": ("crawl", "tags"),
            "limit": ("crawl", "limit"),
            "name": ("curate", "name"),
            "backbone": ("classify", "backbone", "architecture"),
            "backbone_weights": ("classify", "backbone", "weights"),
            "inception_weights": ("evaluate", "inception_weights"),
            "nimg": ("train", "nimg"),
        }
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["source"] = source
        nested: dict[str, Any] = {}
        for name, path in paths.items():
            if values[name]:
                _put(nested, path, values[name])
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
    preset: Annotated[str, option(HOW, "default, faces, demo or smoke.")] = "default",
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
def demo(
    options: RunOptions = RunOptions(),
    *,
    workspace: WorkspaceOption = "workspace-demo",
    preset: Annotated[str, option(HOW, "default, faces, demo or smoke.")] = "demo",
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
        options = replace(options, url=server.url, tags=options.tags or DEMO_TAGS)
        _run(options, preset, workspace, dry_run=False, debug=debug)


@app.command
def practice(
    *,
    folder: Annotated[Path, option(WHERE, "Where the drawings are kept.")] = Path("practice"),
    host: Annotated[str, option(WHERE, "Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, option(WHERE, "Port to listen on.")] = DEMO_PORT,
    posts: Annotated[int, option(WHAT, "How many posts to draw.")] = 2000,
    seed: Annotated[int, option(WHAT, "Seed of the drawings.")] = 0,
    debug: DebugOption = False,
) -> None:
    """Serve a booru of drawn characters by Safebooru's protocol, until Ctrl-C."""
    from ganime.practice.corpus import Corpus, PracticeConfig
    from ganime.practice.server import serve

    _prepare(debug=debug)
    corpus = Corpus.build(PracticeConfig.parse({"posts": posts, "seed": seed}), folder)
    print(f"the practice booru listens on http://{host}:{port}; try")
    print(f'  ganime run --preset demo --url http://{host}:{port} --tags "{DEMO_TAGS}"')
    serve(corpus, host, port)


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
