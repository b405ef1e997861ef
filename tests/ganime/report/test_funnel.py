from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ganime.report.funnel import Funnel, Step, funnel_of, read_funnel
from ganime.report.records import Records, read_records
from ganime.rows import DecisionRow
from ganime.store.manifest import to_arrow
from ganime.store.workspace import Workspace


def records_of(made: Any) -> Records:
    given = made.inputs
    return read_records(made.workspace, given.crawl_ids, given.dataset_name, given.dataset_version)


def test_every_post_is_counted_exactly_once(made: Any) -> None:
    funnel = funnel_of(records_of(made))
    assert funnel.reconciles
    assert funnel.num_in == len(made.stories) == funnel.num_kept + funnel.num_dropped
    for before, after in zip(funnel.steps, funnel.steps[1:], strict=False):
        assert before.num_in == before.num_kept + sum(before.dropped.values())
        assert before.num_kept == after.num_in


def test_the_counts_are_those_the_posts_were_made_with(made: Any) -> None:
    told = made.stories
    lost = Counter(story.reason for story in told if story.image_id is None)
    files = {story.image_id for story in told if story.image_id}
    steps = {step.rule: step for step in funnel_of(records_of(made)).steps}
    assert steps["fetch"].dropped == dict(lost)
    assert steps["same_file"].num_in == sum(story.image_id is not None for story in told)
    assert steps["same_file"].num_kept == len(files)
    for rule in ("decodable", "tags", "min_side", "background", "duplicate"):
        wanted = {story.image_id for story in told if story.rule == rule}
        assert steps[rule].num_dropped == len(wanted), rule


def test_what_is_left_is_the_dataset(made: Any) -> None:
    records = records_of(made)
    assert funnel_of(records).num_kept == len(records.members)
    assert {row.image_id for row in records.members} == set(records.kept)


def test_an_image_counts_for_the_first_rule_that_drops_it(made: Any) -> None:
    records = records_of(made)
    twice = next(image_id for image_id, row in records.drops.items() if row.rule == "tags")
    verdicts = records.verdicts([twice])[twice]
    rows = [
        replace(row, verdict="drop", reason="chibi") if row.rule == "chibi" else row
        for row in verdicts
    ]
    alone = replace(
        records,
        posts=records.posts_of[twice],
        num_listed=1,
        members=[],
        decisions=to_arrow(DecisionRow, rows[::-1]),
    )
    funnel = funnel_of(alone)
    assert [step.rule for step in funnel.steps if step.num_dropped] == ["tags"]
    assert funnel.reconciles


def test_rules_that_could_not_tell_are_counted(made: Any) -> None:
    records = records_of(made)
    assert records.abstained == []
    image_id = records.kept[0]
    rows = [
        replace(row, verdict="abstain", reason="no_classifier") if row.rule == "chibi" else row
        for row in records.verdicts([image_id])[image_id]
    ]
    alone = replace(records, decisions=to_arrow(DecisionRow, rows))
    assert alone.abstained == [("chibi", "no_classifier", 1)]


def test_a_post_without_an_outcome_is_not_forgotten(made: Any) -> None:
    records = records_of(made)
    funnel = funnel_of(replace(records, num_listed=records.num_listed + 5))
    assert funnel.steps[0].dropped["no_outcome_yet"] == 5
    assert funnel.reconciles


def test_an_image_that_no_rule_has_seen_is_not_forgotten(made: Any) -> None:
    records = records_of(made)
    unseen = records.kept[0]
    table = records.decisions
    fewer = table.filter(pc.not_equal(table["image_id"], unseen))
    members = [row for row in records.members if row.image_id != unseen]
    funnel = funnel_of(replace(records, decisions=fewer, members=members))
    step = next(step for step in funnel.steps if step.rule == "decided")
    assert step.dropped == {"not_decided_yet": 1}
    assert funnel.reconciles


def test_a_kept_image_that_was_not_packed_is_shown(made: Any) -> None:
    records = records_of(made)
    funnel = funnel_of(replace(records, members=records.members[3:]))
    assert funnel.steps[-1].dropped == {"not_packed": 3}
    assert funnel.num_kept == len(records.members) - 3
    assert funnel.reconciles


def test_numbers_that_do_not_add_up_are_noticed() -> None:
    fine = Step("crawl", "fetch", "posts", 10, 8, {"http_404": 2})
    assert Funnel([fine]).reconciles
    assert not Funnel([Step("crawl", "fetch", "posts", 10, 8, {"http_404": 1})]).reconciles
    assert not Funnel([fine, Step("dedupe", "same_file", "posts", 9, 9, {})]).reconciles


def test_an_empty_workspace_has_an_empty_funnel(tmp_path: Path) -> None:
    funnel = read_funnel(Workspace(str(tmp_path)), ["none"], "", "")
    assert (funnel.num_in, funnel.num_kept, funnel.num_dropped) == (0, 0, 0)
    assert funnel.reconciles


def test_each_step_is_one_line_for_a_terminal(made: Any) -> None:
    given = made.inputs
    funnel = read_funnel(made.workspace, given.crawl_ids, given.dataset_name, given.dataset_version)
    first = funnel.lines()[0]
    assert first.startswith(f"crawl fetch: {len(made.stories)} posts in, ")
    assert "rating 6" in first
