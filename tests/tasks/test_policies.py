"""How flows and tasks behave when things go wrong."""

from types import SimpleNamespace
from typing import Any

import pytest

from ganime.errors import GanimeError
from ganime.presets import build
from ganime.stages.curate import DatasetRef
from tasks.crawl import fetch_task, list_posts_task
from tasks.curate import curate_task
from tasks.dedupe import fingerprint_task
from tasks.detect import detect_task
from tasks.evaluate import evaluate_task
from tasks.pad import pad_task
from tasks.policies import refuse_after
from tasks.review_links import review_link
from tasks.train import train_task


@pytest.mark.parametrize("count", ["0", "1", "3"])
def test_a_run_may_begin_three_times(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", count)
    refuse_after()


def test_a_run_that_begins_a_fourth_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", "4")
    with pytest.raises(GanimeError, match="began 4 times and never ended, 3 times are allowed"):
        refuse_after()


@pytest.mark.parametrize("base", ["", "javascript:alert(1)", "review"])
def test_without_an_address_there_is_no_link(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setenv("GANIME_REVIEW_URL", base)
    assert review_link("see", view="funnel") == ""


def test_a_link_carries_the_place_in_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANIME_REVIEW_URL", "http://127.0.0.1:8000/")
    link = review_link("see them", status="dropped", rule="tags", reason="has (bad) tag")
    wanted = "http://127.0.0.1:8000/?status=dropped&rule=tags&reason=has+%28bad%29+tag"
    assert link == f"[see them]({wanted})"


RUN = build("default", {"crawl": {"tags": "1girl solo"}})
IMAGES = {"image_ids": ["0123456789abcdef", "f" * 64]}
POST = SimpleNamespace(source="safebooru", post_id="42")


@pytest.mark.parametrize(
    ("task", "parameters", "wanted"),
    [
        (list_posts_task, {"config": RUN.crawl}, "list-safebooru-1girl solo"),
        (fetch_task, {"shard": SimpleNamespace(rows=[POST, POST])}, "fetch-safebooru-42"),
        (fingerprint_task, IMAGES, "fingerprint-01234567"),
        (detect_task, IMAGES, "detect-01234567"),
        (pad_task, IMAGES, "pad-01234567"),
        (curate_task, {"config": RUN.curate}, "curate-characters"),
        (
            train_task,
            {"config": RUN.train, "dataset": DatasetRef("girls", "v1", 9)},
            "train-projected-64px-girls",
        ),
        (evaluate_task, {"model_id": "41f0"}, "evaluate-41f0"),
    ],
)
def test_a_list_of_task_runs_says_what_each_is_about(
    task: Any, parameters: dict[str, Any], wanted: str
) -> None:
    assert task.task_run_name.format(**parameters) == wanted
