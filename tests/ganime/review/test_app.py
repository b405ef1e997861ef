import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from httpx import Client

from ganime.config import Config
from ganime.recurate import find_dataset
from ganime.report import read_funnel
from ganime.review.facets import count
from ganime.review.query import Filters, Selection
from ganime.review.service import Service
from ganime.rows import DecisionRow, MemberRow, PostRow
from ganime.store.lineage import crawls_of
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

Slow = dict[str, dict[str, Any]]


def facts(workspace: Workspace) -> Slow:
    """Status, rule, scores and tags of every image, row by row."""
    dataset = find_dataset(workspace, "")
    found: Slow = {}
    for row in Table(workspace, DecisionRow, root=f"datasets/{dataset}").rows():
        image = found.setdefault(
            row.image_id, {"rule": None, "scores": {}, "tags": set(), "order": 99}
        )
        if row.verdict == "drop" and row.order < image["order"]:
            image |= {"rule": row.rule, "order": row.order, "reason": row.reason}
        if row.score is not None and row.threshold is not None:
            image["scores"][row.rule] = row.score
    for crawl in crawls_of(workspace, dataset.name, dataset.version):
        for post in Table(workspace, PostRow, crawl).rows():
            if post.image_id:
                found[post.image_id]["tags"] |= {*post.tags, *post.artist_tags}
    return found


def pages(client: Client, **params: Any) -> list[dict[str, Any]]:
    """All items, page by page."""
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked = {**params, **({"cursor": cursor} if cursor else {})}
        answer = client.get("/api/images", params=asked)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["cursor"]
        if cursor is None:
            return items


def test_the_dataset_says_what_there_is_to_ask_for(client: Client, service: Service) -> None:
    told = client.get("/api/dataset").json()
    assert told["dataset"] == service.snapshot.dataset
    assert told["rules"] == ["person", "decodable", "min_side", "background", "chibi", "duplicate"]
    assert {one["name"] for one in told["scores"]} >= {"chibi", "min_side", "background"}
    above = {one["name"]: one["drops_above"] for one in told["scores"]}
    assert above["chibi"]
    assert not above["min_side"]


@pytest.mark.parametrize("sort", ["newest", "oldest", "uncertain", "highest", "lowest"])
def test_pages_hold_every_image_once(client: Client, workspace: Workspace, sort: str) -> None:
    items = pages(client, sort=sort, by="chibi", num=7)
    assert Counter(item["id"] for item in items) == Counter(list(facts(workspace)))


@pytest.mark.parametrize("sort", ["newest", "uncertain"])
def test_many_images_are_walked_to_the_same_pages_as_few_are_sorted(
    client: Client, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    filters: list[dict[str, Any]] = [
        {},
        {"status": "dropped"},
        {"score": "chibi", "score_max": 0.7},
        {"score": "chibi", "score_min": 0.3, "rule": ["chibi", "min_side"], "label": "none"},
        {"tag": "full_body", "status": "kept"},
    ]
    few = [pages(client, sort=sort, by="chibi", num=4, **one) for one in filters]
    monkeypatch.setattr("ganime.review.pages._FEW", -1)
    monkeypatch.setattr("ganime.review.pages._STEP", 3)
    for steps in (4, 1, 0):  # enough, too few, and none but sorting all that pass
        monkeypatch.setattr("ganime.review.pages._STEPS", steps)
        assert [pages(client, sort=sort, by="chibi", num=4, **one) for one in filters] == few


def test_a_page_goes_on_behind_its_image_whatever_is_labelled_meanwhile(client: Client) -> None:
    params = {"sort": "uncertain", "by": "chibi", "question": "chibi", "label": "none", "num": 5}
    whole = [one["id"] for one in pages(client, **params)]
    first = client.get("/api/images", params=params).json()
    labels = [
        {"image_id": one["id"], "question": "chibi", "answer": True, "expected": None}
        for one in first["items"]
    ]
    assert client.post("/api/labels", json={"by": "ann", "labels": labels}).status_code == 200
    second = client.get("/api/images", params={**params, "cursor": first["cursor"]}).json()
    assert [one["id"] for one in second["items"]] == whole[5:10]


def test_scores_sort_as_they_are_and_uncertain_is_next_to_the_threshold(client: Client) -> None:
    scores = [one["scores"]["chibi"] for one in pages(client, sort="highest", by="chibi", num=9)]
    assert scores == sorted(scores, reverse=True)
    near = [one["scores"]["chibi"] for one in pages(client, sort="uncertain", by="chibi", num=9)]
    distances = [round(abs(score - 0.6), 6) for score in near]  # they are kept as float32
    assert distances == sorted(distances)


def test_filters_and_counts_agree_with_a_look_at_every_row(
    client: Client, workspace: Workspace
) -> None:
    slow = facts(workspace)
    tag = Counter(tag for image in slow.values() for tag in image["tags"]).most_common()[5][0]
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"status": "kept"}, lambda one: one["rule"] is None),
        ({"rule": ["chibi", "duplicate"]}, lambda one: one["rule"] in ("chibi", "duplicate")),
        ({"reason": "too_small"}, lambda one: one.get("reason") == "too_small"),
        ({"tag": tag}, lambda one: tag in one["tags"]),
        ({"not_tag": tag, "status": "dropped"}, lambda one: one["rule"] and tag not in one["tags"]),
        (
            {"score": "chibi", "score_min": 0.2, "score_max": 0.7, "status": "kept"},
            lambda one: one["rule"] is None and 0.2 <= one["scores"].get("chibi", -1) <= 0.7,
        ),
        ({"tag": ["full_body", tag], "score": "chibi", "score_max": 0.5}, None),
    ]
    for params, passes in cases:
        passes = passes or (lambda one: tag in one["tags"] and one["scores"]["chibi"] <= 0.5)
        expected = {image_id for image_id, one in slow.items() if passes(one)}
        got = [item["id"] for item in pages(client, num=11, **params)]
        assert sorted(got) == sorted(expected), params
        told = client.get("/api/facets", params=params).json()
        assert told["total"] == len(expected)
        assert sum(one["count"] for one in told["label"]) == len(expected)


