"""A question learned again from the page: here in a process, or by a Prefect server."""

import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import numpy as np
import pytest
from httpx import Client

from ganime.config import Config
from ganime.errors import ConfigError
from ganime.relearn import relearn
from ganime.review.orchestrator import Orchestrator
from ganime.review.service import Service
from ganime.rows import FeatureRow
from ganime.stages import classify
from ganime.stages.classify import ClassifyConfig
from ganime.store.explain import explain
from ganime.store.labels import Answer, LabelLog
from ganime.store.lineage import crawled_images, crawls
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

_FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run")
_SCOPE = "drawn-features"


def shade(image_id: str) -> float:
    """What the images of these tests differ in, 0-1: who looks at it can answer."""
    return int(image_id[:2], 16) / 255


@pytest.fixture
def learned(workspace: Workspace, decide_by: Callable[..., str]) -> Workspace:
    """A dataset that obeys a real classifier, which learned from thirty of ann's answers."""
    images = crawled_images(workspace, crawls(workspace))
    random = np.random.default_rng(0)
    rows = [
        FeatureRow(
            image_id=image_id,
            features=[shade(image_id) * 4, *random.normal(0, 1, 7).tolist()],
            run_id="run",
        )
        for image_id in images.ids.to_pylist()
    ]
    Table(workspace, FeatureRow, _SCOPE).write("features", rows, _FROM)
    answer(workspace, images.ids.to_pylist()[::2])
    config = ClassifyConfig.parse({"questions": [{"question": "chibi"}], "min_precision": 0.2})
    tags = {image.image_id: frozenset(image.tags) for image in images}
    labels = LabelLog(workspace).current()
    fitted = classify.fit(workspace, config, _SCOPE, tags, labels, "run")
    classify.score(workspace, fitted["chibi"], sorted(tags), "run")
    threshold = classify.load_figures(workspace, fitted["chibi"])["threshold"]
    decide_by(workspace, {"chibi": (fitted["chibi"], threshold)})
    return workspace


def answer(workspace: Workspace, ids: list[str], by: str = "ann") -> None:
    told = [Answer(image_id=one, question="chibi", answer=shade(one) > 0.5) for one in ids]
    LabelLog(workspace).append(told, by=by, how="by hand")


