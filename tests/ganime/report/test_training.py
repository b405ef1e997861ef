"""The training section: what the page says of a model, and how much it may weigh."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ganime.training.monitor
import ganime.training.run
from ganime.config import Config
from ganime.report import ReportInputs, build_report, health
from ganime.report.charts import Chart
from ganime.report.curves import PLOTS, chart_groups, read_metrics
from ganime.report.health import alarms
from ganime.report.sheets import MOST_ANIMATION, read_gallery
from ganime.report.thumbnails import MOST_THUMBNAIL, data_uri
from ganime.rows import MetricRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace
from ganime.training.video import animation

_MADE = Provenance(stage="test", revision=1, config=Config(), run_id="run")


def page_of(workspace: Workspace, inputs: ReportInputs) -> str:
    return workspace.read_bytes(build_report(workspace, inputs)).decode()


@pytest.fixture(scope="module")
def page(made: Any) -> str:
    return page_of(made.workspace, made.inputs)


def rows(name: str, *values: float) -> dict[str, list[MetricRow]]:
    return {name: [MetricRow(nimg=512 * (i + 1), name=name, value=v) for i, v in enumerate(values)]}


def charts_of(metrics: dict[str, list[MetricRow]]) -> dict[str, Chart]:
    return {chart.title: chart for _, charts in chart_groups(metrics, 0.6) for chart in charts}


def picture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise: nothing compresses worse."""
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_picture(workspace: Workspace, key: str, image: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    workspace.write_bytes(key, buffer.getvalue())


def test_every_metric_has_its_plot_and_a_strange_one_too(made: Any) -> None:
    metrics = read_metrics(made.workspace, made.inputs.model_id)
    assert set(charts_of(metrics)) == {
        *(plot.title for plot in PLOTS if plot.title != "Score"),
        "temperature",
    }


def test_every_known_plot_says_how_to_read_it(page: str) -> None:
    assert all(plot.reading.endswith(".") and len(plot.reading) > 40 for plot in PLOTS)
    assert page.count('class="reading"') == len(PLOTS) - 1  # no score was measured


def test_losses_share_one_plot_and_mark_where_training_went_back() -> None:
    metrics = {**rows("loss_generator", 1, 2), **rows("loss_discriminator", 1, 0.5)}
    metrics["rollbacks"] = [MetricRow(nimg=512, name="rollbacks", value=1.0)]
    losses = charts_of(metrics)["Losses"]
    assert [label for label, _ in losses.legend] == ["discriminator", "generator"]
    assert [mark.label for mark in losses.marks] == ["went back"]
    assert losses.summary == "discriminator from 1 to 0.50; generator from 1 to 2."


def test_one_value_per_snapshot_is_shown_as_dots_and_unsmoothed() -> None:
    spread = charts_of(rows("spread", 0.25, 0.5, 0.75))["Spread"]
    (line,) = spread.lines
    assert [dot.title for dot in line.dots] == ["512: 0.25", "1.024k: 0.50", "1.536k: 0.75"]
    assert charts_of(rows("copied", 0, 0, 0))["Copied"].summary == "0 throughout."


def test_the_target_of_adaptive_augmentation_is_a_line() -> None:
    (mark,) = charts_of(rows("overfit", 0.2, 0.7))["Overfitting"].marks
    assert mark.label == "target"


@pytest.mark.parametrize(("values", "first"), [((0.9, 0.8, 0.61), True), ((0.61, 0.8, 1), False)])
def test_a_label_stands_where_the_curve_is_not(values: tuple[float, ...], first: bool) -> None:
    (mark,) = charts_of(rows("overfit", *values))["Overfitting"].marks
    assert mark.label_first == first


def test_the_page_tells_how_and_on_what_it_was_trained(page: str) -> None:
    for said in (
        "at 40,000 images shown: all images were shown",
        "dcgan at 32 px, 16 images per update",
        "1,234,567 parameters",
        "987,654 parameters",
        "180 images",
        "ada; changes hue, scale; target 0.6; half of the images mirrored",
        "3 tags: <bdi>long_hair</bdi>",
        "172 images/s",
    ):
        assert said in page


def test_the_page_warns_of_copies_and_of_a_rollback(page: str) -> None:
    assert "2.0 % of the samples are nearly copies of training images." in page
    assert "training went back once, to 12,000 images shown" in page


def test_the_page_shows_sheets_by_tag_and_of_neighbours_and_the_animation(page: str) -> None:
    assert "<li><bdi>long_<wbr>hair</bdi></li>" in page
    assert "The first 2 of 3 tags." in page  # the sheet has two rows
    assert "Samples, each in a row with its nearest training images" in page
    assert "The same as an animation" in page


def test_a_healthy_run_gives_no_alarm() -> None:
    fine = {**rows("spread", 0.1, 0.6), **rows("copied", 0.1, 0.0), **rows("diversity", *[0.1] * 9)}
    assert alarms(fine) == []


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (rows("spread", 0.8, 0.1), "The samples look alike"),
        (rows("diversity", *[0.1] * 10), "of a batch look alike"),
        (rows("copied", 0.0, 0.5), "50.0 % of the samples are nearly copies"),
        (rows("loss_discriminator", *[0.001] * 10), "The discriminator is never wrong"),
        (rows("rollbacks", 1.0, 2.0), "went back twice, to 512, 1,024 images shown"),
    ],
)
def test_what_goes_wrong_is_said(metrics: dict[str, list[MetricRow]], said: str) -> None:
    (alarm,) = alarms(metrics)
    assert said in alarm


