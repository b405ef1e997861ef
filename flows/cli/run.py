"""`ganime run`: the whole pipeline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flows.cli.console import flow_server, importing, prepare, say
from flows.cli.crawl import CrawlOptions
from flows.cli.look import funnel_tables
from flows.cli.options import HOW, WHAT, DebugOption, RunnerOption, WorkspaceOption, option

if TYPE_CHECKING:
    from flows.operate.embedded import Ready
    from ganime.presets import RunConfig

PresetOption = Annotated[str, option(HOW, "default, faces, face-crops, demo or smoke.", "--preset")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions(CrawlOptions):
    """The settings people reach for; `--set` reaches all others."""

    name: Annotated[str, option(WHAT, "Name of the dataset.")] = ""
    backbone: Annotated[
        Literal["resnet18", "resnet34", "resnet50", "vgg16", "mobilenet_v2"] | None,
        option(WHAT, "Network whose features classify and score."),
    ] = None
    backbone_weights: Annotated[
        str, option(WHAT, "A path, download, tags (learn them from the posts' tags) or none.")
    ] = ""
    inception_weights: Annotated[
        str, option(WHAT, "Path of the published FID weights; the score is then FID.")
    ] = ""
    resolution: Annotated[
        int | None, option(WHAT, "Side of the training images [px].", least=1)
    ] = None
    nimg: Annotated[int | None, option(WHAT, "Images to show in training.", least=1)] = None

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


def run(
    options: RunOptions = RunOptions(),
    *,
    workspace: WorkspaceOption = "workspace",
    preset: PresetOption = "default",
    runner: RunnerOption = "",
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
    prepare(debug=debug)
    if dry_run:
        say(configured(options, preset).model_dump_json(indent=2))
        return
    with flow_server() as ready:
        config = configured(options, preset)
        from flows.runners import use

        use(runner)
        run_pipeline(config, workspace, ready)


def configured(options: RunOptions, preset: str) -> "RunConfig":
    """Every setting of the run that the options ask for.

    Raises:
        ConfigError: no such preset, or a setting is wrong; names the field.
    """
    with importing():
        from ganime.presets import build

    return build(preset, options.layers(), file=options.config, sets=options.set)


def run_pipeline(config: "RunConfig", workspace: str, ready: "Ready") -> None:
    """Run it, and show where the images went.

    Args:
        config: All settings.
        workspace: Folder or fsspec URL that holds everything.
        ready: Waits for the server; see `flows.operate.embedded`.
    """
    from ganime.stages.crawl import check
    from ganime.store.workspace import Workspace
    from tasks.credentials import credentials_of

    check(config.crawl, credentials_of(config.crawl))
    store = Workspace(workspace)
    store.check_writable()
    with importing():
        from flows.run import run as run_flow

        ready()
    stages = {name: getattr(config, name) for name in type(config).model_fields}
    report = run_flow(workspace=workspace, **stages)
    funnel_tables(store)
    say(f"report: {store.describe(report)}")


def _put(nested: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        nested = nested.setdefault(key, {})
    nested[path[-1]] = value
