"""Every fault that the practice booru can show, by name: how it looks, and at which sites."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ganime.practice import spoiling
from ganime.practice.broken import CutOff, Gigantic, SlowDrip, image_bomb
from ganime.practice.files import HTML
from ganime.practice.protocols import danbooru, gelbooru, gelbooru02
from ganime.practice.spoiling import edit_rows, with_body

Spoiling = Callable[[Response], Response]
Kind = Literal["list", "file", "robots"]
REDIRECTED = "redirected=1"  # in the query of an address that a redirect led to: no faults there
CHALLENGE = "<!DOCTYPE html><title>Just a moment...</title><p>Checking your browser.</p>"
QUOTA = (
    "Search error: Please use your API key. "
    "Currently you have exceeded maximum queries per day"
)  # fmt: skip
ABUSE = "Search error: API limited due to abuse."
BOTH: tuple[Kind, ...] = ("list", "file")
LIST: tuple[Kind, ...] = ("list",)
FILE: tuple[Kind, ...] = ("file",)
BOORUS = ("safebooru", "gelbooru")
JSON = (*BOORUS, "danbooru", "zerochan")
ALL = (*JSON, "getchu")


@dataclass(frozen=True)
class Case:
    """A request that a fault befalls.

    Attributes:
        request: The request.
        seconds: Of Retry-After and slow drips [s].
        count: Posts that come in.
        memory: What the schedule keeps from one request to the next.
    """

    request: Request
    seconds: float
    count: int
    memory: dict[str, bytes]

    @property
    def protocol(self) -> str:
        """The protocol of the site."""
        return str(self.request.state.protocol)


@dataclass(frozen=True)
class Fault:
    """How a fault looks.

    Attributes:
        make: Gives the answer, or what happens to the true one, or does something and gives None.
        kinds: Requests that it may befall.
        protocols: Sites that show it.
    """

    make: Callable[[Case], Response | Spoiling | None]
    kinds: tuple[Kind, ...] = BOTH
    protocols: tuple[str, ...] = ALL


def _status(case: Case, status: int, headers: Mapping[str, str] | None = None) -> Response:
    if case.protocol == "danbooru" and status in danbooru.ERRORS:
        answer = danbooru.error(status)
        answer.headers.update(headers or {})
        return answer
    return HTMLResponse(f"<h1>{status}</h1>", status, headers=dict(headers or {}))


def _retry_after(case: Case) -> Response:
    return _status(case, 429, {"retry-after": f"{case.seconds:.0f}"})


def _challenge(case: Case) -> Response:
    return HTMLResponse(
        CHALLENGE, 403, headers={"cf-mitigated": "challenge", "server": "cloudflare"}
    )


def _success_false(case: Case) -> Response:
    if case.protocol == "danbooru":  # with a good status, unlike its true errors
        return with_body(HTMLResponse("", 200), bytes(danbooru.error(500).body), "application/json")
    return gelbooru02.xml_answer(
        gelbooru02.refusal(QUOTA if case.protocol == "gelbooru" else ABUSE)
    )


def _xml_error(case: Case) -> Response:
    return gelbooru02.xml_answer(f"{gelbooru02.XML}\n<error>The database is on fire</error>")


def _redirect(case: Case) -> Response:
    url = case.request.url
    query = f"{url.query}&{REDIRECTED}" if url.query else REDIRECTED
    return Response(status_code=302, headers={"location": f"{url.path}?{query}"})


def _redirect_to(location: str) -> Callable[[Case], Response]:
    return lambda case: Response(status_code=302, headers={"location": location})


def _answer(content: bytes, media_type: str) -> Callable[[Case], Response]:
    return lambda case: Response(content, media_type=media_type)


def _edited(edit: spoiling.Edit) -> Callable[[Case], Spoiling]:
    return lambda case: partial(edit_rows, edit=edit)


def _spoilt(spoil: Spoiling) -> Callable[[Case], Spoiling]:
    return lambda case: spoil


def _good_body(answer: Response) -> Response:
    answer.status_code = 500
    return answer


def _no_posts(case: Case) -> Spoiling:
    if case.protocol == "getchu":
        return lambda answer: with_body(answer, _without_links(bytes(answer.body)))
    return partial(edit_rows, edit=spoiling.no_rows)


def _without_links(page: bytes) -> bytes:
    return page.replace(b"soft.phtml", b"sorry.phtml").replace(b"brandnew", b"brandold")


def _control_characters(case: Case) -> Spoiling:
    if case.protocol == "getchu":
        return lambda answer: with_body(answer, bytes(answer.body).replace(b"<t", b"\x02\x0b<t"))
    return partial(edit_rows, edit=spoiling.control_characters)


def _hostile_tags(case: Case) -> Spoiling:
    if case.protocol != "getchu":
        return partial(edit_rows, edit=spoiling.hostile_tags)
    return lambda answer: with_body(
        answer,
        bytes(answer.body)
        .replace(b"<charalist>", b"<charalist>../../../etc/passwd\x00<b>")
        .replace(b"</table>", b'<img src="./brandnew/../../../etc/c1charab1.jpg"></table>'),
    )


def _bad_json(answer: Response) -> Response:
    return with_body(answer, bytes(answer.body)[: len(bytes(answer.body)) * 3 // 4])


def _html_before(answer: Response) -> Response:
    return with_body(answer, b'<div class="ad"><b>News</b></div>\n' + bytes(answer.body))


def _wrong_length(answer: Response) -> Response:
    size = len(bytes(answer.body))
    return CutOff(answer, size, size + 1000)


def _cut(answer: Response) -> Response:
    size = len(bytes(answer.body))
    return CutOff(answer, size // 2, max(size, 1))


def _flipped(answer: Response) -> Response:
    content = bytearray(bytes(answer.body))
    middle = len(content) // 2
    for place in range(middle, min(middle + 8, len(content))):
        content[place] ^= 0x55
    spoilt = with_body(answer, bytes(content))
    if "etag" in spoilt.headers:  # other bytes are another version
        spoilt.headers["etag"] = spoilt.headers["etag"][:-1] + '-f"'
    return spoilt


def _endless(case: Case) -> Spoiling:
    """The first page that was asked for, again and again."""

    def repeat(answer: Response) -> Response:
        first = case.memory.setdefault("first page", bytes(answer.body))
        again = with_body(answer, first)
        again.status_code = 200
        return again

    return repeat


def _gigantic(case: Case) -> Response:
    if case.protocol == "getchu":
        return Gigantic(b"<!DOCTYPE html><title>Getchu.com</title>", b"<p>.</p>\n", "text/html")
    start = {"gelbooru": b'{"post": [', "zerochan": b'{"items": ['}.get(case.protocol, b"[")
    return Gigantic(start, b'{"id": 1, "tags": "solo"},\n', "application/json")


def _noai(answer: Response) -> Response:
    page = bytes(answer.body)
    if b"<head>" in page[:200]:  # pages say it in their text as well
        page = page.replace(b"<head>", b'<head><meta name="robots" content="noai">', 1)
        answer = with_body(answer, page)
    answer.headers["x-robots-tag"] = "noai, noimageai"
    return answer


def _insert(case: Case) -> None:
    site: Any = case.request.state.site
    site.show(site.collection.num_shown + case.count)


FAULTS: Mapping[str, Fault] = {
    "401_empty": Fault(lambda case: Response(b"", 401)),
    "403_challenge": Fault(_challenge),
    "404": Fault(lambda case: _status(case, 404)),
    "410": Fault(lambda case: _status(case, 410)),
    "422": Fault(lambda case: _status(case, 422)),
    "429": Fault(lambda case: _status(case, 429)),
    "429_retry_after": Fault(_retry_after),
    "500_good_body": Fault(_spoilt(_good_body)),
    "503_html": Fault(lambda case: HTMLResponse("<h1>Down for maintenance</h1>", 503)),
    "too_deep": Fault(lambda case: HTMLResponse(gelbooru.TOO_DEEP), LIST, ("gelbooru",)),
    "success_false": Fault(_success_false, LIST, (*BOORUS, "danbooru")),
    "empty_body": Fault(_answer(b"", "text/html"), LIST),
    "empty_page": Fault(_no_posts, LIST),
    "ghost_row": Fault(_edited(spoiling.ghost_row), LIST, JSON),
    "missing_post_key": Fault(_spoilt(spoiling.missing_post_key), LIST, ("gelbooru",)),
    "single_object": Fault(_spoilt(spoiling.single_object), LIST, JSON),
    "null_score": Fault(_edited(spoiling.null_score), LIST, (*BOORUS, "danbooru")),
    "missing_md5": Fault(_edited(spoiling.missing_md5), LIST, JSON),
    "missing_file_url": Fault(_edited(spoiling.missing_file_url), LIST, JSON),
    "bad_json": Fault(_spoilt(_bad_json), LIST, JSON),
    "unescaped_quotes": Fault(_edited(spoiling.unescaped_quotes), LIST, ("zerochan",)),
    "html_before_json": Fault(_spoilt(_html_before), LIST, ("zerochan",)),
    "xml_error": Fault(_xml_error, LIST, BOORUS),
    "control_characters": Fault(_control_characters, LIST),
    "redirect": Fault(_redirect),
    "redirect_private": Fault(_redirect_to("http://169.254.169.254/latest/meta-data/")),
    "redirect_file": Fault(_redirect_to("file:///etc/passwd")),
    "html_instead": Fault(_answer(HTML, "text/html")),
    "wrong_length": Fault(_spoilt(_wrong_length)),
    "cut_body": Fault(_spoilt(_cut)),
    "slow_drip": Fault(lambda case: lambda answer: SlowDrip(answer, case.seconds)),
    "empty_file": Fault(_answer(b"", "image/jpeg"), FILE),
    "wrong_md5": Fault(_spoilt(_flipped), FILE),
    "image_bomb": Fault(lambda case: Response(image_bomb(), media_type="image/png"), FILE),
    "endless_paging": Fault(_endless, LIST, JSON),
    "gigantic_json": Fault(_gigantic, LIST),
    "hostile_tags": Fault(_hostile_tags, LIST),
    "noai": Fault(_spoilt(_noai)),
    "posts_inserted": Fault(_insert, LIST),
    "robots": Fault(_answer(b"User-agent: *\nDisallow: /\n", "text/plain"), ("robots",)),
}
