import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from ganime.decide import PERSON, decide, kept_images, statuses, summary, to_table
from ganime.duplicates import Duplicate
from ganime.errors import ConfigError
from ganime.filters import FILTERS, Facts, Filter, Score
from ganime.filters.aspect import Aspect
from ganime.filters.background import Background
from ganime.filters.classified import Classified
from ganime.filters.decodable import Decodable
from ganime.filters.duplicate import DuplicateOf
from ganime.filters.min_side import MinSide
from ganime.filters.tags import Tags
from ganime.rows import DecisionRow, LabelRow
from ganime.stages.curate import CurateConfig
from ganime.store.manifest import from_arrow
from ganime.store.word_sets import WordSets

BROKEN, SMALL, LONG, FLASHY, CHIBI, TAGGED, COPY, GOOD = (f"{i}" * 64 for i in range(8))
IDS = [BROKEN, SMALL, LONG, FLASHY, CHIBI, TAGGED, COPY, GOOD]
RULES = (
    Decodable(),
    Tags(),
    MinSide(pixels=128),
    Aspect(ratio=5),
    Background(fraction=0.7),
    Classified(ask="chibi"),
    Classified(ask="multiple"),
    DuplicateOf(),
)


def facts() -> Facts:
    nan = float("nan")

    def duplicates(ids: Sequence[str], similarity: float) -> Mapping[str, Duplicate]:
        # The copy's best twin is the good one; were that dropped, nothing would be its double.
        if similarity <= 0.9 and {COPY, GOOD} <= set(ids):
            return {COPY: Duplicate(kept=GOOD, similarity=0.9, hamming=3, mirrored=True)}
        return {}

    return Facts(
        image_ids=IDS,
        columns={
            "width": np.array([nan, 50, 100, 300, 300, 300, 300, 300.0]),
            "height": np.array([nan, 60, 900, 600, 600, 600, 600, 600.0]),
            "alpha_fraction": np.zeros(8),
            "background_fraction": np.array([nan, 1, 1, 0.2, 1, 1, 1, 1.0]),
            "sharpness": np.array([nan, 5, 90, 90, 90, 90, 90, 90.0]),
            "strip_fraction": np.array([nan, 0, 0, 0, 0, 0, 0, 0.0]),
            "colour_spread": np.array([nan, 0, 9, 9, 9, 9, 9, 9.0]),
            "figures": np.array([nan, nan, 1, 2, 1, 1, 1, 1.0]),
            **{
                f"touched_{side}": np.array([nan, nan, 0, 0.5, 0, 0, 0, 0.0])
                for side in ("left", "top", "right", "bottom")
            },
        },
        problems=["truncated", *[None] * 7],
        tags=WordSets.of([["comic" if i == TAGGED else "1girl"] for i in IDS]),
        scores={"chibi": Score(np.array([nan, 0, 0, 0, 0.9, 0, 0, 0.1]), 0.5)},
        duplicates=duplicates,
    )


def said(image_id: str, question: str, answer: bool) -> LabelRow:
    return LabelRow(
        label_id=1,
        image_id=image_id,
        question=question,
        answer=answer,
        by="ann",
        at=datetime(2026, 1, 2, tzinfo=UTC),
        how="by hand",
        note="because",
        supersedes=None,
    )


def status(labels: Sequence[LabelRow] = ()) -> dict[str, str | None]:
    judged = decide(facts(), RULES, labels)
    places = statuses(judged).tolist()
    rules = [judged[place].rule if place >= 0 else None for place in places]
    return dict(zip(IDS, rules, strict=True))


def test_each_image_has_the_status_of_the_first_rule_that_drops_it() -> None:
    assert status() == {
        BROKEN: "decodable",
        SMALL: "min_side",
        LONG: "aspect",
        FLASHY: "background",
        CHIBI: "chibi",
        TAGGED: "tags",
        COPY: "duplicate",
        GOOD: None,
    }


