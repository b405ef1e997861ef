"""How manifests hang together: from post to image to decision to dataset to model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganime.rows import PostRow
from ganime.store.manifest import Table, read_footer
from ganime.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CrawledImage:
    """One image as the posts of some crawls describe it.

    Attributes:
        image_id: SHA-256 of the original.
        tags: Union of the tags of all its posts, every category, sorted.
        posts: `source/post_id` of each post, sorted.
    """

    image_id: str
    tags: list[str]
    posts: list[str]


def crawled_images(workspace: Workspace, crawl_ids: Sequence[str]) -> list[CrawledImage]:
    """All images that these crawls fetched or already had, by image id.

    Args:
        workspace: Where.
        crawl_ids: The crawls, `ganime.stages.crawl.crawl_id`.
    """
    tags: dict[str, set[str]] = {}
    posts: dict[str, set[str]] = {}
    columns = ["image_id", "source", "post_id", "tags"]
    columns += ["artist_tags", "copyright_tags", "character_tags", "meta_tags"]
    for crawl_id in crawl_ids:
        for row in Table(workspace, PostRow, crawl_id).read(columns).to_pylist():
            image_id = row["image_id"]
            if image_id is not None:
                posts.setdefault(image_id, set()).add(f"{row['source']}/{row['post_id']}")
                every = tags.setdefault(image_id, set())
                for name in columns[3:]:
                    every.update(row[name])
    return [
        CrawledImage(image_id, sorted(tags[image_id]), sorted(posts[image_id]))
        for image_id in sorted(posts)
    ]


def queries_of(workspace: Workspace, crawl_id: str) -> list[str]:
    """Ids of the queries of a crawl: the scopes of its listings; none if it never began."""
    key = f"manifests/crawls/{crawl_id}.json"
    if not workspace.exists(key):
        return []
    return [query["query_id"] for query in json.loads(workspace.read_bytes(key))["queries"]]


def crawls(workspace: Workspace) -> list[str]:
    """Ids of all crawls in the workspace, sorted."""
    keys = workspace.list(f"manifests/{PostRow.FOLDER}", ".parquet")
    return sorted({key.split("/")[2] for key in keys})


def datasets(workspace: Workspace) -> list[tuple[str, str]]:
    """Name and version of all datasets with decisions, sorted."""
    keys = workspace.list("datasets", "/decisions/decisions.parquet")
    return sorted({(key.split("/")[1], key.split("/")[2]) for key in keys})


def point_to_latest(workspace: Workspace, name: str, version: str) -> None:
    """Remember which version of a dataset was made last."""
    workspace.write_text(f"datasets/{name}/latest", version)


def latest(workspace: Workspace) -> list[tuple[str, str]]:
    """Name and last version of every dataset, sorted by name."""
    names = sorted({name for name, _ in datasets(workspace)})
    pointers = {name: f"datasets/{name}/latest" for name in names}
    return [
        (name, workspace.read_bytes(key).decode())
        for name, key in pointers.items()
        if workspace.exists(key)
    ]


def crawls_of(workspace: Workspace, name: str, version: str) -> list[str]:
    """Ids of the crawls that a dataset version was made from."""
    footer = read_footer(workspace, f"datasets/{name}/{version}/decisions/decisions.parquet")
    return [key.split("/")[1] for key in footer["parents"] if key.startswith("posts/")]


def models(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Settings of all models, by id."""
    keys = workspace.list("models", "/config.json")
    return {key.split("/")[1]: json.loads(workspace.read_bytes(key)) for key in keys}