def test_a_count_ignores_its_own_filter(client: Client, workspace: Workspace) -> None:
    slow = facts(workspace)
    params = {"rule": "chibi", "score": "chibi", "score_min": 0.8}
    told = client.get("/api/facets", params=params).json()
    high = [one for one in slow.values() if one["scores"].get("chibi", 0) >= 0.8]
    by_rule = Counter(one["rule"] for one in high if one["rule"])
    assert {one["value"]: one["count"] for one in told["rule"]} == by_rule
    assert told["total"] == by_rule["chibi"]
    # The histogram ignores the range, yet not the rule.
    dropped = sum(one["rule"] == "chibi" for one in slow.values())
    assert sum(told["histogram"]["counts"]) + told["histogram"]["num_without"] == dropped


def test_tags_are_found_by_the_beginning_of_any_word(client: Client, workspace: Workspace) -> None:
    counts = Counter(tag for one in facts(workspace).values() for tag in one["tags"])
    found = client.get("/api/tags", params={"prefix": "Body", "num": 50}).json()
    assert {"value": "full_body", "count": counts["full_body"]} in found
    assert [one["count"] for one in found] == sorted((one["count"] for one in found), reverse=True)
    assert client.get("/api/tags", params={"prefix": "zzzz"}).json() == []


def test_the_story_of_an_image_has_all_that_is_known(client: Client, workspace: Workspace) -> None:
    item = client.get("/api/images", params={"rule": "duplicate"}).json()["items"][0]
    story = client.get(f"/api/images/{item['id']}").json()
    assert [one["order"] for one in story["decisions"]] == list(range(6))
    last = story["decisions"][-1]
    assert (last["rule"], last["verdict"]) == ("duplicate", "drop")
    assert last["score"] > last["threshold"]
    group = story["duplicates"]
    assert group["kept"] == last["evidence"]["kept"] == group["members"][0]
    assert item["id"] in group["members"]
    assert any(item["id"] in (edge["one"], edge["other"]) for edge in group["edges"])
    (post, *_) = story["posts"]
    assert post["attempts"][-1]["outcome"] == "ok"
    assert post["tags"]["general"]
    assert story["faces"][0]["boxes"]
    assert story["used_by"] == []  # it was dropped
    assert story["provenance"]["run_id"] == "run"


def test_a_kept_image_names_the_datasets_and_models_that_used_it(
    client: Client, workspace: Workspace
) -> None:
    dataset = find_dataset(workspace, "")
    member = Table(workspace, MemberRow, root=f"datasets/{dataset}").rows()[0]
    workspace.write_text(
        "models/m1/config.json", json.dumps({"dataset_version": str(dataset), "kimg": 1})
    )
    story = client.get(f"/api/images/{member.image_id}").json()
    used = {"dataset": str(dataset), "split": member.split, "models": ["m1"]}
    assert story["used_by"] == [used]


def test_the_funnel_is_that_of_the_report(client: Client, workspace: Workspace) -> None:
    dataset = find_dataset(workspace, "")
    crawls = crawls_of(workspace, dataset.name, dataset.version)
    told = read_funnel(workspace, crawls, dataset.name, dataset.version)
    assert client.get("/api/funnel").json() == [asdict(step) for step in told.steps]


