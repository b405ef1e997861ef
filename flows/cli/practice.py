"""`ganime demo` and `ganime practice`: a booru of drawn characters on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from flows.cli.console import flow_server, prepare, say
from flows.cli.options import MOST_PORT, WHAT, WHERE, DebugOption, WorkspaceOption, option
from flows.cli.run import PresetOption, RunOptions, configured, run_pipeline

_UNSAID = RunOptions()
TAGS = "full_body standing"
PORT = 8351  # a fixed port: the site's address is part of what was crawled
PostsOption = Annotated[int, option(WHAT, "How many posts to draw.", least=1)]
BooruPortOption = Annotated[
    int, option(WHERE, "Port of the practice booru.", least=0, most=MOST_PORT)
]
SeedOption = Annotated[int, option(WHAT, "Seed of the drawings.", least=0)]


def demo(
    options: RunOptions = _UNSAID,
    *,
    workspace: WorkspaceOption = "workspace-demo",
    preset: PresetOption = "demo",
    posts: PostsOption = 2000,
    seed: SeedOption = 0,
    port: BooruPortOption = PORT,
    debug: DebugOption = False,
) -> None:
    """Draw a practice booru, serve it on this machine, and run the pipeline on it.

    Examples:

        ganime demo

        ganime demo --preset smoke --posts 200
    """
    prepare(debug=debug)
    with flow_server() as ready:
        options = replace(options, url=f"http://127.0.0.1:{port}", tags=options.tags or (TAGS,))
        configured(options, preset)  # a wrong setting is told before two thousand posts are drawn
        from ganime.practice.corpus import Corpus, PracticeConfig
        from ganime.practice.server import PracticeServer
        from ganime.store.workspace import Workspace

        folder = Workspace(workspace).local_path("practice")
        corpus = Corpus.build(PracticeConfig.parse({"posts": posts, "seed": seed}), folder)
        with PracticeServer(corpus, port=port) as booru:
            config = configured(replace(options, url=booru.url), preset)
            run_pipeline(config, workspace, ready)


def practice(
    *,
    folder: Annotated[Path, option(WHERE, "Where the drawings are kept.")] = Path("practice"),
    host: Annotated[str, option(WHERE, "Address to listen on.")] = "127.0.0.1",
    port: BooruPortOption = PORT,
    protocol: Annotated[
        Literal["safebooru", "gelbooru", "danbooru", "zerochan", "getchu"],
        option(WHAT, "The site to be."),
    ] = "safebooru",
    posts: PostsOption = 2000,
    seed: SeedOption = 0,
    debug: DebugOption = False,
) -> None:
    """Serve a booru of drawn characters by a real site's protocol, until Ctrl-C.

    Examples:

        ganime practice --protocol danbooru --posts 500
    """
    prepare(debug=debug)
    from ganime.practice.corpus import Corpus, PracticeConfig
    from ganime.practice.server import serve

    corpus = Corpus.build(PracticeConfig.parse({"posts": posts, "seed": seed}), folder)
    tags = "month:2022-01" if protocol == "getchu" else TAGS
    source = f"--source {protocol} --url http://{host}:{port} --user you"
    say(
        f"the practice booru listens on http://{host}:{port}; try",
        f'  ganime run --preset demo {source} --tags "{tags}"',
    )
    serve(corpus, host, port, protocol=protocol)
