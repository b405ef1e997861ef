"""What strangers send: nothing of it is a server's error, and each refusal says why."""

import http.client
import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import httpx
import pytest
from httpx import Client

from ganime.store.workspace import Workspace
from ganime.studio.characters import Character, character_of
from ganime.studio.serve import StudioConfig, service_of
from ganime.studio.service import Service

Serving = Callable[..., AbstractContextManager[str]]
TOKEN = "0123456789abcdefghij"
JSON = {"Content-Type": "application/json"}
FAIR: dict[str, dict[str, Any]] = {
    "images": {"count": 2},
    "neighbours": {"seed": 1, "count": 1},
    "diverse": {"count": 1, "pool": 2},
    "interpolations": {"seeds": [1, 2], "frames": 2, "format": "strip"},
    "sprites": {"images": [{"seed": 1}]},
}
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**400, 0.5, 1e308, -0.0),
    *("", "x", "plain", "../../etc/passwd", "\u0000", "\u202e", "9" * 5000, "x" * 100_000),
    *([], [[]], [1], [1, 2], [None], [[1.0] * 16], [[1.0] * 17], [-1], list(range(1000))),
    *({}, {"seed": 1}, {"seed": 1, "layers": [99]}, {"pca-1": 1e9}, {"x": "y"}, [{"seed": 1}] * 2),
)


def refused(answer: httpx.Response) -> None:
    """A refusal in words, in the one form that all have."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert problem["status"] == answer.status_code
    assert problem["detail"]


def test_random_bodies_are_answered_or_refused_in_words(client: Client) -> None:
    """Fields drawn from the API's own description, with any values."""
    described = client.get("/v1/openapi.json").json()
    choose = random.Random(0)
    for route, fair in FAIR.items():
        body = described["paths"][f"/v1/{route}"]["post"]["requestBody"]["content"]
        name = body["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert client.post(f"/v1/{route}", json=fair).is_success
        fields = [*described["components"]["schemas"][name]["properties"], "unknown"]
        for _ in range(50):
            changes = choose.sample(fields, choose.choice((1, 1, 2)))
            text = json.dumps({**fair, **{field: choose.choice(VALUES) for field in changes}})
            answer = client.post(f"/v1/{route}", content=text, headers=JSON)
            assert answer.status_code < 500, (route, text[:200], answer.text)
            if answer.is_error:
                refused(answer)


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("images", {"count": 10**9}, "64"),
        ("images", {"seeds": [*range(65)]}, "64"),
        ("images", {"seeds": [2**53]}, "9007199254740991"),
        ("images", {"size": 100_000}, "1024"),
        ("images", {"tags": ["dress"]}, "without tags"),
        ("images", {"model": "tagged001", "tags": ["dresss"]}, "dress"),
        ("images", {"model": "nobody"}, "no model is called"),
        ("images", {"model": "plain0001@65"}, r"[64]"),
        ("images", {"mix": {"seed": 1}}, "no styles"),
        ("images", {"model": "styled001", "mix": {"seed": 1, "layers": [8]}}, "0 to 7"),
        ("images", {"shift": {"smile": 1}}, "pca-1"),
        ("images", {"codes": [[1.0]]}, "[16]"),
        ("images", {"format": "jpeg", "background": "transparent"}, "png or webp"),
        ("diverse", {"pool": 513}, "512"),
        ("diverse", {"pool": 4, "count": 5}, "too few"),
        ("interpolations", {"seeds": [1, 2], "frames": 241}, "240"),
        ("interpolations", {}, "two or more"),
        ("sprites", {"images": [{"seed": 1}] * 65}, "64"),
        ("neighbours", {"seed": 1, "distance": 2}, "1"),
    ],
)
def test_a_limit_is_named_when_it_is_passed(
    client: Client, route: str, body: dict[str, Any], said: str
) -> None:
    answer = client.post(f"/v1/{route}", json=body)
    assert answer.status_code in (404, 422)
    refused(answer)
    assert said in answer.json()["detail"]


