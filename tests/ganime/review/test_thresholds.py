import json
from collections.abc import Callable

import pytest
from httpx import Client

from ganime.recurate import recurate, with_changes
from ganime.review.service import Service
from ganime.review.threshold_preview import preview
from ganime.stages.curate import CurateConfig
from ganime.store.labels import Answer, LabelLog
from ganime.store.workspace import Workspace


@pytest.fixture
def dataset(workspace: Workspace, decide: Callable[..., str], curated: CurateConfig) -> str:
    """Without the rule that looks at what others leave: previews take others' verdicts as is."""
    return decide(workspace, curated.model_copy(update={"rules": curated.rules[:-1]}))


@pytest.mark.parametrize(("rule", "value"), [("chibi", 0.3), ("chibi", 0.9), ("min_side", 120.0)])
def test_a_preview_says_what_a_new_decision_does(
    workspace: Workspace, dataset: str, rule: str, value: float
) -> None:
    service = Service(workspace)
    told = preview(service.snapshot, service.answers, rule, value)
    option = "pixels" if rule == "min_side" else "threshold"
    changes = {rule: {option: int(value) if rule == "min_side" else value}}
    done = recurate(workspace, dataset, changes, labels=[], run_id="run", write=False)
    to_drop = sum(len(ids) for (was, _), ids in done.flips.items() if was == "kept")
    to_keep = sum(len(ids) for (_, now), ids in done.flips.items() if now == "kept")
    assert (told.num_dropped, told.num_kept) == (to_drop, to_keep)
    assert to_drop + to_keep > 0
    shown = {item.id for item in (*told.dropped, *told.kept)}
    assert shown <= {image_id for ids in done.flips.values() for image_id in ids}


def test_both_sides_are_shown_the_nearest_first(client: Client) -> None:
    told = client.get("/api/thresholds/chibi", params={"value": 0.2}).json()
    scores = [item["scores"]["chibi"] for item in told["dropped"]]
    assert scores == sorted(scores)
    assert all(0.2 < score <= 0.6 for score in scores)
    assert (told["num_kept"], told["threshold"]) == (0, 0.6)
    same = client.get("/api/thresholds/chibi", params={"value": 0.6}).json()
    assert same["num_dropped"] == same["num_kept"] == same["num_still_dropped"] == 0


def test_a_persons_word_stands_whatever_the_threshold(workspace: Workspace, dataset: str) -> None:
    before = Service(workspace)
    scores = before.snapshot.scores["chibi"].values
    row = int(scores.argmax())
    image_id = before.snapshot.ids.text(row)
    LabelLog(workspace).append(
        [Answer(image_id=image_id, question="chibi", answer=False)], by="ann", how="by hand"
    )
    labels = LabelLog(workspace).current()
    recurate(workspace, dataset, {}, labels=labels, run_id="run")
    service = Service(workspace)
    told = preview(service.snapshot, service.answers, "chibi", 0.0)
    assert image_id not in {item.id for item in told.dropped}


def test_a_saved_threshold_is_a_proposal_that_a_run_can_obey(
    client: Client, service: Service, curated: CurateConfig
) -> None:
    one = client.post("/api/thresholds/chibi", json={"value": 0.7, "by": "ann"}).json()
    assert one["changes"] == {"chibi": {"threshold": 0.7}}
    two = client.post("/api/thresholds/min_side", json={"value": 120, "by": "bob"}).json()
    assert two["command"] == (
        "ganime curate characters --set chibi.threshold=0.7 --set min_side.pixels=120"
    )
    stored = service.workspace.read_bytes("datasets/characters/proposed_thresholds.json")
    rules = with_changes(curated, json.loads(stored)).rules
    assert rules[1].model_dump()["pixels"] == 120
    assert rules[3].model_dump()["threshold"] == 0.7


def test_a_threshold_that_no_rule_takes_is_refused(client: Client) -> None:
    for rule, body, status in (
        ("chibi", {"value": 7, "by": "ann"}, 400),
        ("pets", {"value": 0.5, "by": "ann"}, 404),
        ("chibi", {"value": "high", "by": "ann"}, 422),
        ("chibi", {"value": 0.5, "by": "<img>"}, 422),
    ):
        answer = client.post(f"/api/thresholds/{rule}", json=body)
        assert answer.status_code == status, answer.text
    assert client.get("/api/thresholds/chibi", params={"value": "inf"}).status_code == 422
