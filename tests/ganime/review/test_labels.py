import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from httpx import Client

from ganime.errors import GanimeError
from ganime.review.answers import LabelConflictError, ReviewLog, Wish
from ganime.review.service import Service
from ganime.store.labels import Answer, LabelLog
from ganime.store.workspace import Workspace

Label = Callable[..., httpx.Response]


def some(client: Client, num: int = 5) -> list[str]:
    return [one["id"] for one in client.get("/api/images", params={"num": num}).json()["items"]]


def test_an_answer_is_acknowledged_shown_and_counted(client: Client, label: Label) -> None:
    image_id = some(client)[0]
    (event,) = label(image_id, False, note="hands").json()["events"]
    assert (event["answer"], event["by"], event["how"]) == (False, "ann", "by hand")
    params = {"question": "keep", "label": "no"}
    (item,) = client.get("/api/images", params=params).json()["items"]
    assert item["id"] == image_id
    assert item["answers"]["keep"]["label_id"] == event["label_id"]
    told = client.get("/api/facets", params=params).json()
    counts = {one["value"]: one["count"] for one in told["label"]}
    assert counts["no"] == told["total"] == 1
    assert counts["none"] == told["num_images"] - 1
    (history,) = client.get(f"/api/images/{image_id}").json()["labels"]
    assert history["note"] == "hands"


def test_who_did_not_see_the_last_answer_is_told_and_nothing_is_lost(
    client: Client, label: Label, workspace: Workspace
) -> None:
    first, second, *_ = some(client)
    (event,) = label(first, True, by="ann").json()["events"]
    # Bob's page still shows no answer; his other answer in the same batch is not written either.
    labels = [
        {"image_id": image_id, "question": "keep", "answer": False, "expected": None}
        for image_id in (second, first)
    ]
    refused = client.post("/api/labels", json={"by": "bob", "labels": labels})
    assert refused.status_code == 409
    assert refused.json()["events"] == [event]
    assert [row.by for row in LabelLog(workspace).events()] == ["ann"]
    seen = label(first, False, by="bob", expected=event["label_id"])
    assert seen.status_code == 200
    assert [row.by for row in LabelLog(workspace).history(first)] == ["ann", "bob"]


def test_an_answer_sent_twice_is_written_once(
    client: Client, label: Label, workspace: Workspace
) -> None:
    image_id = some(client)[0]
    assert label(image_id, True).json() == label(image_id, True).json()
    assert len(LabelLog(workspace).events()) == 1


def test_undo_puts_back_the_word_of_another(client: Client, label: Label) -> None:
    image_id = some(client)[0]
    (anns,) = label(image_id, True, by="ann").json()["events"]
    (bobs,) = label(image_id, False, by="bob", expected=anns["label_id"]).json()["events"]
    not_hers = client.post("/api/undo", json={"by": "ann", "label_ids": [bobs["label_id"]]})
    assert not_hers.status_code == 400
    undone = client.post("/api/undo", json={"by": "bob", "label_ids": [bobs["label_id"]]})
    assert undone.json()["events"][0]["answer"] is True
    again = client.post("/api/undo", json={"by": "ann", "label_ids": [anns["label_id"]]})
    assert again.status_code == 409  # it was answered since
    assert len(client.get(f"/api/images/{image_id}").json()["labels"]) == 3


def test_an_undone_first_answer_leaves_the_image_without_one(client: Client, label: Label) -> None:
    image_id = some(client)[0]
    (event,) = label(image_id, True).json()["events"]
    client.post("/api/undo", json={"by": "ann", "label_ids": [event["label_id"]]})
    assert client.get("/api/images", params={"label": "yes"}).json()["items"] == []
    item = client.get(f"/api/images/{image_id}").json()["image"]
    assert item["answers"]["keep"]["answer"] is None


