import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import Client

from ganime.classifiers.figures import wilson
from ganime.review.leases import Leases

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


def test_unsure_images_come_first_and_one_of_each_group_of_copies(client: Client) -> None:
    items = ask(client, "most-uncertain", question="chibi", num=30)
    distances = [round(abs(one["scores"]["chibi"] - 0.6), 5) for one in items]
    assert distances == sorted(distances)
    ids = {one["id"] for one in items}
    for one in items:
        group = client.get(f"/api/images/{one['id']}").json()["duplicates"]
        assert group is None or len(ids & set(group["members"])) == 1


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
