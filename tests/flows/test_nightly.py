"""Nights and days of a dataset: real files, real stages, a real Prefect server and its events."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from flows.nightly import GROWN, Night, configured, is_enough, nightly
from flows.train_classifier import train_classifier
from ganime.errors import ConfigError, SourceRefused
from ganime.growth import Growth, note_retraining
from ganime.stages.crawl import CrawlConfig
from ganime.store.labels import Answer, LabelLog
from ganime.store.lineage import datasets
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace

NAME, NUM = "blocks", 16
SETTINGS = (
    'curate.rules=["decodable", {name="classified", ask="chibi"}]',
    "classify.backbone.size=32",
)
WAIT_S = 240  # an event is stored some seconds after it was sent; a busy machine takes its time


def draw(folder: Path, numbers: range) -> None:
    """Pictures of 8x8 random blocks, the odd ones red, the even ones blue."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        rng = np.random.default_rng(number)
        small = np.zeros((8, 8, 3), np.uint8)
        small[..., 0 if number % 2 else 2] = rng.integers(60, 256, (8, 8))
        Image.fromarray(small.repeat(8, 0).repeat(8, 1)).save(folder / f"{number:03d}.png")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with (
        prefect_test_harness(server_startup_timeout=300),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


def night(store: Workspace, folder: Path, **more: Any) -> Night:
    return nightly(
        workspace=store.url,
        crawl=CrawlConfig.parse({"source": {"name": "folder", "path": str(folder)}}),
        dataset=NAME,
        preset="smoke",
        resolution=32,
        settings=SETTINGS,
        **more,
    )


def announced(least: int) -> list[dict[str, Any]]:
    """Payloads of the events that the server keeps, once there are so many."""

    async def read() -> list[dict[str, Any]]:
        asked = {"filter": {"event": {"name": [GROWN]}, "order": "ASC"}}
        async with get_client() as client:
            answer = await client._client.post("/events/filter", json=asked)
            return list(answer.json()["events"])

    until = time.monotonic() + WAIT_S
    while len(found := asyncio.run(read())) < least and time.monotonic() < until:
        time.sleep(1)
    assert all(
        item["resource"]["prefect.resource.id"] == f"ganime.dataset.{NAME}" for item in found
    )
    return [item["payload"] for item in found]


@pytest.mark.slow
def test_nights_add_versions_and_ask_for_training_only_when_they_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, artifact: Callable[[str], str]
) -> None:
    monkeypatch.setenv("GANIME_REVIEW_URL", "http://review.example")
    store, folder = Workspace(str(tmp_path / "workspace")), tmp_path / "art"
    draw(folder, range(NUM))

    first = night(store, folder, retrain_after_images=NUM, retrain_after_labels=0)
    assert (first.growth, first.announced) == (Growth("", NUM, 0), True)
    assert datasets(store) == [(NAME, first.dataset.version)]
    assert "A retraining was asked for." in artifact("growth")
    assert "http://review.example/?view=funnel" in artifact("growth")

    note_retraining(store, NAME, first.dataset.version, "r")
    second = night(store, folder, retrain_after_images=1, retrain_after_labels=1)
    assert second.dataset == first.dataset
    assert (second.growth.added, second.announced) == (0, False)
    assert datasets(store) == [(NAME, first.dataset.version)]

    draw(folder, range(NUM, NUM + 2))
    ids = sorted(row.image_id for row in Dataset(store, NAME, first.dataset.version).members)
    said = [Answer(image_id=item, question="keep", answer=True) for item in ids[:3]]
    LabelLog(store).append(said, by="ann", how="test")
    third = night(store, folder, retrain_after_images=100, retrain_after_labels=3)
    assert third.dataset.version != first.dataset.version
    assert third.growth == Growth(first.dataset.version, 2, 3)
    assert announced(2) == [
        {"dataset": NAME, "version": first.dataset.version, "added": NUM, "labels": 0},
        {"dataset": NAME, "version": third.dataset.version, "added": 2, "labels": 3},
    ]

    _labels_make_a_classifier(store, third, artifact)


