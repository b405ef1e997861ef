"""Reading answers: a body that may go on where another broke off, a refusal that is a challenge."""

import aiohttp

from ganime.errors import SourceUnavailable
from ganime.sources import Received
from ganime.sources.bodies import Body
from ganime.sources.manners import Manners
from ganime.sources.request import Request
from ganime.sources.retries import RETRIED, TryAgain

_CHALLENGES = (
    b"just a moment",
    b"challenge-platform",
    b"cf-chl",
    b"attention required! | cloudflare",
)
_PEEK_BYTES = 16 << 10  # of a refusal, to see whether it is a challenge


def note_answer(response: aiohttp.ClientResponse, request: Request) -> None:
    """Take down the answer's head, and forget a body that it does not go on with."""
    if request.body.size and response.status != 206:
        request.body.discard()  # it has changed in between, or the server knows no ranges
    request.status = response.status
    request.content_type = response.content_type.lower()
    request.validator = response.headers.get("ETag", "")


async def check_answer(
    response: aiohttp.ClientResponse, request: Request, manners: Manners
) -> None:
    """Stop where we are turned away, come back later where the host is busy.

    Raises:
        TurnedAway: 401 or a challenge.
        TryAgain: a status that may heal, or 416.
    """
    status, url = response.status, request.asked
    if status == 401:
        raise manners.turned_away(
            url, "answers 401: it wants valid credentials; check the user and credentials"
        )
    if status in (403, 503) and await _is_challenge(response, request.body):
        raise manners.turned_away(
            url, f"answers {status} with a challenge for browsers; it does not want this client"
        )
    if status in RETRIED and status not in request.answers:
        raise manners.busy(response, url)
    if status == 416:  # what came before was not what the server has now
        request.validator = ""
        request.body.discard()
        raise TryAgain(
            SourceUnavailable(f"{url.origin()} cannot resume {url.path}"), outcome="http_416"
        )


async def read_body(response: aiohttp.ClientResponse, request: Request) -> str | None:
    """Bring the body home: None if it is whole, else a code.

    Raises:
        TryAgain: it breaks off.
    """
    body = request.body
    if (response.content_length or 0) + body.size > body.max_bytes:
        response.close()
        return "too_large"
    try:
        while chunk := await response.content.readany():
            body.append(chunk)
            if body.size > body.max_bytes:
                response.close()
                return "too_large"
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError) as error:
        if not _is_resumable(response, request.validator):
            body.discard()
        raise TryAgain(
            SourceUnavailable(f"{request.asked.origin()} breaks off in the middle of a body"),
            outcome="truncated",
            give_up_with=Received(
                status=response.status, problem="truncated", url=str(request.asked)
            ),
        ) from error
    return None


def _is_resumable(response: aiohttp.ClientResponse, validator: str) -> bool:
    """Whether the rest may be asked for: only of a file that can be told from another version."""
    strong = validator.startswith('"')  # RFC 9110, 8.8.1: a weak one does not speak of bytes
    known = response.status in (200, 206) and "Content-Encoding" not in response.headers
    return strong and known and response.headers.get("Accept-Ranges", "bytes") == "bytes"


async def _is_challenge(response: aiohttp.ClientResponse, body: Body) -> bool:
    """Whether a refusal is a page for browsers to prove themselves; what was read is in `body`."""
    if "cf-mitigated" in response.headers:
        return True
    if response.content_type != "text/html":
        return False
    start = await response.content.read(_PEEK_BYTES)
    body.append(start)  # `read_body` goes on behind it
    return any(sign in start.lower() for sign in _CHALLENGES)
