"""Where secrets come from: the environment or Prefect's Secret blocks, read where they are used."""

import os
from typing import cast

from prefect.blocks.system import Secret

from ganime.sources import Source
from ganime.stages.crawl import CrawlConfig, Credentials


def credentials_of(config: CrawlConfig) -> Credentials:
    """The credentials of every site of a crawl, as far as there are any.

    A flow's parameters are stored and shown in plain text, so secrets are never among them.
    """
    return {name: _of_site(name, site) for name, site in config.sites.items()}


def _of_site(name: str, site: Source) -> dict[str, str]:
    found = {item: _secret(name, item) for item in site.FACTS.credentials}
    return {item: value for item, value in found.items() if value}


def _secret(site: str, item: str) -> str:
    """`GANIME_GELBOORU_API_KEY`, else the Secret block `gelbooru-api-key`, else nothing."""
    if value := os.environ.get(f"GANIME_{site}_{item}".upper()):
        return value
    try:
        block = cast(Secret[str], Secret.load(f"{site}-{item}".replace("_", "-")))
    except ValueError:  # Prefect's word for a block that does not exist
        return ""
    return block.get()
