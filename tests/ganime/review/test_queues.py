import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from httpx import Client

from ganime.classifiers.figures import wilson
from ganime.classifiers.storage import score_rows
from ganime.config import Config
from ganime.review.leases import Leases
from ganime.review.service import Service
from ganime.rows import ImageRow, ScoreRow
from ganime.store.labels import Answer, LabelLog
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

Label = Callable[..., httpx.Response]


def ask(client: Client, name: str, person: str = "ann", **params: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/api/queues/{name}", params={"person": person, **params})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.parametrize(
    ("name", "question"),
    [("most-uncertain", "chibi"), ("random-audit", "keep"), ("duplicates", "keep")],
)
def test_two_people_are_never_handed_the_same_image(
    client: Client, name: str, question: str
) -> None:
    num = 1 if name == "duplicates" else 5
    anns = {one["id"] for one in ask(client, name, "ann", question=question, num=num)}
    bobs = {one["id"] for one in ask(client, name, "bob", question=question, num=num)}
    assert len(anns) == num
    assert bobs
    assert not anns & bobs
    again = {one["id"] for one in ask(client, name, "ann", question=question, num=num)}
    assert again == anns  # a page that is reloaded


def say(client: Client, label: Label, answers: list[bool]) -> None:
    """Answers to chibi, of images that are drawn at random."""
    drawn = ask(client, "random-audit", question="keep", num=len(answers))
    for one, answer in zip(drawn, answers, strict=True):
        assert label(one["id"], answer, question="chibi").status_code == 200


def test_unsure_images_come_first_and_one_of_each_group_of_copies(
    client: Client, label: Label
) -> None:
    say(client, label, [True, False, True, False])
    items = ask(client, "most-uncertain", question="chibi", num=30)
    distances = [round(abs(one["scores"]["chibi"] - 0.6), 5) for one in items]
    assert distances == sorted(distances)
    ids = {one["id"] for one in items}
    for one in items:
        group = client.get(f"/api/images/{one['id']}").json()["duplicates"]
        assert group is None or len(ids & set(group["members"])) == 1


@pytest.mark.parametrize("rare", [True, False])
def test_likely_ones_of_a_rare_answer_take_turns_with_unsure_ones(
    client: Client, label: Label, rare: bool
) -> None:
    say(client, label, [rare, *[not rare] * 5])
    items = ask(client, "most-uncertain", question="chibi", num=10)
    scores = [one["scores"]["chibi"] for one in items]
    assert scores[::2] == sorted(scores[::2], reverse=rare)
    distances = [round(abs(score - 0.6), 5) for score in scores[1::2]]
    assert distances == sorted(distances)
    assert len({one["id"] for one in items}) == 10
    again = ask(client, "most-uncertain", question="chibi", num=10)
    assert [one["id"] for one in again] == [one["id"] for one in items]


def test_a_rare_kind_is_shown_although_its_threshold_is_far_off(
    workspace: Workspace, serve_with: Callable[..., Any]
) -> None:
    ids = sorted(workspace_ids(workspace))
    # Two yes among the answers, too few to place a threshold: it lies where the no are.
    kind, others = ids[::6], [name for name in ids if name not in ids[::6]]
    scores = dict.fromkeys(kind, 0.99) | {name: i / 500 for i, name in enumerate(others)}
    known = kind[:2] + others[::6]
    classify(workspace, "doll", scores, threshold=0.03)
    LabelLog(workspace).append(
        [Answer(image_id=name, question="doll", answer=name in kind) for name in known],
        by="ada",
        how="by hand",
    )
    with (
        serve_with(Service(workspace)) as url,
        Client(base_url=url, headers={"X-Ganime": "review"}, timeout=30) as client,
    ):
        items = ask(client, "most-uncertain", question="doll", num=12)
    found = {one["id"] for one in items} & set(kind)
    by_threshold = sorted(set(ids) - set(known), key=lambda name: abs(scores[name] - 0.03))
    assert len(found) >= 5
    assert not set(by_threshold[:12]) & set(kind)  # what the nearest to it alone would show


