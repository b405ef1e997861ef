"""What Prefect is given to show: all of it, and never much."""

import asyncio
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact
from prefect.testing.utilities import prefect_test_harness

from ganime.config import Config
from ganime.rows import EvaluationRow, MetricRow, PaddedRow
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import PaddedPixels, write_shard
from ganime.store.workspace import Workspace
from ganime.training.pace import Progress
from tasks.artifacts import (
    NUM_VALUES,
    decisions_text,
    monitors_text,
    publish_metrics,
    publish_monitors,
    publish_samples,
    samples_text,
)
from tasks.progress import described, training_progress

MOST = 50_000  # of an artifact [bytes]: lists of artifacts send all of them whole
MODEL, SCOPE = "model0001", "pad0001-r1"
_MADE = Provenance(stage="test", revision=1, config=Config(), run_id="run")


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A long run whose pictures compress as badly as pictures can."""
    workspace = Workspace(str(tmp_path))
    root = f"models/{MODEL}"
    for name, height, width in (
        ("samples/000001000.png", 512, 512),
        ("samples/000002000.png", 1024, 1024),
        ("samples/000002000-tags.png", 1024, 512),
        ("nearest.png", 768, 384),
    ):
        buffer = io.BytesIO()
        Image.fromarray(noise(0, height, width)).save(buffer, "PNG", compress_level=1)
        workspace.write_bytes(f"{root}/{name}", buffer.getvalue())
    names = ("loss_generator", "loss_discriminator", "spread", "copied", "images_per_second")
    rows = [
        MetricRow(nimg=512 * i, name=name, value=1 / (1 + i)) for i in range(400) for name in names
    ]
    rows.append(MetricRow(nimg=512, name="rollbacks", value=1.0))
    Table(workspace, MetricRow, root=root).write("metrics", rows, _MADE)
    scores = [evaluation(metric, 512 * i) for metric in ("fid", "kid") for i in range(500)]
    Table(workspace, EvaluationRow, root=root).write("scores", scores, _MADE)
    return workspace


def evaluation(metric: str, nimg: int) -> EvaluationRow:
    return EvaluationRow(
        model_id=MODEL,
        nimg=nimg,
        metric=metric,
        value=nimg / 7,
        extractor="inception",
        weights="0123456789ab",
        resize="bicubic, antialiased, 299 px",
        num_real=1000,
        num_fake=1000,
        reference="characters/v0001",
        seed=0,
    )


def test_samples_show_the_last_snapshot_its_tags_and_its_neighbours(workspace: Workspace) -> None:
    text = samples_text(workspace, MODEL)
    assert re.findall(r'alt="([^"]+)"', text) == [
        "Samples of the last snapshot",
        "The same latents with one tag after another",
        "Left samples, right the training images nearest",
    ]
    assert 10_000 < len(text.encode()) < MOST


def test_samples_of_a_model_without_pictures_are_words(tmp_path: Path) -> None:
    text = samples_text(Workspace(str(tmp_path)), "nothing<b>")
    assert "<img" not in text
    assert "All of them: `" in text


def test_monitors_say_what_was_alarming_and_how_to_read_each_metric() -> None:
    values = {"spread": (0.5, 0.9, 0.125), "loss_generator": (1.0,), "loss_discriminator": (2.0,)}
    metrics = {
        name: [MetricRow(nimg=n, name=name, value=value) for n, value in enumerate(found)]
        for name, found in values.items()
    }
    text = monitors_text("m1", metrics)
    assert "- The samples look alike: they differ by 12.5 % of what real images do." in text
    assert "| spread | 0.50 | 0.12 | 0.12 | 0.90 |" in text
    assert text.count("- **Losses**: They pull against each other") == 1
    assert "- Nothing alarming." in monitors_text("m1", {})


@pytest.mark.parametrize("num_groups", [1, 5, 60])
def test_decisions_stay_small_however_many_reasons_there_are(
    tmp_path: Path, num_groups: int
) -> None:
    workspace = Workspace(str(tmp_path))
    ids = [f"{i:064x}" for i in range(40)]
    write_shard(
        workspace, f"padded/{SCOPE}/a.npy", np.stack([noise(i, 128, 128) for i in range(40)])
    )
    rows = [
        PaddedRow(
            image_id=image_id,
            shard=f"padded/{SCOPE}/a.npy",
            offset=i,
            scale=1.0,
            fill=[255, 255, 255],
            problem=None,
            run_id="run",
        )
        for i, image_id in enumerate(ids)
    ]
    Table(workspace, PaddedRow, SCOPE).write("a", rows, _MADE)
    groups = {f"<rule {i}>: some_reason": ids for i in range(num_groups)}
    text = decisions_text("Decisions of a/b", groups, PaddedPixels(workspace, SCOPE))
    assert text.count("&lt;rule ") == num_groups
    assert text.count("<img") == {1: 6, 5: 25, 60: 26}[num_groups]
    assert len(text.encode()) < MOST


def test_progress_says_kimg_speed_time_to_go_and_losses() -> None:
    half = Progress(30_000, 60_000, 172.4, 174.0, {"loss_generator": 1.234})
    assert described(half) == (
        "30.0 of 60.0 kimg, 172 images/s, 2 min 54 s to go, loss generator 1.23"
    )
    assert (
        described(Progress(60_000, 60_000, 172.0, 0.0)) == "60.0 of 60.0 kimg, 172 images/s, done"
    )


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.mark.slow
def test_a_server_gets_all_of_it_and_each_below_the_limit(
    server: None, workspace: Workspace
) -> None:
    @flow
    def publish() -> None:
        publish_samples(workspace, MODEL)
        publish_monitors(workspace, MODEL)
        publish_metrics(workspace, MODEL)
        with training_progress() as progress:
            progress(Progress(60, 60, 170.0, 0.0, {"loss_generator": 1.0}))

    publish()
    found = asyncio.run(_artifacts())
    assert set(found) == {"samples", "monitors", "metrics", "train"}
    assert all(len(str(item.data).encode()) < MOST for item in found.values())
    assert found["train"].data == 100.0
    assert "0.1 of 0.1 kimg, 170 images/s, done" in str(found["train"].description)
    assert "training went back once" in str(found["monitors"].data)
    values = _table(found["metrics"])
    assert len(values) == 2 * NUM_VALUES
    assert {row["images shown"] for row in values} >= {0, 512 * 499}


def _table(artifact: Artifact) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(str(artifact.data))
    return rows


async def _artifacts() -> dict[str, Artifact]:
    async with get_client() as client:
        return {str(item.key): item for item in await client.read_artifacts()}