def _labels_make_a_classifier(
    store: Workspace, before: Night, artifact: Callable[[str], str]
) -> None:
    """By day people say that the red ones are chibi; the dataset then loses them."""
    dataset = Dataset(store, NAME, before.dataset.version)
    reds = {
        row.image_id: bool(image[..., 0].mean() > image[..., 2].mean())
        for row, image in zip(dataset.members, dataset.images, strict=True)
    }
    answers = [
        Answer(image_id=item, question="chibi", answer=red) for item, red in list(reds.items())[2:]
    ]
    LabelLog(store).append(answers, by="ann", how="test")
    found = train_classifier(workspace=store.url, dataset=NAME, min_answers=4, min_precision=0.1)
    assert set(found.after) == {"chibi"}
    made = found.redecision
    assert made.before.version == before.dataset.version
    assert made.after is not None
    assert made.after.version != before.dataset.version
    left = {row.image_id for row in Dataset(store, NAME, made.after.version).members}
    assert left < set(reds)
    told = artifact("classifiers")
    assert "| chibi | before |  |  |  |  |  | abstains |" in told
    assert "http://review.example/?view=thresholds&rule=chibi" in told
    assert max(len(artifact(key).encode()) for key in ("classifiers", "growth")) < 50_000
    again = train_classifier(workspace=store.url, dataset=NAME, min_answers=4, min_precision=0.1)
    assert again.redecision.after == made.after
    with pytest.raises(ConfigError, match="no question is called 'chibbi'; known: chibi"):
        train_classifier(workspace=store.url, dataset=NAME, questions=("chibbi",))


@pytest.mark.slow
def test_a_failed_night_is_told_through_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            heard.append(json.loads(self.rfile.read(length))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    ear = ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    threading.Thread(target=ear.serve_forever, daemon=True).start()
    Webhook(url=f"http://127.0.0.1:{ear.server_port}").save("alerts")
    store = Workspace(str(tmp_path / "workspace"))
    with pytest.raises(SourceRefused, match="nowhere"):
        night(store, tmp_path / "nowhere")
    assert heard == []

    monkeypatch.setenv("GANIME_NOTIFY_BLOCK", "webhook/alerts")
    with pytest.raises(SourceRefused, match="nowhere"):
        night(store, tmp_path / "nowhere")
    ear.shutdown()
    (text,) = heard
    assert text.startswith("ganime: nightly failed\nnightly-blocks (")
    assert "nowhere" in text

    # A message that cannot be sent hides nothing.
    monkeypatch.setenv("GANIME_NOTIFY_BLOCK", "webhook/none")
    with pytest.raises(SourceRefused, match="nowhere"):
        night(store, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("added", "labels", "limits", "enough"),
    [
        (200, 0, (200, 50), True),
        (199, 49, (200, 50), False),
        (0, 50, (200, 50), True),
        (10_000, 10_000, (0, 0), False),
        (0, 0, (0, 0), False),
    ],
)
def test_either_limit_is_enough_and_zero_never_is(
    added: int, labels: int, limits: tuple[int, int], enough: bool
) -> None:
    assert is_enough(Growth("v1", added, labels), *limits) is enough


def test_a_form_is_the_same_as_the_command_line() -> None:
    crawl = CrawlConfig.parse({"tags": "solo", "limit": 7, "sweep_days": 1})
    made = configured("default", crawl, "heroes", 128, ("curate.holdout=0.1",))
    assert (made.crawl, made.curate.name, made.curate.holdout) == (crawl, "heroes", 0.1)
    assert (made.curate.resolution, made.train.resolution) == (128, 128)
    with pytest.raises(ConfigError, match=r"curate\.holdot"):
        configured("default", crawl, "heroes", 64, ("curate.holdot=0.1",))
