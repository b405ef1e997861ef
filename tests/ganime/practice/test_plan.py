from collections import Counter

import pytest

from ganime.errors import ConfigError
from ganime.practice.files import FAULTS, RELATIONS
from ganime.practice.plan import VIEWPOINTS, PracticeConfig, plan_posts, true_tags


def test_the_shares_are_kept() -> None:
    config = PracticeConfig(posts=600)
    plan = plan_posts(config)
    relations = Counter(post.relation for post in plan)
    assert relations["exact"] == round(600 * config.exact)
    assert sum(relations[name] for name in RELATIONS) == round(600 * config.near)
    originals = [post for post in plan if post.relation == "original"]
    kinds = Counter(post.scene.kind for post in originals)
    for kind in ("chibi", "multiple", "flashy", "viewpoint"):
        assert kinds[kind] == round(600 * getattr(config, kind))
    assert sum(post.fault is not None for post in plan) == round(600 * config.broken)
    assert {post.fault for post in plan} == {None, *FAULTS}
    assert set(RELATIONS) <= set(relations)
    assert {post.scene.viewpoint for post in plan} == {"front", *VIEWPOINTS}


def test_tags_are_true_and_nuisances_are_told_apart_by_them_only_mostly() -> None:
    config = PracticeConfig(posts=600, chibi=0.2, multiple=0.2, flashy=0.2, viewpoint=0.1)
    told: Counter[bool] = Counter()
    for post in plan_posts(config):
        telling, plain = true_tags(post.scene)
        tags = set(post.tags)
        assert tags <= telling | plain
        assert "full_body" in tags
        assert ("standing" in tags) == (post.scene.viewpoint != "lying")
        assert ({"1girl", "solo"} <= tags) == (post.scene.kind != "multiple")
        if post.scene.kind == "flashy":
            assert tags.isdisjoint({"white_background", "simple_background"})
        if telling:
            told[telling <= tags] += 1
    assert 0.6 < told[True] / told.total() < 0.8


def test_copies_copy_sound_originals_with_ids_of_their_own() -> None:
    plan = plan_posts(PracticeConfig(posts=300))
    assert len({post.post_id for post in plan}) == 300
    for post in plan:
        if post.base:
            assert post.base.relation == "original"
            assert post.base.fault is None
            assert post.base.scene == post.scene


def test_the_same_settings_give_the_same_plan_and_another_seed_another() -> None:
    assert plan_posts(PracticeConfig(posts=40)) == plan_posts(PracticeConfig(posts=40))
    assert plan_posts(PracticeConfig(posts=40)) != plan_posts(PracticeConfig(posts=40, seed=1))


def test_shares_beyond_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="sum to"):
        PracticeConfig.parse({"chibi": 0.9, "multiple": 0.9})


@pytest.mark.parametrize("name", ["chibi", "multiple", "flashy", "viewpoint", "broken"])
def test_a_site_may_be_of_one_kind_only(name: str) -> None:
    shares = dict.fromkeys(
        ("chibi", "multiple", "flashy", "viewpoint", "exact", "near", "broken"), 0.0
    )
    config = PracticeConfig.parse({"posts": 5, **shares, name: 1.0})
    assert len(plan_posts(config)) == 5
