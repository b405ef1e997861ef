import asyncio
import contextlib
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.resolver import ThreadedResolver
from yarl import URL

import ganime
from ganime.errors import SourceRefused, SourceUnavailable
from ganime.sources import Budget, SiteFacts, sessions
from ganime.sources.addresses import AddressRefused, Guard, PublicResolver, is_loopback
from ganime.sources.client import CannotConnect, Client, HostBusy, TurnedAway, user_agent
from ganime.sources.coordinator import Coordinator
from ganime.sources.retries import retry_after

FACTS = SiteFacts(
    hosts=("booru.example",),
    page_limit=100,
    list_budget=Budget(rate_per_s=1, in_flight=1),
    file_budget=Budget(rate_per_s=4, in_flight=4),
)


def get(root, url, **options):
    async def work():
        async with Client(FACTS, root, "tester") as client:
            return await client.get(url, **{"purpose": "file", "max_bytes": 10_000, **options})

    return asyncio.run(work())


def answering(*responses):
    """A handler that gives these answers in turn, the last one for ever."""
    waiting = list(responses)

    async def handler(request):
        make = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return make() if callable(make) else await make

    return handler


def test_a_body_comes_whole_with_its_status(serve):
    server = serve(answering(lambda: web.Response(body=b"pixels")))
    received = get(server.url, f"{server.url}/a.jpg", params={"tags": "1girl id:<5 a+b"})
    assert (received.content, received.status, received.problem) == (b"pixels", 200, None)
    assert server.requests[0].query["tags"] == "1girl id:<5 a+b"


def test_it_names_the_project_and_the_user(serve):
    server = serve(answering(lambda: web.Response(body=b"x")))
    get(server.url, server.url)
    said = server.requests[0].headers["User-Agent"]
    assert said == user_agent("tester") == f"ganime/{ganime.__version__} (dataset crawler; tester)"


def test_files_are_asked_for_uncompressed(serve):
    server = serve(answering(lambda: web.Response(body=b"x")))
    get(server.url, server.url)
    get(server.url, server.url, purpose="list")
    assert server.requests[0].headers["Accept-Encoding"] == "identity"
    assert "gzip" in server.requests[1].headers["Accept-Encoding"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_error_is_tried_again(serve, status):
    server = serve(answering(lambda: web.Response(status=status), lambda: web.Response(body=b"x")))
    assert get(server.url, server.url).content == b"x"
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 410, 451])
def test_an_error_that_stays_is_answered_at_once(serve, status):
    server = serve(answering(lambda: web.Response(status=status)))
    assert get(server.url, server.url).status == status
    assert len(server.requests) == 1


def test_retry_after_is_waited_for(serve):
    busy = lambda: web.Response(status=429, headers={"Retry-After": "1"})  # noqa: E731
    server = serve(answering(busy, lambda: web.Response(body=b"x")))
    start = time.monotonic()
    assert get(server.url, server.url).content == b"x"
    assert time.monotonic() - start >= 1


def test_a_long_retry_after_ends_the_run_and_says_so(serve):
    server = serve(answering(lambda: web.Response(status=503, headers={"Retry-After": "7200"})))
    with pytest.raises(HostBusy, match="asks to wait 7200 s") as raised:
        get(server.url, server.url)
    assert raised.value.status == 503
    assert len(server.requests) == 1


def test_retry_after_may_be_a_date_or_nonsense():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < retry_after(soon) <= 30
    assert retry_after("30") == 30
    assert retry_after("soon") == 0
    assert retry_after("") == 0


def test_tries_are_counted(serve):
    server = serve(answering(lambda: web.Response(status=503)))
    with pytest.raises(SourceUnavailable, match="answers 503"):
        get(server.url, server.url)
    assert len(server.requests) == 5


def test_a_closed_port_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(CannotConnect, match=f"cannot reach {url}: connection refused; is it up"):
        get(url, url)


