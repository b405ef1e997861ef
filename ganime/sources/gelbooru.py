"""Gelbooru (Gelbooru 0.2.5): an account's key with every call, a Referer with every file."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from ganime.errors import SourceRefused
from ganime.sources import SOURCES, Budget, Post, SiteFacts
from ganime.sources.client import Client
from ganime.sources.gelbooru02 import Gelbooru02
from ganime.sources.values import number_of, unescaped

logger = logging.getLogger(__name__)

_NAMES_PER_CALL = 100  # of tags; the API answers no more at once
_COLUMNS = {  # the API's numbers and words for a tag's type; all others are general
    **{"1": "artist_tags", "3": "copyright_tags", "4": "character_tags", "5": "meta_tags"},
    **{"artist": "artist_tags", "copyright": "copyright_tags", "character": "character_tags"},
    "metadata": "meta_tags",
}


@SOURCES.register("gelbooru")
class Gelbooru(Gelbooru02):
    """Gelbooru.com, which answers to accounts only (since June 2025)."""

    FACTS: ClassVar[SiteFacts] = SiteFacts(
        hosts=("gelbooru.com",),
        page_limit=100,
        list_budget=Budget(rate_per_s=0.5, in_flight=1),  # no rate is published: be careful
        file_budget=Budget(rate_per_s=4, in_flight=4),
        file_headers={"Referer": "https://gelbooru.com/"},  # else a web page (February 2026)
        credentials=("api_key", "user_id"),
        needs_credentials=True,
        documented=("/index.php",),  # page=help&topic=dapi
    )
    FINAL_WORDS: ClassVar[Mapping[str, str]] = {
        "exceeded maximum queries per day": "the account's queries of this day are used up; "
        "run the same command again tomorrow",
        "too deep": "it says 'Too deep!' instead of listing posts that far down; "
        "run the same command again later, or ask for rarer tags",
    }

    url: str = Field("https://gelbooru.com", description="Address of the site.")
    tag_categories: bool = Field(
        False, description="Ask which tags name artists, characters, …: a call per 100 new tags."
    )

    def secrets(self, client: Client) -> dict[str, str]:
        """The account's key and number.

        Raises:
            SourceRefused: they are not known; says where they belong.
        """
        given = {name: client.credentials.get(name, "") for name in self.FACTS.credentials}
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise SourceRefused(
                f"{self.root} answers to accounts only, and {' and '.join(missing)} of yours "
                "is not known: see your account's options there, then set the environment "
                "variables GANIME_GELBOORU_API_KEY and GANIME_GELBOORU_USER_ID, or the Prefect "
                "Secret blocks gelbooru-api-key and gelbooru-user-id"
            )
        return given

    async def completed(self, client: Client, posts: list[Post]) -> list[Post]:
        """The posts, their tags sorted by category if that is wanted."""
        if not self.tag_categories:
            return posts
        known: dict[str, str] = client.remember("tag categories", dict)
        names = sorted({tag for post in posts for tag in post.tags} - known.keys())
        for start in range(0, len(names), _NAMES_PER_CALL):
            batch = names[start : start + _NAMES_PER_CALL]
            known.update(await self._categories(client, batch))
        return [_sorted_out(post, known) for post in posts]

    async def _categories(self, client: Client, names: list[str]) -> dict[str, str]:
        """The column of each name; `tags` also for those that the site does not know."""
        params = {"page": "dapi", "s": "tag", "q": "index", "names": " ".join(names)}
        answer = await self.ask(client, {**params, "limit": str(len(names)), "json": "1"})
        found = dict.fromkeys(names, "tags")
        for record in answer.records:
            if isinstance(record, dict) and unescaped(record.get("name")) in found:
                kind = record.get("type")
                key = unescaped(kind).lower() or str(number_of(kind))
                found[unescaped(record["name"])] = _COLUMNS.get(key, "tags")
        return found


def _sorted_out(post: Post, columns: Mapping[str, str]) -> Post:
    tags: dict[str, list[str]] = {name: [] for name in ("tags", *_COLUMNS.values())}
    for tag in post.tags:
        tags[columns[tag]].append(tag)
    return dataclasses.replace(
        post,
        tags=tags["tags"],
        artist_tags=tags["artist_tags"],
        copyright_tags=tags["copyright_tags"],
        character_tags=tags["character_tags"],
        meta_tags=tags["meta_tags"],
    )