def test_the_funnel_over_time_counts_every_image_once(client: Client) -> None:
    days = client.get("/api/intake").json()
    facets = client.get("/api/facets").json()
    status = {one["value"]: one["count"] for one in facets["status"]}
    assert sum(one["num"] for one in days) == facets["num_images"]
    assert sum(one["kept"] for one in days) == status["kept"]
    assert sum(one["dropped"] for one in days) == status["dropped"]
    assert all(one["num"] == one["kept"] + one["dropped"] + one["undecided"] for one in days)
    assert [one["day"] for one in days] == sorted(one["day"] for one in days)


def test_two_models_that_were_compared_are_told_with_the_interval(
    trained: tuple[str, str], client: Client
) -> None:
    told = client.get("/api/comparisons/aaaa/bbbb").json()
    (gap,) = told["gaps"]
    assert (gap["second"] - gap["first"], gap["half"], gap["verdict"]) == (-10, 4, "B is better")
    assert not told["has_sheet"]
    turned = client.get("/api/comparisons/bbbb/aaaa")
    assert turned.status_code == 404
    assert "ganime compare bbbb aaaa" in turned.json()["error"]
    assert client.get("/api/comparisons/aaaa/none").status_code == 404


def test_days_are_whole_and_an_image_without_a_date_is_on_none(workspace: Workspace) -> None:
    dataset = find_dataset(workspace, "")
    (crawl,) = crawls_of(workspace, dataset.name, dataset.version)
    fetched = [row for row in Table(workspace, PostRow, crawl).rows() if row.image_id]
    times = [
        datetime(2024, 2, 29, 0, 0, 0, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
        datetime(2024, 3, 1, 0, 0, 0, tzinfo=UTC),
    ]
    dated = [
        replace(row, post_id=f"9{i}", posted_at=at)
        for i, (row, at) in enumerate(zip(fetched, times, strict=False))
    ]
    made = Provenance(stage="test", revision=1, config=Config(), run_id="run")
    Table(workspace, PostRow, crawl).write("dated", dated, made)
    service = Service(workspace)

    def total(**filters: Any) -> int:
        return count(Selection(service.snapshot, service.answers, Filters(**filters))).total

    day, next_day = date(2024, 2, 29), date(2024, 3, 1)
    assert total(posted_from=day, posted_to=day) == 2
    assert total(posted_from=next_day) == 1
    assert total(posted_to=next_day) == 3
    assert total(posted_to=date(1, 1, 1)) == 0
    assert total(posted_from=date(1, 1, 1), posted_to=date(9999, 12, 31)) == 3
    months = count(Selection(service.snapshot, service.answers, Filters())).month
    assert [(one.month, one.count) for one in months] == [("2024-02", 2), ("2024-03", 1)]


def test_hostile_tags_and_links_reach_the_page_as_text_alone(
    workspace: Workspace, serve_with: Callable[..., AbstractContextManager[str]]
) -> None:
    evil = "<script>alert(1)</script>\u202e"
    dataset = find_dataset(workspace, "")
    (crawl,) = crawls_of(workspace, dataset.name, dataset.version)
    post = next(row for row in Table(workspace, PostRow, crawl).rows() if row.image_id)
    hostile = replace(
        post,
        post_id="666",
        tags=[evil],
        post_url="javascript:alert(1)",
        source_link="http://[broken",
        file_url="data:text/html,x",
    )
    made = Provenance(stage="test", revision=1, config=Config(), run_id="run")
    Table(workspace, PostRow, crawl).write("hostile", [hostile], made)
    with serve_with(Service(workspace)) as url, Client(base_url=url, timeout=30) as client:
        answer = client.get(f"/api/images/{post.image_id}")
        assert answer.headers["content-type"] == "application/json"
        found = next(one for one in answer.json()["posts"] if one["post_id"] == "666")
        assert found["tags"]["general"] == [evil]
        assert not {found["post_url"], found["source_link"], found["file_url"]} - {None}
        (item,) = client.get("/api/images", params={"tag": evil}).json()["items"]
        assert (item["id"], item["num_posts"]) == (post.image_id, 2)


def test_what_is_not_there_is_said_in_words(client: Client) -> None:
    for path, status in (
        ("/api/images/" + "0" * 64, 404),
        ("/api/images/..%2f..%2fetc%2fpasswd", 404),
        ("/api/images/xyz", 422),
        ("/api/images?num=501", 422),
        ("/api/images?sort=uncertain&by=nothing", 404),
        ("/api/images?cursor=" + "z" * 72, 422),
        ("/api/images?status=perhaps", 422),
        ("/api/images?surprise=1", 422),
        ("/api/facets?score_min=1", 422),
        ("/api/facets?score=chibi&score_min=nan", 422),
        ("/api/diff?before=a/b&after=c/d", 404),
        ("/api/models/none/metrics", 404),
        ("/nothing", 404),
    ):
        answer = client.get(path)
        assert answer.status_code == status, (path, answer.text)
        assert list(answer.json()) == ["error"], path
        assert "Traceback" not in answer.text
