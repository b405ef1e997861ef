"""The rules that hold one column, or a few, against a threshold; and the tags."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from ganime.filters import FILTERS, Facts, Filter, Verdicts
from ganime.filters.alpha import Alpha
from ganime.filters.caption import Caption
from ganime.filters.cut_off import CutOff
from ganime.filters.figures import Figures
from ganime.filters.monochrome import Monochrome
from ganime.filters.sharpness import Sharpness
from ganime.filters.tags import PITFALLS, Tags
from ganime.store.word_sets import WordSets

NAN = math.nan


def judged(
    rule: Filter, *, tags: list[frozenset[str]] | None = None, **columns: list[float]
) -> Verdicts:
    num = len(tags) if tags is not None else len(next(iter(columns.values())))
    values = {name: np.array(column, float) for name, column in columns.items()}
    facts = Facts(
        image_ids=[f"{i:064x}" for i in range(num)],
        columns={"background_fraction": np.ones(num), **values},
        problems=[None] * num,
        tags=WordSets.of(tags if tags is not None else [[]] * num),
        scores={},
        duplicates=lambda ids, similarity: {},
    )
    return rule.judge(facts, np.ones(num, bool))


def words(verdicts: Verdicts) -> list[str]:
    both = zip(verdicts.drop, verdicts.abstain, strict=True)
    return ["drop" if drop else "abstain" if abstain else "keep" for drop, abstain in both]


def test_a_picture_of_one_hue_is_monochrome() -> None:
    verdicts = judged(Monochrome(), colour_spread=[0.0, 0.7, 0.8, 14.0, NAN])
    assert words(verdicts) == ["drop", "drop", "keep", "keep", "abstain"]
    assert verdicts.reason == "monochrome"


def test_next_to_nothing_on_a_transparent_ground_goes() -> None:
    verdicts = judged(Alpha(), alpha_fraction=[0.0, 0.8, 0.97, NAN])
    assert words(verdicts) == ["keep", "keep", "drop", "abstain"]
    assert verdicts.reason == "transparent"
    assert words(judged(Alpha(fraction=0), alpha_fraction=[0.0, 0.01])) == ["keep", "drop"]


def test_a_picture_in_a_frame_goes() -> None:
    verdicts = judged(Caption(), strip_fraction=[0.0, 0.02, 0.1, NAN])
    assert words(verdicts) == ["keep", "keep", "drop", "abstain"]
    assert verdicts.reason == "caption_or_frame"


def test_a_blurred_picture_goes() -> None:
    verdicts = judged(Sharpness(variance=30), sharpness=[10.0, 30.0, 900.0, NAN])
    assert words(verdicts) == ["drop", "keep", "keep", "abstain"]
    assert verdicts.reason == "blurred"


def test_several_figures_go_where_the_ground_is_clean() -> None:
    fraction = [1.0, 0.9, 0.9, 0.5, 0.2]
    verdicts = judged(Figures(), figures=[1, 2, 5, 3, NAN], background_fraction=fraction)
    assert words(verdicts) == ["keep", "drop", "drop", "abstain", "abstain"]
    assert (verdicts.reason, verdicts.abstain_reason) == ("several_figures", "no_clean_ground")


def test_more_figures_can_be_allowed() -> None:
    assert words(judged(Figures(most=2), figures=[1, 2, 3])) == ["keep", "keep", "drop"]


def test_a_figure_that_the_frame_cuts_goes_and_the_side_is_named() -> None:
    columns = {
        "touched_left": [0.0, 0.0, 0.4, NAN, 0.9],
        "touched_top": [0.0, 0.1, 0.0, NAN, 0.0],
        "touched_right": [0.0, 0.0, 0.2, NAN, 0.0],
        "touched_bottom": [0.0, 0.0, 0.3, NAN, 0.0],
        "background_fraction": [1.0, 0.9, 0.7, 0.3, 0.55],
    }
    verdicts = judged(CutOff(), **columns)
    assert words(verdicts) == ["keep", "keep", "drop", "abstain", "abstain"]
    assert verdicts.evidence == {2: {"side": "left"}}
    only_bottom = judged(CutOff(sides=("bottom",)), **columns)
    assert only_bottom.evidence == {2: {"side": "bottom"}}
    with pytest.raises(ValidationError):
        CutOff(sides=())


@pytest.mark.parametrize("tag", PITFALLS)
def test_every_pitfall_rules_an_image_out_by_default(tag: str) -> None:
    verdicts = judged(Tags(), tags=[frozenset({"1girl", "solo"}), frozenset({"1girl", tag})])
    assert words(verdicts) == ["keep", "drop"]
    assert verdicts.evidence == {1: {"tags": [tag]}}


def test_a_tag_counts_however_a_site_spells_it() -> None:
    spellings = [
        "Multiple Views",
        "multiple_views",
        "multiple-views",
        "AI-generated",
        "ai generated",
    ]
    verdicts = judged(Tags(), tags=[frozenset({tag}) for tag in spellings])
    assert words(verdicts) == ["drop"] * 5
    assert verdicts.evidence[0] == {"tags": ["Multiple Views"]}


def test_the_tags_are_the_users_to_choose() -> None:
    tags = [frozenset({"comic"}), frozenset({"sketch"}), frozenset({"solo"})]
    assert words(judged(Tags(exclude=("sketch",)), tags=tags)) == ["keep", "drop", "keep"]
    assert words(judged(Tags(also=("sketch",)), tags=tags)) == ["drop", "drop", "keep"]
    assert words(judged(Tags(exclude=()), tags=tags)) == ["keep"] * 3


@pytest.mark.parametrize(
    "name", ["alpha", "caption", "monochrome", "sharpness", "figures", "cut_off", "tags"]
)
def test_a_rule_is_found_by_its_name(name: str) -> None:
    assert FILTERS.build(name).rule == name
    assert words(judged(FILTERS.build("tags"), tags=[])) == []
