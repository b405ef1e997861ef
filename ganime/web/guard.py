"""What stands between the web and a page: host, origin, token, size, and headers on every answer.

A page on another site can make a browser send requests to this machine, under a name of its own
that resolves here (DNS rebinding) or across sites (CSRF). So the Host must be ours, a POST must
come from our own page, and no answer may be framed, embedded or taken for something else.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a page answers instead of the app: status and sentence -> content type and body.
Tell = Callable[[int, str], tuple[bytes, bytes]]

HEADER = (
    b"x-ganime"  # that only our own page can set: another site's would ask first and be refused
)
MAX_BODY = 1_000_000  # bytes; a page of labels with notes is a tenth of it
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_SAFE_METHODS = ("GET", "HEAD")


def tell_error(status: int, message: str) -> tuple[bytes, bytes]:
    """A refusal as plain JSON."""
    return b"application/json", json.dumps({"error": message}).encode()


class _RefusedError(Exception):
    """An answer instead of the app's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """ASGI middleware.

    Args:
        app: What it guards.
        name: Of the command that serves it: in its cookie and in what it says.
        hosts: Names that this server answers to, without the port.
        token: What every request must know; empty for none, on loopback alone.
        max_body: Longest body of a request [bytes].
        page_only: Whether a POST must carry `X-Ganime: NAME`. Where programs are clients too, that
            it is JSON from no other site must do: a browser asks before it sends such a thing
            across sites, and the question is refused here.
        tell: How a refusal is written.
    """

    def __init__(
        self,
        app: App,
        *,
        name: str,
        hosts: frozenset[str],
        token: str,
        max_body: int = MAX_BODY,
        page_only: bool = True,
        tell: Tell = tell_error,
    ) -> None:
        self._app = app
        self._name, self._page_only, self._tell = name, page_only, tell
        self._hosts = hosts
        self._token = token
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets here: an unanswered handshake is refused by the server
        try:
            headers = _headers(scope)
            self._check(scope, headers)
            if redirect := self._redirect(scope):
                await _answer(send, 303, b"", [(b"location", redirect), self._cookie()])
                return
            self._check_token(headers)
            if scope["method"] == "POST":
                receive = await self._whole(receive)
            await self._app(scope, receive, _with_headers(send))
        except _RefusedError as refused:
            kind, body = self._tell(refused.status, str(refused))
            # A 405 must say what else is answered (RFC 9110, 15.5.6).
            allow = [(b"allow", b"GET, HEAD, POST")] if refused.status == 405 else []
            await _answer(send, refused.status, body, [(b"content-type", kind), *allow])

    def _check(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> None:
        hosts = headers.get(b"host", [])
        host = hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        if _name(host) not in self._hosts:
            raise _RefusedError(421, "this server does not answer to that host name")
        length = headers.get(b"content-length", [b"0"])[0]
        if not length.isdigit() or int(length) > self._max_body:
            raise _RefusedError(413, f"the request is longer than {self._max_body} bytes")
        if scope["method"] in _SAFE_METHODS:
            return
        if scope["method"] != "POST":
            raise _RefusedError(405, "only GET, HEAD and POST are answered")
        origins = headers.get(b"origin", [])
        ours = {f"http://{host}", f"https://{host}"}
        if any(origin.decode("latin-1") not in ours for origin in origins):
            raise _RefusedError(403, "the request comes from another site")
        if self._page_only and headers.get(HEADER) != [self._name.encode()]:
            raise _RefusedError(403, f"the request lacks the header 'X-Ganime: {self._name}'")
        kind = headers.get(b"content-type", [b""])[0].split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise _RefusedError(403, "the request is not application/json")

    def _check_token(self, headers: dict[bytes, list[bytes]]) -> None:
        if not self._token:
            return
        given = [value.removeprefix(b"Bearer ") for value in headers.get(b"authorization", [])]
        for line in headers.get(b"cookie", []):
            try:
                cookie = SimpleCookie(line.decode("latin-1"))
            except CookieError:
                continue
            if self._cookie_name in cookie:
                given.append(cookie[self._cookie_name].value.encode("latin-1"))
        if not any(hmac.compare_digest(one, self._token.encode()) for one in given):
            raise _RefusedError(
                401, f"open the address that `ganime {self._name}` printed, with its token"
            )

    def _redirect(self, scope: Scope) -> bytes | None:
        """Where a request with the right token in its address goes: the same without the token."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = query.pop("token", [])
        if not given or not self._token or scope["method"] != "GET" or scope["path"] != "/":
            return None
        if not hmac.compare_digest(given[0].encode(), self._token.encode()):
            raise _RefusedError(
                401, f"the token is wrong: open the address that `ganime {self._name}` printed"
            )
        rest = urlencode(query, doseq=True)
        return f"/?{rest}".encode() if rest else b"/"

    @property
    def _cookie_name(self) -> str:
        return f"ganime_{self._name}"

    def _cookie(self) -> tuple[bytes, bytes]:
        text = f"{self._cookie_name}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        return b"set-cookie", text.encode()

    async def _whole(self, receive: Receive) -> Receive:
        """The body, read before the app sees any of it: one without a length is counted."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_body:
                raise _RefusedError(413, f"the request is longer than {self._max_body} bytes")
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


def _name(host: str) -> str:
    """Host name without port; lower case, as in addresses."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name.lower(), value) for name, value in message.get("headers", [])]
            names = {name for name, _ in own}
            # An answer may say more strictly what it is, as originals do.
            message["headers"] = own + [pair for pair in _HEADERS if pair[0] not in names]
        await send(message)

    return sending


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status, "headers": [length, *headers]}
    await _with_headers(send)(start)
    await send({"type": "http.response.body", "body": body})
