"""List and fetch posts. See `ganime.stages.crawl`."""

from prefect import task

from ganime.stages import crawl
from ganime.stages.crawl import CrawlConfig, Shard
from ganime.store.manifest import Manifest
from ganime.store.workspace import Workspace
from tasks.crawl_progress import CrawlProgress
from tasks.credentials import credentials_of
from tasks.policies import NETWORK


@task(
    name="list-posts",
    task_run_name="list-{config.source.component}-{config.tags}",
    **NETWORK,
)
def list_posts_task(
    workspace: Workspace, config: CrawlConfig, run_id: str, progress: CrawlProgress
) -> int:
    """See `ganime.stages.crawl.list_posts`."""
    credentials = credentials_of(config)
    return crawl.list_posts(workspace, config, run_id, credentials=credentials, watch=progress)


@task(
    name="fetch",
    task_run_name="fetch-{shard.rows[0].source}-{shard.rows[0].post_id}",
    **NETWORK,
)
def fetch_task(
    workspace: Workspace, config: CrawlConfig, shard: Shard, run_id: str, progress: CrawlProgress
) -> list[Manifest]:
    """See `ganime.stages.crawl.fetch`."""
    credentials = credentials_of(config)
    return crawl.fetch(workspace, config, shard, run_id, credentials=credentials, watch=progress)
