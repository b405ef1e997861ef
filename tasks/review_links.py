"""Links into the review page, for artifacts; none where nobody said where the page is."""

import os
from urllib.parse import urlencode


def review_link(text: str, **place: str) -> str:
    """A markdown link to a view of the review page; nothing unless `GANIME_REVIEW_URL` is set.

    The address is that of a person's browser, which only whoever set the page up knows.

    Args:
        text: What the link says.
        place: The page's own parameters, for example view="funnel" or status="dropped".
    """
    base = os.environ.get("GANIME_REVIEW_URL", "").rstrip("/")
    if not base.startswith(("http://", "https://")):
        return ""
    return f"[{text}]({base}/?{urlencode(place)})"
