"""One request on its way: its address, what is sent with it, and what has come so far."""

from collections.abc import Collection, Mapping
from typing import Literal

from yarl import URL

from ganime.sources import Received
from ganime.sources.addresses import AddressRefused
from ganime.sources.bodies import Body

Purpose = Literal["list", "file"]
_PERSONAL = ("authorization", "cookie")


class Request:
    """One thing asked for, over all its tries and redirects.

    Args:
        url: Where.
        purpose: Whose budget it takes.
        body: Takes what comes.
        headers: Sent with it.
        secrets: Added to the query on the wire alone.
        answers: Statuses that are an answer here, though they usually are worth a retry.
    """

    def __init__(
        self,
        url: URL,
        purpose: Purpose,
        body: Body,
        *,
        headers: Mapping[str, str],
        secrets: Mapping[str, str],
        answers: Collection[int],
    ) -> None:
        self.url = url
        self.purpose = purpose
        self.body = body
        self.headers = headers
        self.secrets = secrets
        self.answers = answers
        self.asked = url  # after redirects
        self.validator = ""  # of the body so far, for If-Range
        self.status: int | None = None
        self.content_type = ""

    @property
    def _is_at_home(self) -> bool:
        """Whether no redirect has led to another host, which secrets are not meant for."""
        return self.asked.origin() == self.url.origin()

    def wire_url(self) -> URL:
        """With the secrets."""
        secrets = self.secrets if self._is_at_home else {}
        return self.asked.update_query(secrets) if secrets else self.asked

    def wire_headers(self) -> dict[str, str]:
        """With what the purpose wants, and the rest of a body that broke off."""
        dropped = () if self._is_at_home else _PERSONAL
        sent = {key: value for key, value in self.headers.items() if key.lower() not in dropped}
        if self.purpose == "file":
            # Lengths and digests are those of the bytes on the wire, so files come uncompressed.
            sent["Accept-Encoding"] = "identity"
        if self.body.size:
            sent |= {"Range": f"bytes={self.body.size}-", "If-Range": self.validator}
        return sent

    def received(self, problem: str | None = None) -> Received:
        """What has come; nothing of the body if there is a problem with it."""
        if problem:
            self.body.discard()
        return Received(
            content=self.body.content,
            file=self.body.file,
            status=self.status,
            problem=problem,
            content_type=self.content_type,
            url=str(self.asked),
        )


def parsed(url: str, params: Mapping[str, str] | None) -> URL:
    """The address with more in its query.

    Raises:
        AddressRefused: it is none.
    """
    try:
        parsed = URL(url)
        return parsed.update_query(params) if params else parsed
    except ValueError as error:
        raise AddressRefused(f"{url!r:.200} is not an address: {error}") from error


def redirect(url: URL, location: str) -> URL:
    """Where a Location header leads.

    Raises:
        AddressRefused: nowhere.
    """
    try:
        return url.join(URL(location))
    except ValueError as error:
        raise AddressRefused(f"{str(url)!r:.200} redirects to {location!r:.200}") from error


def host_and_port(url: URL) -> str:
    """What budgets, refusals and robots.txt go by."""
    return f"{url.host}:{url.port}"