def test_every_image_has_one_decision_per_rule() -> None:
    judged = decide(facts(), RULES, [])
    rows = from_arrow(DecisionRow, to_table(IDS, judged))
    assert len(rows) == len(IDS) * (len(RULES) + 1)
    assert len({(row.image_id, row.rule) for row in rows}) == len(rows)
    assert {row.verdict for row in rows} == {"keep", "drop", "abstain"}
    assert all((row.reason is None) == (row.verdict == "keep") for row in rows)


def test_a_score_is_kept_beside_its_threshold() -> None:
    rows = from_arrow(DecisionRow, to_table(IDS, decide(facts(), RULES, [])))
    (row,) = [row for row in rows if row.image_id == CHIBI and row.rule == "chibi"]
    assert (row.score, row.threshold, row.decided_by) == (0.9, 0.5, "classifier")


def test_a_rule_without_facts_abstains() -> None:
    rows = from_arrow(DecisionRow, to_table(IDS, decide(facts(), RULES, [])))
    multiple = [row for row in rows if row.rule == "multiple"]
    assert {(row.verdict, row.reason) for row in multiple} == {("abstain", "no_classifier")}


def test_the_evidence_names_a_duplicate_that_is_really_kept() -> None:
    rows = from_arrow(DecisionRow, to_table(IDS, decide(facts(), RULES, [])))
    (row,) = [row for row in rows if row.rule == "duplicate" and row.verdict == "drop"]
    assert json.loads(row.evidence or "")["kept"] == GOOD
    # When a person throws the good one out, its copy takes its place.
    assert status([said(GOOD, "keep", False)])[COPY] is None


def test_a_person_outranks_every_rule() -> None:
    changed = status([said(CHIBI, "keep", True), said(GOOD, "keep", False)])
    assert changed[CHIBI] is None
    assert changed[GOOD] == PERSON


def test_a_person_cannot_make_a_broken_file_whole() -> None:
    assert status([said(BROKEN, "keep", True)])[BROKEN] == "decodable"


def test_an_answer_to_a_rules_question_replaces_its_verdict() -> None:
    changed = status([said(CHIBI, "chibi", False), said(GOOD, "chibi", True)])
    assert changed[CHIBI] is None
    assert changed[GOOD] == "chibi"


def test_a_decision_by_a_person_says_so() -> None:
    judged = decide(facts(), RULES, [said(CHIBI, "keep", True)])
    rows = from_arrow(DecisionRow, to_table(IDS, judged))
    (row,) = [row for row in rows if row.image_id == CHIBI and row.rule == "chibi"]
    assert (row.verdict, row.decided_by) == ("keep", "person")
    assert json.loads(row.evidence or "")["by"] == "ann"


def test_the_summary_adds_up() -> None:
    judged = decide(facts(), RULES, [])
    assert summary(judged).startswith("8 in, 1 kept, 7 dropped (")
    assert kept_images(judged).sum() == 1


@pytest.mark.parametrize("name", FILTERS.names())
def test_every_filter_judges_all_images_and_changes_nothing(name: str) -> None:
    options = {"ask": "chibi"} if name == "classified" else {}
    rule: Filter = FILTERS.build({"name": name, **options})
    given, alive = facts(), np.ones(len(IDS), bool)
    verdicts = rule.judge(given, alive)
    assert verdicts.drop.shape == verdicts.abstain.shape == (len(IDS),)
    assert not (verdicts.drop & verdicts.abstain).any()
    assert alive.all()


def test_rules_are_chosen_by_name_in_settings() -> None:
    config = CurateConfig.parse({"rules": ["decodable", {"name": "min_side", "pixels": 9}]})
    assert config.rules == (Decodable(), MinSide(pixels=9))
    assert CurateConfig.parse(config.model_dump(mode="json")) == config
    with pytest.raises(ConfigError, match=r"no filter is called 'min_size'; known: .*min_side"):
        CurateConfig.parse({"rules": ["min_size"]})
    with pytest.raises(ConfigError, match=r"rules.*pixel: unknown setting"):
        CurateConfig.parse({"rules": [{"name": "min_side", "pixel": 9}]})
