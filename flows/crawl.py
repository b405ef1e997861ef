"""From queries to originals: list, then fetch all that is due."""

from collections.abc import Sequence
from typing import Any

from prefect import flow, unmapped
from prefect.exceptions import TerminationSignal
from prefect.futures import PrefectFutureList
from prefect.runtime import flow_run

from flows.runners import SHARDS
from ganime.sources.concurrently import end_all
from ganime.stages import crawl as stage
from ganime.stages.crawl import CrawlConfig
from ganime.store.workspace import Workspace
from tasks.artifacts import publish_crawl
from tasks.crawl import fetch_task, list_posts_task
from tasks.crawl_progress import crawl_progress


@flow(name="crawl", flow_run_name="crawl-{crawl.source.component}-{crawl.tags}", task_runner=SHARDS)
def crawl(workspace: str, crawl: CrawlConfig) -> list[str]:
    """Bring the posts of all queries up to date; what was fetched before is not fetched again.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        crawl: What to fetch from where.

    Returns:
        Ids of the crawls, one.
    """
    store = Workspace(workspace)
    store.check_writable()
    return crawl_posts(store, crawl, str(flow_run.root_flow_run_id))


def crawl_posts(store: Workspace, config: CrawlConfig, run_id: str) -> list[str]:
    """The work of the flow, for flows that go on with the images."""
    with crawl_progress(config) as progress:
        list_posts_task(store, config, run_id, progress)
        shards = stage.plan(store, config)
        progress.expect(shards)
        try:
            map_shards(fetch_task, store, config, shards, run_id, progress)
        except (KeyboardInterrupt, TerminationSignal):
            end_all()  # or the runner would wait until the shards in its threads are done
            raise
    publish_crawl(store, config)
    return [stage.crawl_id(config)]


def map_shards(
    work: Any,
    store: Workspace,
    config: object,
    shards: Sequence[Any],
    run_id: str,
    *more: object,
) -> None:
    """Map a task over shards and wait; the first failure is raised once all have ended."""
    if shards:
        constants = [unmapped(item) for item in (run_id, *more)]
        done: PrefectFutureList[Any] = work.map(
            unmapped(store), unmapped(config), shards, *constants
        )
        done.result()
