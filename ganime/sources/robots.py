"""What a host asks of crawlers: robots.txt (RFC 9309) and X-Robots-Tag."""

import re
from collections.abc import Iterable

from protego import Protego

AGENT = "ganime"  # the product token that sites may name in their rules
MAX_BYTES = 500 << 10  # RFC 9309, 2.5: at least so much must be parsed; the rest is ignored
MAX_AGE_S = 24 * 3600.0  # RFC 9309, 2.4
_NO_TRAINING = frozenset({"noai", "noimageai"})
_FOR_AGENT = re.compile(r"^\s*([a-z][\w.-]*)\s*:\s*(.*)$")


class Robots:
    """The rules of one host.

    Args:
        text: Its robots.txt; empty if it has none.
    """

    def __init__(self, text: str) -> None:
        self._rules = Protego.parse(text)

    def allows(self, url: str) -> bool:
        """Whether this crawler may ask for the URL."""
        return bool(self._rules.can_fetch(url, AGENT))

    @property
    def crawl_delay_s(self) -> float:
        """Seconds between requests that the host asks for; 0 if it names none."""
        return float(self._rules.crawl_delay(AGENT) or 0.0)


def forbids_training(headers: Iterable[str]) -> bool:
    """Whether X-Robots-Tag headers say `noai` or `noimageai`, to all or to this crawler.

    Args:
        headers: Every value of the header, for example `noindex, noai` or `otherbot: noai`.
    """
    for value in headers:
        named = _FOR_AGENT.match(value.lower())
        if named and named[1] != AGENT and "," not in named[1]:
            continue
        words = (named[2] if named else value.lower()).split(",")
        if _NO_TRAINING & {word.strip() for word in words}:
            return True
    return False
