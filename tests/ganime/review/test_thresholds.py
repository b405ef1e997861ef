from collections.abc import Callable

import pytest
from httpx import Client

from ganime.recurate import find_dataset, recurate
from ganime.review.service import Service
from ganime.review.threshold_preview import preview
from ganime.stages.curate import CurateConfig
from ganime.store.explain import explain
from ganime.store.labels import Answer, LabelLog
from ganime.store.manifest import read_footer
from ganime.store.pixels import CARD
from ganime.store.rule_settings import of_parents
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


def test_a_saved_threshold_is_obeyed_by_the_next_decision_and_names_who_set_it(
    client: Client, service: Service, workspace: Workspace
) -> None:
    body = {"value": 0.3, "by": "ann", "note": "dolls slip through"}
    told = client.post("/api/thresholds/chibi", json=body).json()
    assert told["command"] == "ganime curate characters"
    assert [(one["rule"], one["by"], one["is_obeyed"]) for one in told["settings"]] == [
        ("chibi", "ann", False)
    ]
    done = recurate(workspace, "", {}, labels=[], run_id="run")
    dropped = sum(len(ids) for (_, now), ids in done.flips.items() if now == "chibi")
    assert dropped > 0
    service.refresh()
    assert service.snapshot.scores["chibi"].threshold == 0.3
    (setting,) = client.get("/api/thresholds").json()["settings"]
    assert setting["is_obeyed"]
    card = workspace.read_bytes(f"datasets/{done.after}/{CARD}").decode()
    assert "| chibi | threshold | 0.3 | ann |" in card
    image_id = next(ids[0] for (_, now), ids in done.flips.items() if now == "chibi")
    story = dict(explain(workspace, image_id)[0].chapters)[f"curate {done.after}"]
    said = "ann set threshold to 0.3 on"
    assert any(line.startswith("chibi: drop") and said in line for line in story)
    assert any(line.startswith("chibi: drop") and "dolls slip through" in line for line in story)


def test_an_undone_threshold_gives_the_version_before_back(
    client: Client, workspace: Workspace
) -> None:
    before = find_dataset(workspace, "")
    client.post("/api/thresholds/chibi", json={"value": 0.3, "by": "ann"})
    client.post("/api/thresholds/chibi", json={"value": 0.4, "by": "bob"})
    recurate(workspace, "", {}, labels=[], run_id="run")
    told = client.post("/api/thresholds/chibi/undo", json={"by": "eve"}).json()
    assert [(one["value"], one["by"]) for one in told["settings"]] == [(0.3, "ann")]
    client.post("/api/thresholds/chibi/undo", json={"by": "eve"})
    done = recurate(workspace, "", {}, labels=[], run_id="run")
    assert done.after is not None
    assert (done.after.name, done.after.version) == (before.name, before.version)
    assert client.post("/api/thresholds/chibi/undo", json={"by": "eve"}).status_code == 400


def test_a_run_with_its_own_settings_obeys_what_is_saved(
    client: Client, workspace: Workspace, decide: Callable[..., str]
) -> None:
    client.post("/api/thresholds/min_side", json={"value": 120, "by": "ann"})
    version = decide(workspace)
    footer = read_footer(workspace, f"datasets/{version}/decisions/decisions.parquet")
    assert CurateConfig.parse(footer["config"]).rules[1].model_dump()["pixels"] == 120
    (setting,) = of_parents(footer["parents"])
    assert (setting.by, setting.value, setting.instead_of) == ("ann", 120, 110)


def test_what_is_asked_for_this_once_outranks_what_is_saved(
    client: Client, workspace: Workspace
) -> None:
    client.post("/api/thresholds/chibi", json={"value": 0.3, "by": "ann"})
    changes = {"chibi": {"threshold": 0.9}}
    done = recurate(workspace, "", changes, labels=[], run_id="run")
    footer = read_footer(workspace, f"datasets/{done.after}/decisions/decisions.parquet")
    assert CurateConfig.parse(footer["config"]).rules[3].model_dump()["threshold"] == 0.9
    assert of_parents(footer["parents"]) == []


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
