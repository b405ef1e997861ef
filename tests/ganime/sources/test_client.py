import asyncio
import itertools
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

import ganime
from ganime.errors import SourceUnavailable
from ganime.sources import Budget, SiteFacts
from ganime.sources.addresses import AddressRefused, Guard, PublicResolver, is_loopback
from ganime.sources.budgets import HostBudget
from ganime.sources.client import CannotConnect, Client, HostBusy, _retry_after, user_agent

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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
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
    assert 28 < _retry_after(soon) <= 30
    assert _retry_after("30") == 30
    assert _retry_after("soon") == 0
    assert _retry_after("") == 0


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


def test_a_budget_spaces_requests_over_all_threads():
    budget = HostBudget(Budget(rate_per_s=20, in_flight=4))
    starts, most, running = [], 0, 0
    lock = threading.Lock()

    async def ask():
        nonlocal most, running
        async with budget.request():
            with lock:
                starts.append(time.monotonic())
                running += 1
                most = max(most, running)
            await asyncio.sleep(0.3)
            with lock:
                running -= 1

    async def several():
        await asyncio.gather(*(ask() for _ in range(4)))

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts.sort()
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert len(starts) == 12
    assert min(gaps) > 0.04
    assert most == 4


def test_a_paused_host_is_left_alone():
    budget = HostBudget(Budget(rate_per_s=100, in_flight=1))
    budget.pause(0.3)

    async def ask():
        async with budget.request():
            return time.monotonic()

    start = time.monotonic()
    assert asyncio.run(ask()) - start >= 0.3


@pytest.mark.parametrize("wrong", [{"rate_per_s": 0}, {"rate_per_s": 1e9}, {"in_flight": 0}])
def test_a_budget_cannot_be_unlimited(wrong):
    with pytest.raises(ValueError, match="no budget"):
        Budget(**{"rate_per_s": 1, "in_flight": 1, **wrong})