@contextlib.contextmanager
def silent_port():
    """The URL of a port whose queue is full: what asks for a connection is dropped unanswered."""
    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_host_that_drops_what_is_sent_is_tried_twice_and_named(monkeypatch):
    monkeypatch.setattr(sessions, "_TIMEOUT", aiohttp.ClientTimeout(sock_connect=0.3))
    journal = []

    async def work():
        async with Client(FACTS, url, "tester") as client:
            await client.recording(journal).get(url, purpose="list", max_bytes=9)

    with silent_port() as url, pytest.raises(CannotConnect, match=f"{url}: it does not answer"):
        asyncio.run(work())
    assert [attempt.outcome for attempt in journal] == ["unreachable", "unreachable"]


def test_a_name_that_nobody_knows_is_named(monkeypatch):
    async def unknown(self, host, port=0, family=socket.AF_INET):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def at_once(attempt, at_least_s, *, loopback):
        waits.append(attempt)

    waits = []
    monkeypatch.setattr(ThreadedResolver, "resolve", unknown)
    monkeypatch.setattr("ganime.sources.client.back_off", at_once)
    url = "http://boorru.example"
    with pytest.raises(CannotConnect, match=r"boorru\.example: no host of that name is known"):
        get(url, url)
    assert waits == [0, 1, 2]


def test_a_host_whose_robots_txt_cannot_be_had_is_named_as_unreachable(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(CannotConnect, match="connection refused"):
        ask_of(rehearsing(url, coordinator=Coordinator(tmp_path)), f"{url}/a.png")


def test_a_body_shorter_than_announced_is_truncated(serve):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"only this")
        request.transport.close()
        return response

    server = serve(cut)
    received = get(server.url, server.url)
    assert (received.problem, received.content) == ("truncated", b"")
    assert len(server.requests) == 5


def test_an_announced_giant_is_not_read(serve):
    server = serve(answering(lambda: web.Response(body=b"x" * 20_000)))
    assert get(server.url, server.url).problem == "too_large"


def test_an_unannounced_giant_is_cut_off(serve):
    async def endless(request):
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 4096)

    assert get(serve(endless).url, serve(endless).url).problem == "too_large"


def test_a_redirect_on_the_site_is_followed(serve):
    async def handler(request):
        if request.path == "/old":
            raise web.HTTPFound("/new")
        return web.Response(body=b"new")

    server = serve(handler)
    assert get(server.url, f"{server.url}/old").content == b"new"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "ftp://booru.example/a",
        "http://10.0.0.1/",
        "http://booru.example/a.jpg",  # a server on this machine may not send us out
        "http://[::1",
        "//evil.example/a.jpg",
    ],
)
def test_a_redirect_away_from_the_site_is_refused(serve, target):
    server = serve(answering(lambda: web.Response(status=302, headers={"Location": target})))
    with pytest.raises(AddressRefused):
        get(server.url, server.url)
    assert len(server.requests) == 1


