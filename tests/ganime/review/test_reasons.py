"""The reasons that the page lists give the decision, for every image there is."""

from collections.abc import Callable

from httpx import Client

from ganime.recurate import recurate
from ganime.report.funnel import read_funnel
from ganime.review.service import Service
from ganime.store.explain import explain
from ganime.store.labels import LabelLog
from ganime.store.lineage import crawls_of
from ganime.store.workspace import Workspace


def test_the_listed_reasons_recomputed_give_the_decision_of_every_image(client: Client) -> None:
    above = {one["name"]: one["drops_above"] for one in client.get("/api/dataset").json()["scores"]}
    images = client.get("/api/images", params={"num": 500}).json()["items"]
    dropped = 0
    for image in images:
        decisions = client.get(f"/api/images/{image['id']}").json()["decisions"]
        assert [one["order"] for one in decisions] == list(range(len(decisions)))
        for one in decisions:
            by_person = one["decided_by"] == "person"
            if one["score"] is None or one["threshold"] is None or by_person:
                continue
            if one["verdict"] == "abstain" or one["rule"] == "duplicate":
                continue  # a duplicate's score is its likeness: the better picture of two decides
            is_above = one["score"] > one["threshold"]
            is_beyond = is_above if above[one["rule"]] else one["score"] < one["threshold"]
            assert (one["verdict"] == "drop") == is_beyond, one
        first = next((one for one in decisions if one["verdict"] == "drop"), None)
        dropped += first is not None
        assert image["status"] == ("dropped" if first else "kept")
        assert image["rule"] == (first["rule"] if first else None)
        if first and first["rule"] == "duplicate":
            kept = client.get(f"/api/images/{first['evidence']['kept']}").json()
            assert kept["duplicates"]["kept"] == first["evidence"]["kept"]
        if first:
            assert first["reason"]
            assert image["reason"] == first["reason"]
    assert dropped > 5
    facets = client.get("/api/facets").json()
    assert {one["value"]: one["count"] for one in facets["status"]}["dropped"] == dropped


def test_a_correction_reaches_the_next_version_its_story_and_its_report(
    client: Client,
    service: Service,
    workspace: Workspace,
    label: Callable[..., object],
) -> None:
    image = client.get("/api/images", params={"status": "kept", "num": 1}).json()["items"][0]
    label(image["id"], False, by="bob", note="a doll, not a drawing")
    labels = LabelLog(workspace).current()
    done = recurate(workspace, "", {}, labels=labels, run_id="run")
    assert done.after is not None
    assert image["id"] in done.flips["kept", "person"]
    lines = dict(explain(workspace, image["id"])[0].chapters)[f"curate {done.after}"]
    assert any(line.startswith("person: drop") and "bob" in line for line in lines)
    assert any("a doll, not a drawing" in line for line in lines)
    crawls = crawls_of(workspace, done.after.name, done.after.version)
    funnel = read_funnel(workspace, crawls, done.after.name, done.after.version)
    assert any(step.rule == "person" and sum(step.dropped.values()) == 1 for step in funnel.steps)
    service.refresh()
    story = client.get(f"/api/images/{image['id']}").json()
    assert (story["image"]["rule"], story["image"]["by_person"]) == ("person", True)
    assert story["decisions"][0]["evidence"]["by"] == "bob"