def workspace_ids(workspace: Workspace) -> set[str]:
    return set(Table(workspace, ImageRow).column("image_id"))


def classify(
    workspace: Workspace, question: str, scores: dict[str, float], threshold: float
) -> None:
    """Scores and a threshold, as a classifier leaves them."""
    provenance = Provenance(stage="test", revision=1, config=Config(), run_id="run")
    rows = score_rows(question, "rare0001", list(scores), np.array(list(scores.values())), "run")
    Table(workspace, ScoreRow, f"{question}/rare0001").write("scores", rows, provenance)
    figures = {"question": question, "threshold": threshold}
    workspace.write_text("classifiers/rare0001/figures.json", json.dumps(figures))


def test_an_answered_image_is_not_asked_for_again(client: Client, label: Label) -> None:
    first = ask(client, "most-uncertain", question="chibi", num=3)[0]["id"]
    label(first, True, question="chibi", how="most-uncertain")
    assert first not in [one["id"] for one in ask(client, "most-uncertain", question="chibi")]


def test_the_audit_estimates_precision_from_its_own_answers_alone(
    client: Client, label: Label
) -> None:
    items = ask(client, "random-audit", num=6)
    for place, one in enumerate(items):
        label(one["id"], place != 0, how="random-audit")
    for one in client.get("/api/images", params={"rule": "min_side"}).json()["items"]:
        label(one["id"], False, how="by hand")  # says nothing about the kept
    told = client.get("/api/audit").json()
    assert (told["answered"], told["right"]) == (6, 5)
    assert told["interval"] == pytest.approx(wilson(5, 6))
    kept = client.get("/api/facets", params={"status": "kept"}).json()["total"]
    assert told["population"] == kept
    assert not {one["id"] for one in items} & {one["id"] for one in ask(client, "random-audit")}


def test_a_classifiers_audit_draws_from_what_it_drops(client: Client, label: Label) -> None:
    items = ask(client, "random-audit", question="chibi", num=4)
    assert all(one["scores"]["chibi"] > 0.6 for one in items)
    told = client.get("/api/audit", params={"question": "chibi"}).json()
    assert (told["answered"], told["precision"], told["interval"]) == (0, None, None)


def test_suspects_say_why_until_somebody_answers(client: Client, label: Label) -> None:
    params = {"person": "ann", "question": "chibi"}
    told = client.get("/api/queues/suspects", params=params).json()
    assert len(told["items"]) == len(told["why"]) == 2
    assert "tags said yes" in told["why"][0]
    label(told["items"][0]["id"], True, question="chibi", how="suspects")
    assert len(ask(client, "suspects", question="chibi")) == 1


def test_duplicates_come_as_groups(client: Client) -> None:
    told = client.get("/api/queues/duplicates", params={"person": "ann"}).json()
    assert [group["kept"] for group in told["groups"]] == [one["id"] for one in told["items"]]
    assert all(group["num_members"] >= 2 for group in told["groups"])


def test_a_question_without_scores_has_no_unsure_images(client: Client) -> None:
    params = {"person": "ann", "question": "pets"}
    for name in ("most-uncertain", "suspects", "random-audit"):
        assert client.get(f"/api/queues/{name}", params=params).status_code == 404
    assert client.get("/api/queues/nothing", params=params).status_code == 422
    assert client.get("/api/queues/duplicates", params={"person": ""}).status_code == 422


def test_a_lease_ends_by_itself(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases.db", seconds=0.05)
    assert leases.take(["a", "b", "c"], "keep", "ann", 2) == ["a", "b"]
    assert leases.take(["a", "b", "c"], "keep", "bob", 2) == ["c"]
    assert leases.taken("keep", "bob") == {"a", "b"}
    assert leases.take(["a"], "chibi", "bob", 1) == ["a"]  # another question
    time.sleep(0.06)
    assert leases.taken("keep", "bob") == set()
    assert leases.take(["a", "b"], "keep", "bob", 2) == ["a", "b"]