def test_the_page_warns_at_the_limits_where_training_warns() -> None:
    assert health.LEAST_SPREAD == ganime.training.run.LEAST_SPREAD
    assert health.LEAST_SPREAD == ganime.training.monitor.LEAST_DIVERSITY
    assert health.LEAST_LOSS == ganime.training.monitor.LEAST_LOSS
    assert health.LASTING == ganime.training.monitor.NUM_ROWS_TO_WARN


def test_a_model_half_way_says_so(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    metrics = rows("loss_generator", 1.0, 0.5)["loss_generator"]
    Table(workspace, MetricRow, root="models/m1").write("a", metrics, _MADE)
    page = page_of(workspace, ReportInputs(run_id="r", model_id="m1"))
    assert "not finished</span>, 1,024 images shown so far" in page
    assert "nothing: its images follow the seed alone" in page


@pytest.mark.parametrize("content", ["[]", '{"config": 3, "tags": "all", "parameters": []}', "no"])
def test_a_model_described_in_another_way_still_gets_its_page(tmp_path: Path, content: str) -> None:
    workspace = Workspace(str(tmp_path))
    for name in ("config", "finished"):
        workspace.write_text(f"models/m1/{name}.json", content)
    assert "Training left no metrics." in page_of(
        workspace, ReportInputs(run_id="r", model_id="m1")
    )


def test_damaged_pictures_are_left_out(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for name in ("samples/000000512-tags.png", "nearest.png", "progress.webp"):
        workspace.write_bytes(f"models/m1/{name}", b"no picture")
    gallery = read_gallery(workspace, "m1", ["smile"])
    assert (gallery.by_tag, gallery.nearest, gallery.animation) == (None, None, None)


def test_a_picture_never_weighs_more_than_it_may() -> None:
    random = np.random.default_rng(0)
    for side in (16, 128, 300):
        uri = data_uri(picture(random, side, side))
        assert len(uri) <= MOST_THUMBNAIL * 4 / 3 + 40


def test_however_long_the_run_and_large_its_pictures_the_training_section_is_bounded(
    tmp_path: Path,
) -> None:
    workspace, random = Workspace(str(tmp_path)), np.random.default_rng(0)
    for i in range(14):
        write_picture(workspace, f"models/m1/samples/{i:09d}.png", picture(random, 512, 512))
    write_picture(workspace, "models/m1/samples/000000013-tags.png", picture(random, 1024, 512))
    write_picture(workspace, "models/m1/nearest.png", picture(random, 800, 400))
    frames = [picture(random, 256, 256) for _ in range(24)]
    film = animation(frames, 4, ".webp")
    assert len(film) > MOST_ANIMATION
    workspace.write_bytes("models/m1/progress.webp", film)
    workspace.write_text(
        "models/m1/config.json", json.dumps({"tags": [f"tag_{i}" for i in range(9000)]})
    )
    names = ("loss_a", "loss_b", "told_apart", "diversity", "images_per_second")
    long = [
        MetricRow(nimg=n, name=name, value=float(random.random()))
        for n in range(2000)
        for name in names
    ]
    Table(workspace, MetricRow, root="models/m1").write("a", long, _MADE)
    page = page_of(workspace, ReportInputs(run_id="r", model_id="m1"))
    assert page.count("data:image/webp") == 12 + 1 + 3  # the last grid stands at the top again
    assert len(page) < 3_500_000


def test_a_long_film_keeps_its_first_and_last_picture(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    random = np.random.default_rng(0)
    black, white = np.zeros((256, 256, 3), np.uint8), np.full((256, 256, 3), 255, np.uint8)
    frames = [black, *(picture(random, 256, 256) for _ in range(30)), white]
    workspace.write_bytes("models/m1/progress.webp", animation(frames, 4, ".webp"))
    uri = read_gallery(workspace, "m1", []).animation
    assert uri is not None
    with Image.open(io.BytesIO(_decoded(uri))) as film:
        first = np.asarray(film.convert("RGB")).mean()
        film.seek(film.n_frames - 1)  # type: ignore[attr-defined]
        assert (first, np.asarray(film.convert("RGB")).mean()) == (0, 255)


def test_the_same_model_gives_the_same_bytes(made: Any) -> None:
    one = page_of(made.workspace, replace(made.inputs, run_id="one"))
    assert page_of(made.workspace, replace(made.inputs, run_id="one")) == one


def _decoded(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])
