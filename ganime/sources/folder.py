"""Images one already has: a folder or a .zip, with tags from a table, side-cars or folder names."""

import logging
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import quote

from pydantic import Field

from ganime.errors import ImageError, SourceRefused
from ganime.sources import SOURCES, Budget, Page, Post, Received, SiteFacts, Source, rating_of
from ganime.sources.client import Client
from ganime.sources.files import Files, open_files
from ganime.sources.sidecars import as_tag, read_sidecar, read_tag_table

logger = logging.getLogger(__name__)

_IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
_NO_REQUESTS = Budget(rate_per_s=1, in_flight=1)


@SOURCES.register("folder")
class Folder(Source):
    """A folder of images, searched to any depth, or a .zip of one; nothing is unpacked to disk."""

    IS_LOCAL: ClassVar[bool] = True
    FACTS: ClassVar[SiteFacts] = SiteFacts(
        hosts=(), page_limit=1000, list_budget=_NO_REQUESTS, file_budget=_NO_REQUESTS
    )

    path: str = Field(min_length=1, description="A folder of images, or a .zip file.")
    tags: str = Field("", description="CSV or Parquet with the columns file and tags.")
    tags_from_folders: bool = Field(False, description="Each folder's name is a tag.")

    @property
    def root(self) -> str:
        """The folder as a file URL."""
        return Path(self.path).expanduser().resolve().as_uri()

    def check(self, tags: str) -> None:
        """Refuse a path where nothing lies; see `Source.check`."""
        with open_files(Path(self.path).expanduser()):
            pass

    async def older(self, client: Client, tags: str, cursor: str | None, limit: int) -> Page:
        """Posts in the order of their paths, after the path `cursor`; see `Source.older`."""
        files = self._open(client)
        names = [name for name in self._images(files) if cursor is None or name > cursor]
        limit = min(limit, self.FACTS.page_limit)
        found = list(islice(self._posts(files, names, tags), limit + 1))
        return Page(found[:limit], found[limit - 1].post_id if len(found) > limit else None)

    async def newer(
        self, client: Client, tags: str, listed: Collection[str], cursor: str | None, limit: int
    ) -> list[Post]:
        """Files that were not there when their place was passed; see `Source.newer`."""
        files = self._open(client)
        passed = [name for name in self._images(files) if cursor is None or name <= cursor]
        names = [name for name in passed if name not in listed]
        return list(islice(self._posts(files, names, tags), limit))

    async def fetch(self, client: Client, post: Post, max_bytes: int) -> Received:
        """Read one file; problem `gone` if it is there no more, `unreadable` if it cannot be."""
        try:
            content = self._open(client).read(post.post_id, max_bytes + 1)
        except FileNotFoundError:
            return Received(content=b"", problem="gone")
        except ImageError as error:
            logger.warning("%s", error)
            return Received(content=b"", problem=error.reason)
        if len(content) > max_bytes:
            return Received(content=b"", problem="too_large")
        return Received(content=content)

    def _open(self, client: Client) -> Files:
        return client.keep("files", lambda: open_files(Path(self.path).expanduser()))

    def _images(self, files: Files) -> list[str]:
        """Paths of the images, sorted.

        Raises:
            SourceRefused: there are none.
        """
        names = files.names()
        images = sorted(name for name in names if PurePosixPath(name).suffix.lower() in _IMAGES)
        logger.debug("%s: %d files are no images", self.path, len(names) - len(images))
        if not images:
            raise SourceRefused(
                f"{self.path} holds no images ({' '.join(sorted(_IMAGES))}): "
                "name a folder or a .zip that does"
            )
        return images

    def _posts(self, files: Files, names: list[str], wanted: str) -> Iterator[Post]:
        """The posts of these paths that carry the wanted tags and none with a minus."""
        table = read_tag_table(Path(self.tags).expanduser()) if self.tags else None
        asked = {tag for tag in wanted.split() if not tag.startswith("-")}
        unwanted = {tag[1:] for tag in wanted.split() if tag.startswith("-")}
        for name in names:
            post = self._post(files, name, table)
            if asked <= set(post.tags) and unwanted.isdisjoint(post.tags):
                yield post

    def _post(self, files: Files, name: str, table: Mapping[str, list[str]] | None) -> Post:
        path = PurePosixPath(name)
        sidecar = read_sidecar(files, name)
        tags = set(sidecar.tags)
        if table is not None:
            tags = set(table.get(name, table.get(path.name, [])))
        if self.tags_from_folders:
            tags.update(as_tag(part) for part in path.parts[:-1])
        url = f"{self.root}{files.separator}{quote(name)}"
        return Post(
            post_id=name,
            post_url=url,
            file_url=url,
            tags=sorted(tags),
            rating=rating_of(sidecar.rating),
            score=sidecar.score,
            source_link=sidecar.source,
        )
