import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from httpx import Client

from ganime.errors import ConfigError, StoreError
from ganime.review.serve import ReviewConfig
from ganime.review.service import Service
from ganime.store.labels import LabelLog
from ganime.web.server import address, listen, token_for

Serving = Callable[..., AbstractContextManager[str]]
TOKEN = "0123456789abcdefghij"


def a_label(client: Client) -> dict[str, object]:
    image_id = client.get("/api/images").json()["items"][0]["id"]
    one = {"image_id": image_id, "question": "keep", "answer": True, "expected": None}
    return {"by": "ann", "labels": [one]}


def raw(url: str, request: bytes) -> bytes:
    """What a client gets that obeys no rule."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), 10) as connection:
        connection.sendall(request)
        connection.settimeout(10)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
        return found


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "[::1", "user@"]
)
def test_another_name_for_this_machine_is_refused(client: Client, host: str) -> None:
    answer = client.get("/api/dataset", headers={"Host": host})
    assert answer.status_code in (400, 421)  # uvicorn itself refuses what is no host at all
    assert "dataset" not in answer.text


def test_two_hosts_are_refused(client: Client) -> None:
    request = b"GET /api/dataset HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n"
    answer = raw(str(client.base_url), request + b"Connection: close\r\n\r\n")
    assert answer.split(b" ")[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"X-Ganime": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_a_post_from_another_site_is_refused(
    client: Client, service: Service, headers: dict[str, str]
) -> None:
    told = {"Content-Type": "application/json", **headers}
    answer = client.post("/api/labels", content=json.dumps(a_label(client)), headers=told)
    assert answer.status_code == 403
    assert LabelLog(service.workspace).events() == []


def test_a_post_from_our_own_page_is_taken(client: Client) -> None:
    origin = str(client.base_url).rstrip("/")
    answer = client.post("/api/labels", json=a_label(client), headers={"Origin": origin})
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    answer = client.request(method, "/api/labels")
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


def test_a_request_that_is_too_long_is_refused_with_and_without_a_length(client: Client) -> None:
    told = {"Content-Type": "application/json"}
    body = b" " * 1_000_001
    assert client.post("/api/labels", content=body, headers=told).status_code == 413

    def pieces() -> Iterator[bytes]:
        yield from [b" " * 100_000] * 11

    with suppress(httpx.WriteError):  # the server may hang up before all is sent: as good
        assert client.post("/api/labels", content=pieces(), headers=told).status_code == 413


def test_broken_json_is_answered_in_words(client: Client) -> None:
    told = {"Content-Type": "application/json"}
    for body in (b"{", b"\xff\xfe", b"[" * 50_000, b"null", b'{"by": NaN}'):
        answer = client.post("/api/labels", content=body, headers=told)
        assert answer.status_code in (400, 422), body[:10]
        assert list(answer.json()) == ["error"]


def test_every_answer_says_that_nothing_foreign_may_run(client: Client) -> None:
    for path in ("/", "/api/dataset", "/nothing", "/api/images/xyz", "/static/index.html"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def test_no_path_leads_out_of_the_page(client: Client) -> None:
    for path in (
        *("/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e%2fapp.py"),
        *("/static//etc/passwd", "/originals/../../labels.db", "/thumbnails/..%2f..%2flabels.db"),
        *("/originals/" + "a" * 63 + "%00", "/api/models/../../etc/metrics"),
        *("/api/models/..%2f..%2f/samples/1", "/api/thresholds/..%2f..?value=1"),
    ):
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        status = raw(str(client.base_url), request.encode()).split(b" ")[1]
        assert status in (b"404", b"422"), path


def test_with_a_token_nothing_is_answered_without_it(service: Service, serve_with: Serving) -> None:
    with serve_with(service, TOKEN) as url, Client(base_url=url) as stranger:
        for path in ("/", "/api/dataset", "/static/index.html", "/thumbnails/" + "0" * 64):
            assert stranger.get(path).status_code == 401
        assert stranger.get("/?token=wrong").status_code == 401
        assert stranger.get("/api/dataset?token=" + TOKEN).status_code == 401  # only at the door
        wrong = {"Cookie": "ganime_review=wrong"}
        assert stranger.get("/api/dataset", headers=wrong).status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert stranger.get("/api/dataset", headers=bearer).status_code == 200


def test_the_first_address_leaves_a_cookie_and_no_token_in_the_address(
    service: Service, serve_with: Serving
) -> None:
    with serve_with(service, TOKEN) as url, Client(base_url=url) as browser:
        first = browser.get("/", params={"token": TOKEN, "rule": "chibi"})
        assert (first.status_code, first.headers["location"]) == (303, "/?rule=chibi")
        assert "HttpOnly" in first.headers["set-cookie"]
        assert "SameSite=Strict" in first.headers["set-cookie"]
        assert browser.get("/api/dataset").status_code == 200


def test_an_unexpected_error_shows_no_traceback(client: Client, service: Service) -> None:
    service.stories = None  # type: ignore[assignment]
    image_id = client.get("/api/images").json()["items"][0]["id"]
    answer = client.get(f"/api/images/{image_id}")
    assert answer.status_code == 500
    assert list(answer.json()) == ["error"]
    assert "NoneType" not in answer.text


def test_beyond_loopback_there_is_always_a_token() -> None:
    assert token_for(ReviewConfig()) == ""
    assert len(token_for(ReviewConfig(host="192.0.2.1"))) > 30
    assert len(token_for(ReviewConfig(token_required=True))) > 30
    assert token_for(ReviewConfig(), TOKEN) == TOKEN
    with pytest.raises(ConfigError, match="at least 16"):
        token_for(ReviewConfig(host="192.0.2.1"), "1234")
    with pytest.raises(ConfigError, match="hosts"):
        ReviewConfig.parse({"host": "0.0.0.0"})


def test_a_taken_port_is_said_with_a_way_out() -> None:
    first = listen(ReviewConfig(port=0))
    port = first.getsockname()[1]
    with pytest.raises(StoreError, match="--port 0"):
        listen(ReviewConfig(port=port))
    first.close()
    assert address(ReviewConfig(), 8400, "x") == "http://127.0.0.1:8400/?token=x"
    assert address(ReviewConfig(host="::1"), 8400, "") == "http://[::1]:8400/"