def test_answers_of_another_process_are_shown(client: Client, service: Service) -> None:
    image_id = some(client)[0]
    LabelLog(service.workspace).append(
        [Answer(image_id=image_id, question="chibi", answer=True)], by="cli", how="import"
    )
    service.refresh()
    found = client.get("/api/images", params={"question": "chibi", "label": "yes"}).json()["items"]
    assert [item["id"] for item in found] == [image_id]


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_id": "0" * 64},
        {"image_id": "../../etc/passwd"},
        {"question": "<script>"},
        {"answer": "perhaps"},
        {"by": ""},
        {"by": "<b>ann</b>"},
        {"how": "UPDATE labels"},
        {"note": "x" * 501},
        {"surprise": 1},
    ],
)
def test_a_wrong_answer_is_refused(
    client: Client, label: Label, wrong: dict[str, object], workspace: Workspace
) -> None:
    image_id = str(wrong.pop("image_id", some(client)[0]))
    answer = label(image_id, wrong.pop("answer", True), **wrong)  # type: ignore[arg-type]
    assert answer.status_code in (404, 422)
    assert LabelLog(workspace).events() == []


def test_questions_do_not_grow_without_end(client: Client, label: Label) -> None:
    image_id = some(client)[0]
    status = [label(image_id, True, question=f"q{i}").status_code for i in range(64)]
    assert status[:50] == [200] * 50
    assert status[-1] == 400
    assert label(image_id, True, question="chibi").status_code == 200


def test_two_people_at_once_lose_nothing_and_overwrite_nothing_unseen(
    client: Client, service: Service
) -> None:
    ids = some(client, 20)
    outcomes: Counter[int] = Counter()
    written: Counter[str] = Counter()

    def work(person: str) -> None:
        with Client(base_url=client.base_url, headers=client.headers, timeout=30) as own:
            for image_id in ids:
                one = {"image_id": image_id, "question": "keep", "answer": person == "ann"}
                body = {"by": person, "labels": [{**one, "expected": None}]}
                answer = own.post("/api/labels", json=body)
                outcomes[answer.status_code] += 1
                written[person] += answer.status_code == 200

    people = [threading.Thread(target=work, args=(person,)) for person in ("ann", "bob")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert outcomes == {200: len(ids), 409: len(ids)}  # each image was answered once
    events = LabelLog(service.workspace).events()
    assert Counter(row.by for row in events) == +written


def test_no_acknowledged_answer_is_lost_to_sigkill(workspace: Workspace) -> None:
    script = """
    import sys
    from ganime.review.serve import ReviewConfig, serve
    from ganime.store.workspace import Workspace
    serve(Workspace(sys.argv[1]), ReviewConfig(port=0), lambda url: print(url, flush=True))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), workspace.url],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    told: list[int] = []

    def work(question: str) -> None:
        with Client(base_url=url, headers={"X-Ganime": "review"}, timeout=30) as own:
            ids = some(own, 50)
            with suppress(httpx.HTTPError):
                for image_id in ids * 20:
                    body = {"image_id": image_id, "question": question, "answer": True}
                    before = own.get(f"/api/images/{image_id}").json()["image"]["answers"]
                    last = before.get(question, {}).get("label_id")
                    labels = [{**body, "answer": last is None, "expected": last}]
                    sent = own.post("/api/labels", json={"by": "ann", "labels": labels})
                    told.append(sent.json()["events"][0]["label_id"])

    people = [threading.Thread(target=work, args=(name,)) for name in ("keep", "chibi")]
    for person in people:
        person.start()
    while len(told) < 30 and any(person.is_alive() for person in people):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    for person in people:
        person.join()
    process.wait()
    process.stdout.close()
    assert len(told) >= 30
    assert set(told) <= {row.label_id for row in LabelLog(workspace).events()}


def test_the_log_refuses_what_was_seen_otherwise(workspace: Workspace) -> None:
    log = ReviewLog(workspace)
    wish = Wish(image_id="a" * 64, question="keep", answer=True, expected=7)
    with pytest.raises(GanimeError, match="there is no answer 7"):
        log.answer([wish], by="ann", how="by hand")
    (event,) = log.answer(
        [Wish(image_id="a" * 64, question="keep", answer=True, expected=None)], by="ann", how="x"
    )
    with pytest.raises(LabelConflictError, match="ann answered keep meanwhile: yes"):
        log.answer(
            [Wish(image_id="a" * 64, question="keep", answer=False, expected=None)],
            by="bob",
            how="x",
        )
    assert log.since(0) == [event]