def test_what_is_no_json_is_refused(client: Client) -> None:
    bodies = (b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":' * 50_000, b'{"truncation": NaN}')
    for body in (*bodies, b'{"truncation": Infinity}', b'{"seeds": [' + b"9" * 5000 + b"]}"):
        answer = client.post("/v1/images", content=body, headers=JSON)
        assert answer.status_code in (400, 422), body[:20]
        refused(answer)


def test_a_hundred_megabytes_are_not_read(client: Client) -> None:
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
    connection.request("POST", "/v1/images", b"{", {**JSON, "Content-Length": "100000000"})
    assert connection.getresponse().status == 413  # before the rest is sent
    connection.close()

    def pieces() -> Iterator[bytes]:
        yield from [b" " * 1_000_000] * 100

    with suppress(httpx.WriteError):  # the server may hang up before all is sent: as good
        assert client.post("/v1/images", content=pieces(), headers=JSON).status_code == 413


def test_names_of_images_that_hold_no_settings_are_refused(client: Client) -> None:
    deep = Character(seed=1).name()
    for name in ("x", "e30", "bnVsbA", "W10", deep[:-3], deep + "A", "a" * 50_000, "%00", "-_-_"):
        answer = client.get(f"/v1/images/{name}.png")
        assert answer.status_code in (404, 422), name[:20]
        refused(answer)
    assert client.get(f"/v1/images/{deep}.svg").status_code == 422


def test_settings_come_back_out_of_their_name() -> None:
    one = Character(
        model="m@1", seed=2**53 - 1, tags=("très_long", "☃"), truncation=0.1, shift={"pca-1": -2.5}
    )
    assert character_of(one.name()) == one


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_a_post_from_another_site_is_refused(client: Client, headers: dict[str, str]) -> None:
    answer = client.post("/v1/images", content="{}", headers={**JSON, **headers})
    assert answer.status_code == 403
    refused(answer)


def test_what_is_asked_the_wrong_way_is_told_the_right_one(client: Client) -> None:
    for method, path, right in (
        ("PUT", "/v1/images", "GET, HEAD, POST"),
        ("GET", "/v1/neighbours", "POST"),
        ("POST", "/v1/models", "GET"),
    ):
        answer = client.request(method, path, headers=JSON)
        assert (answer.status_code, answer.headers["allow"]) == (405, right)
        refused(answer)


def test_another_name_for_this_machine_is_refused(client: Client) -> None:
    answer = client.get("/v1/models", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    refused(answer)


def test_with_a_token_nothing_is_answered_without_it(service: Service, serve_with: Serving) -> None:
    with serve_with(service, TOKEN) as url, Client(base_url=url, timeout=60) as stranger:
        for path in ("/", "/v1/models", "/metrics", "/healthz", "/v1/openapi.json"):
            assert stranger.get(path).status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert stranger.get("/v1/models", headers=bearer).status_code == 200
        assert stranger.get("/", params={"token": TOKEN}).status_code == 303
        assert stranger.get("/v1/models").status_code == 200  # by the cookie


def test_a_damaged_model_hides_no_other(client: Client, workspace: Workspace) -> None:
    key = "models/styled001/snapshots/000000064.safetensors"
    workspace.write_bytes(key, b"nothing")
    names = [one["name"] for one in client.get("/v1/models").json()["models"]]
    assert names == ["plain0001", "tagged001"]
    answer = client.post("/v1/images", json={"model": "styled001"})
    assert answer.status_code == 503
    refused(answer)


def test_an_empty_workspace_says_what_is_missing(workspace: Workspace, serve_with: Serving) -> None:
    empty = Workspace(f"{workspace.url}/empty")
    service = service_of(empty, StudioConfig())
    with serve_with(service) as url, Client(base_url=url, timeout=60) as visitor:
        assert visitor.get("/v1/models").json() == {"models": []}
        answer = visitor.post("/v1/images", json={})
        assert answer.status_code == 404
        assert "train one first" in answer.json()["detail"]
    service.close()


def test_what_takes_too_long_is_given_up(workspace: Workspace, serve_with: Serving) -> None:
    service = service_of(workspace, StudioConfig(timeout_s=0.0001))
    with serve_with(service) as url, Client(base_url=url, timeout=60) as visitor:
        answer = visitor.post("/v1/images", json={"model": "plain0001", "count": 64, "sheet": True})
        assert answer.status_code == 504
        refused(answer)
        assert "retry-after" in answer.headers
    service.close()