def unanswered(workspace: Workspace) -> list[str]:
    done = {row.image_id for row in LabelLog(workspace).current()}
    return [
        one
        for one in crawled_images(workspace, crawls(workspace)).ids.to_pylist()
        if one not in done
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_axe_finds_nothing_on_questions_that_have_figures(
    learned: Workspace,
    drive: Any,
    complaints: Callable[[Any], Awaitable[list[str]]],
    width: int,
    dark: bool,
) -> None:
    answer(learned, unanswered(learned)[:5])

    async def visit(tab: Any) -> None:
        await tab.open("?view=questions")
        await tab.until("document.querySelectorAll('main tbody tr').length > 0")
        assert await complaints(tab) == []

    drive(visit, width=width, dark=dark)


def test_new_answers_make_a_new_classifier_and_it_says_what_it_is_worth(learned: Workspace) -> None:
    answer(learned, unanswered(learned))
    labels = LabelLog(learned).current()
    told: list[str] = []
    done = relearn(learned, "", ["chibi"], labels=labels, run_id="run", say=told.append)
    (chibi,) = done.learned
    assert chibi.before is not None
    assert chibi.after.classifier != chibi.before.classifier
    assert chibi.after.num_people > chibi.before.num_people
    assert chibi.after.precision is not None
    assert done.redecision.after is not None
    assert told[-1] == "deciding again"
    again = relearn(learned, "", labels=labels, run_id="run")
    assert again.learned[0].after == chibi.after
    assert again.redecision.flips == {}


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("pets", "no question is called 'pets'; known: chibi"),
        ("multiple", "multiple has too few answers to learn from"),
    ],
)
def test_what_nobody_asks_or_answers_is_refused(
    learned: Workspace, question: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        relearn(learned, "", [question], labels=[], run_id="run")


def ended(client: Client) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while (told := client.get("/api/retraining").json())["state"] == "running":
        assert time.monotonic() < deadline, told
        time.sleep(0.2)
    return dict(told)


@pytest.mark.slow
def test_the_page_learns_here_and_the_label_reaches_explain_with_its_person(
    learned: Workspace, serve_with: Callable[..., Any]
) -> None:
    image_id = unanswered(learned)[0]
    with (
        serve_with(Service(learned)) as url,
        Client(base_url=url, headers={"X-Ganime": "review"}, timeout=60) as client,
    ):
        (question,) = client.get("/api/questions").json()
        assert (question["question"], question["is_rule"]) == ("chibi", True)
        one = {"image_id": image_id, "question": "chibi", "answer": True, "expected": None}
        client.post("/api/labels", json={"by": "bob", "labels": [one]}).raise_for_status()
        body = {"question": "chibi", "by": "bob"}
        assert client.post("/api/retraining", json=body).json()["state"] == "running"
        assert client.post("/api/retraining", json=body).status_code == 409
        told = ended(client)
    assert told["state"] == "done", told
    result = told["result"]
    assert result["after"]["num_people"] == result["before"]["num_people"] + 1
    chapters = dict(explain(learned, image_id)[0].chapters)
    assert any("bob said chibi: yes" in line for line in chapters["labels"])
    decided = chapters[f"curate {result['dataset']}"]
    assert any("by person" in line and '"by": "bob"' in line for line in decided)


@pytest.mark.slow
def test_a_question_that_cannot_be_learned_says_why(
    learned: Workspace, serve_with: Callable[..., Any]
) -> None:
    with (
        serve_with(Service(learned)) as url,
        Client(base_url=url, headers={"X-Ganime": "review"}, timeout=60) as client,
    ):
        client.post("/api/retraining", json={"question": "pets", "by": "bob"})
        told = ended(client)
    assert told["state"] == "failed"
    assert "no question is called 'pets'" in told["error"]


class Prefect(BaseHTTPRequestHandler):
    """The three requests of a Prefect server's API that the page makes."""

    deployments: ClassVar[list[dict[str, str]]]
    asked: ClassVar[list[tuple[str, Any, str | None]]]
    state: ClassVar[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).asked.append((self.path, body, self.headers["authorization"]))
        if self.path.endswith("/filter"):
            self.tell(self.deployments)
        else:
            self.tell(self.run())

    def do_GET(self) -> None:
        self.tell(self.run())

    def run(self) -> dict[str, str]:
        return {"id": "r1", "state_type": self.state, "state_name": self.state.title()}

    def tell(self, told: Any) -> None:
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def prefect() -> Iterator[str]:
    Prefect.asked, Prefect.state, Prefect.deployments = [], "SCHEDULED", [{"id": "d1"}]
    server = HTTPServer(("127.0.0.1", 0), Prefect)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


def test_a_prefect_server_is_asked_and_followed_to_the_end(
    workspace: Workspace, prefect: str, serve_with: Callable[..., Any]
) -> None:
    service = Service(workspace, orchestrator=Orchestrator(prefect, "Bearer key"))
    with (
        serve_with(service) as url,
        Client(base_url=url, headers={"X-Ganime": "review"}, timeout=60) as client,
    ):
        told = client.post("/api/retraining", json={"question": "chibi", "by": "ann"}).json()
        assert told["url"] == f"{prefect.removesuffix('/api')}/runs/flow-run/r1"
        Prefect.state = "RUNNING"
        assert client.get("/api/retraining").json()["steps"] == ["Scheduled", "Running"]
        Prefect.state = "COMPLETED"
        assert client.get("/api/retraining").json()["state"] == "done"
    path, body, authorization = Prefect.asked[1]
    assert path == "/api/deployments/d1/create_flow_run"
    assert body["parameters"]["questions"] == ["chibi"]
    assert authorization == "Bearer key"


def test_a_server_without_the_deployment_or_without_an_answer_is_named(
    workspace: Workspace, prefect: str, serve_with: Callable[..., Any]
) -> None:
    Prefect.deployments = []
    for address, told in ((prefect, "ganime up"), ("http://127.0.0.1:9/api", "is it running")):
        service = Service(workspace, orchestrator=Orchestrator(address))
        with (
            serve_with(service) as url,
            Client(base_url=url, headers={"X-Ganime": "review"}, timeout=60) as client,
        ):
            answer = client.post("/api/retraining", json={"question": "chibi", "by": "ann"})
            assert answer.status_code == 502
            assert told in answer.json()["error"]
            assert client.get("/api/retraining").json()["state"] == "failed"


@pytest.mark.slow
def test_the_button_learns_and_shows_before_after_and_what_flips(
    learned: Workspace, drive: Any, complaints: Callable[[Any], Awaitable[list[str]]]
) -> None:
    answer(learned, unanswered(learned), by="bob")

    async def visit(tab: Any) -> None:
        await tab.open("?view=questions")
        button = "document.querySelector('.questions button')"
        await tab.until(f"{button}?.dataset.question", "chibi")
        since = "document.querySelector('.questions td:nth-child(6)').textContent"
        assert (await tab.value(since)).endswith("new answers")
        assert await complaints(tab) == []
        await tab.value(f"{button}.click()")
        await tab.until(f"{button}?.disabled")
        await tab.until("!!document.querySelector('#before-after')")
        cells = "[...document.querySelectorAll('#before-after td')].map(one => one.textContent)"
        told = await tab.value(cells)
        assert [told[0], told[3], told[6]] == ["precision", "recall", "answers by people"]
        assert int(told[7]) < int(told[8])
        assert "dropped before" in await tab.value("document.getElementById('flipped').textContent")
        await tab.until(since, "none new")
        assert await complaints(tab) == []

    drive(visit)
