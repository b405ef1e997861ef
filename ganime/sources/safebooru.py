"""Safebooru, and any booru that speaks the Gelbooru 0.2 protocol without asking who it talks to."""

from typing import ClassVar

from pydantic import Field

from ganime.sources import SOURCES, Budget, SiteFacts
from ganime.sources.gelbooru02 import Gelbooru02


@SOURCES.register("safebooru")
class Safebooru(Gelbooru02):
    """A booru of the Gelbooru 0.2 kind."""

    FACTS: ClassVar[SiteFacts] = SiteFacts(
        hosts=("safebooru.org",),
        page_limit=1000,  # the help page's maximum; older copies of it say 100: less is accepted
        list_budget=Budget(rate_per_s=1, in_flight=1),
        file_budget=Budget(rate_per_s=4, in_flight=4),
        ratings={"s": "general"},  # "safe"
        documented=("/index.php",),  # page=help&topic=dapi
    )

    url: str = Field("https://safebooru.org", description="Address of the site.")