def test_a_redirect_in_circles_ends(serve):
    server = serve(answering(lambda: web.Response(status=302, headers={"Location": "/"})))
    with pytest.raises(AddressRefused, match="redirects more than 5 times"):
        get(server.url, server.url)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://booru.example/a.jpg", True),
        ("https://img.booru.example/a.jpg", True),
        ("https://BOORU.example/a.jpg", True),
        ("https://notbooru.example/a.jpg", False),
        ("https://booru.example.evil.org/a.jpg", False),
        ("https://booru.example@evil.org/a.jpg", False),
        ("http://127.0.0.1/a.jpg", False),
        ("http://localhost/a.jpg", False),
        ("http://2130706433/a.jpg", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_only_the_sites_hosts_may_be_asked(url, allowed):
    guard = Guard("https://booru.example", FACTS.hosts)
    if allowed:
        guard.check(url)
        return
    with pytest.raises(AddressRefused):
        guard.check(url)


def test_https_is_not_given_up_on_a_redirect():
    with pytest.raises(AddressRefused, match="plain http"):
        Guard("https://booru.example", FACTS.hosts).check(
            "http://booru.example/a", "https://booru.example/a"
        )


def test_a_public_name_that_points_into_a_private_network_is_refused():
    # `localhost` stands for any name whose DNS entry is private.
    async def resolve():
        guard = Guard("https://booru.example", ("localhost",))
        await PublicResolver(guard).resolve("localhost", 80)

    with pytest.raises(OSError, match="private address"):
        asyncio.run(resolve())


def test_loopback_is_known_by_name_only():
    assert all(
        map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
    )
    assert not any(map(is_loopback, ["localhost.example", "10.0.0.1", "booru.example", "0.0.0.0"]))


def test_this_machine_is_asked_without_the_proxy(serve, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = serve(answering(lambda: web.Response(body=b"x")))
    assert get(server.url, server.url).content == b"x"


def test_a_public_site_is_asked_through_the_environments_proxy(serve, monkeypatch, tmp_path):
    proxy = serve(answering(lambda: web.Response(body=b"x")))
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:secret@"))
    client = Client(FACTS, "http://booru.example", coordinator=Coordinator(tmp_path))
    received = ask_of(client, "http://booru.example/a.png")
    assert (received.content, received.url) == (b"x", "http://booru.example/a.png")
    assert {str(request.url) for request in proxy.requests} == {
        "http://booru.example/robots.txt",
        "http://booru.example/a.png",
    }
    said = proxy.requests[0].headers["Proxy-Authorization"]
    assert said == aiohttp.encode_basic_auth("me", "secret")


@pytest.mark.parametrize("no_proxy", ["booru.example", "*"])
def test_a_host_in_no_proxy_is_asked_directly(monkeypatch, no_proxy):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert asyncio.run(is_asked_directly("http://booru.example/a.png"))


async def is_asked_directly(url):
    opened = sessions.Sessions(Guard("http://booru.example", FACTS.hosts), "tester")
    try:
        return opened.of(URL(url)) is opened.of(URL("http://127.0.0.1"))
    finally:
        await opened.close()


def test_a_proxy_that_cannot_be_used_is_named_and_left_aside(monkeypatch, caplog):
    monkeypatch.setenv("https_proxy", "socks5://me:secret@127.0.0.1:9")
    assert asyncio.run(is_asked_directly("https://booru.example/a.png"))
    assert "https_proxy is socks5://127.0.0.1:9" in caplog.text


@pytest.mark.parametrize("wrong", [{"rate_per_s": 0}, {"rate_per_s": 1e9}, {"in_flight": 0}])
def test_a_budget_cannot_be_unlimited(wrong):
    with pytest.raises(ValueError, match="no budget"):
        Budget(**{"rate_per_s": 1, "in_flight": 1, **wrong})


def file_of(content, etag='"v1"', *, cut_at=None):
    """A handler that serves a file by ranges, and closes the connection in the first answers."""
    cuts = list(cut_at or [])

    async def handler(request):
        start = 0
        if "Range" in request.headers and request.headers.get("If-Range") == etag:
            start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
        rest = content[start:]
        headers = {"Content-Length": str(len(rest)), "ETag": etag, "Content-Type": "image/png"}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        if cuts:
            await response.write(rest[: cuts.pop(0)])
            await asyncio.sleep(0.05)
            request.transport.close()
            return response
        await response.write(rest)
        return response

    return handler


def test_a_body_that_breaks_off_is_resumed_where_it_stopped(serve):
    server = serve(file_of(bytes(range(250)), cut_at=[100, 50]))
    received = get(server.url, server.url)
    assert (received.content, received.problem) == (bytes(range(250)), None)
    asked = [request.headers.get("Range") for request in server.requests]
    assert asked == [None, "bytes=100-", "bytes=150-"]


def test_a_body_without_a_strong_validator_is_asked_for_whole(serve):
    server = serve(file_of(bytes(250), etag='W/"v1"', cut_at=[100]))
    assert get(server.url, server.url).content == bytes(250)
    assert [request.headers.get("Range") for request in server.requests] == [None, None]


def test_a_file_that_changed_in_between_is_taken_anew(serve):
    calls = []

    async def handler(request):
        calls.append(request)
        return await (old if len(calls) == 1 else new)(request)

    old, new = file_of(b"a" * 200, '"v1"', cut_at=[100]), file_of(b"b" * 300, '"v2"')
    server = serve(handler)
    assert get(server.url, server.url).content == b"b" * 300


def test_a_long_body_lies_on_disk_until_the_client_is_closed(serve, tmp_path):
    content = bytes(range(256)) * 20_000
    server = serve(answering(lambda: web.Response(body=content)))

    async def work():
        shared = Coordinator(tmp_path)
        async with Client(FACTS, server.url, coordinator=shared) as client:
            received = await client.get(server.url, purpose="file", max_bytes=10_000_000)
            assert received.content == b""
            assert received.num_bytes == len(content)
            assert received.read() == content
            assert received.read(3) == content[:3]
            return received

    assert not asyncio.run(work()).file.exists()


def test_401_stops_the_crawl_at_once_and_for_a_while(serve):
    server = serve(answering(lambda: web.Response(status=401)))
    with pytest.raises(TurnedAway, match="wants valid credentials"):
        get(server.url, server.url)
    with pytest.raises(TurnedAway, match="a short while ago"):
        get(server.url, server.url)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize(
    "answer",
    [
        {"headers": {"cf-mitigated": "challenge"}},
        {"text": "<html><title>Just a moment...</title></html>", "content_type": "text/html"},
    ],
)
def test_a_challenge_for_browsers_is_not_tried_again(serve, status, answer):
    server = serve(answering(lambda: web.Response(status=status, **answer)))
    with pytest.raises(TurnedAway, match="challenge"):
        get(server.url, server.url)
    assert len(server.requests) == 1


def test_another_user_is_not_blocked_by_the_first_ones_refusal(serve, tmp_path):
    server = serve(answering(lambda: web.Response(status=401), lambda: web.Response(body=b"x")))
    shared = Coordinator(tmp_path)

    async def ask(user):
        async with Client(FACTS, server.url, user, coordinator=shared) as client:
            return await client.get(server.url, purpose="list", max_bytes=10)

    with pytest.raises(TurnedAway):
        asyncio.run(ask("one"))
    assert asyncio.run(ask("two")).content == b"x"


def test_secrets_go_on_the_wire_and_nowhere_else(serve):
    server = serve(answering(lambda: web.Response(body=b"x")))
    journal = []

    async def work():
        async with Client(FACTS, server.url) as client:
            client = client.recording(journal)
            return await client.get(
                f"{server.url}/index.php",
                purpose="list",
                max_bytes=10,
                params={"tags": "1girl"},
                secrets={"api_key": "very-secret"},
            )

    received = asyncio.run(work())
    assert server.requests[0].query["api_key"] == "very-secret"
    assert "very-secret" not in repr(received) + repr(journal)
    assert journal[0].url.endswith("/index.php?tags=1girl")


def test_credentials_do_not_follow_a_redirect_to_another_host(serve):
    there = serve(answering(lambda: web.Response(body=b"x")))
    here = serve(
        answering(lambda: web.Response(status=302, headers={"Location": f"{there.url}/a"}))
    )
    headers = {"Authorization": "Basic abc", "Referer": "r"}
    get(here.url, here.url, headers=headers, secrets={"api_key": "very-secret"})
    assert here.requests[0].headers["Authorization"] == "Basic abc"
    assert "Authorization" not in there.requests[0].headers
    assert there.requests[0].headers["Referer"] == "r"
    assert there.requests[0].query_string == ""


def test_every_request_is_written_down(serve):
    server = serve(
        answering(
            lambda: web.Response(status=503),
            lambda: web.Response(status=302, headers={"Location": "/there"}),
            lambda: web.Response(body=b"pixels", content_type="image/png"),
        )
    )
    journal = []

    async def work():
        async with Client(FACTS, server.url) as client:
            await client.recording(journal).get(server.url, purpose="file", max_bytes=10)

    asyncio.run(work())
    assert [(made.outcome, made.http_status, made.num_bytes) for made in journal] == [
        ("http_503", 503, 0),
        ("redirected", 302, 0),
        ("ok", 200, 6),
    ]
    assert journal[2].content_type == "image/png"
    assert journal[2].url == f"{server.url}/there"


def rehearsing(root, **options):
    facts = SiteFacts(
        hosts=("booru.example",),
        page_limit=100,
        list_budget=Budget(rate_per_s=50, in_flight=4),
        file_budget=Budget(rate_per_s=50, in_flight=4),
        documented=("/api",),
    )
    return Client(facts, root, rehearse=True, **options)


def robots(text):
    async def handler(request):
        if request.path == "/robots.txt":
            return web.Response(text=text)
        return web.Response(body=b"x")

    return handler


def ask_of(client, url, purpose="file"):
    async def work():
        async with client:
            return await client.get(url, purpose=purpose, max_bytes=1000)

    return asyncio.run(work())


def test_robots_txt_is_read_once_and_obeyed(serve, tmp_path):
    server = serve(robots("User-agent: *\nDisallow: /private/\n"))
    shared = Coordinator(tmp_path)
    allowed = ask_of(rehearsing(server.url, coordinator=shared), f"{server.url}/a.png")
    refused = ask_of(rehearsing(server.url, coordinator=shared), f"{server.url}/private/a.png")
    assert (allowed.content, refused.problem) == (b"x", "robots")
    assert [request.path for request in server.requests] == ["/robots.txt", "/a.png"]


def test_a_list_that_robots_txt_forbids_is_refused_in_words(serve, tmp_path):
    server = serve(robots("User-agent: ganime\nDisallow: /\n"))
    with pytest.raises(SourceRefused, match=r"robots.txt"):
        ask_of(rehearsing(server.url, coordinator=Coordinator(tmp_path)), server.url, "list")


def test_documented_paths_are_for_programs_whatever_robots_txt_says(serve, tmp_path):
    server = serve(robots("User-agent: *\nDisallow: /\n"))
    client = rehearsing(server.url, coordinator=Coordinator(tmp_path))
    assert ask_of(client, f"{server.url}/api/posts", "list").content == b"x"


def test_robots_may_be_disobeyed_by_those_who_say_so(serve, tmp_path):
    server = serve(robots("User-agent: *\nDisallow: /\n"))
    client = rehearsing(server.url, coordinator=Coordinator(tmp_path), obey_robots=False)
    assert ask_of(client, f"{server.url}/a.png").content == b"x"
    assert [request.path for request in server.requests] == ["/a.png"]


def test_a_crawl_delay_slows_the_budget_down(serve, tmp_path):
    server = serve(robots("User-agent: *\nCrawl-delay: 0.5\n"))

    async def work():
        async with rehearsing(server.url, coordinator=Coordinator(tmp_path)) as client:
            for _ in range(3):
                await client.get(server.url, purpose="file", max_bytes=10)

    start = time.monotonic()
    asyncio.run(work())
    assert time.monotonic() - start >= 1.0


def test_a_host_whose_robots_txt_fails_is_not_asked(serve, tmp_path):
    async def handler(request):
        return web.Response(status=500)

    server = serve(handler)
    with pytest.raises(SourceUnavailable):
        ask_of(rehearsing(server.url, coordinator=Coordinator(tmp_path)), f"{server.url}/a.png")
    assert {request.path for request in server.requests} == {"/robots.txt"}


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ([], False),
        (["noindex"], False),
        (["noai"], True),
        (["noindex, NoImageAI"], True),
        (["otherbot: noai"], False),
        (["ganime: noai"], True),
    ],
)
def test_files_that_are_not_for_training_are_left_alone(serve, headers, refused):
    def answer():
        response = web.Response(body=b"x")
        for value in headers:
            response.headers.add("X-Robots-Tag", value)
        return response

    server = serve(answering(answer))
    assert (get(server.url, server.url).problem == "noai") == refused
