"""List and fetch posts. See `ganime.stages.crawl`."""

from prefect import task

from ganime.stages import crawl
from ganime.stages.crawl import CrawlConfig
from ganime.store.manifest import Manifest
from ganime.store.workspace import Workspace
from tasks.policies import NETWORK


@task(name="list-posts", tags=["cpu"], **NETWORK)
def list_posts_task(workspace: Workspace, config: CrawlConfig, run_id: str) -> int:
    """See `ganime.stages.crawl.list_posts`."""
    return crawl.list_posts(workspace, config, run_id)


@task(name="fetch", tags=["cpu"], **NETWORK)
def fetch_task(
    workspace: Workspace, config: CrawlConfig, post_ids: list[str], run_id: str
) -> Manifest:
    """See `ganime.stages.crawl.fetch`."""
    return crawl.fetch(workspace, config, post_ids, run_id)
