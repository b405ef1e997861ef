import itertools

import numpy as np
import pytest

from ganime.practice.characters import (
    BANGS,
    FURTHER,
    HAIR_STYLES,
    HEADWEAR,
    LARGE,
    OUTFITS,
    POSES,
    Cast,
    Character,
    num_differences,
    random_character,
)
from ganime.practice.figure import draw_chibi, draw_figure
from ganime.practice.palette import HAIR


def characters(count: int) -> list[Character]:
    rng = np.random.default_rng(3)
    return [random_character(rng) for _ in range(count)]


def test_there_is_much_to_choose_from() -> None:
    assert len(HAIR) >= 8
    assert len(OUTFITS) >= 6
    assert len(POSES) >= 8
    assert len(HAIR_STYLES) >= 8


def test_a_small_cast_differs_in_two_of_the_largest_attributes() -> None:
    cast, rng = Cast(), np.random.default_rng(0)
    people = [cast.add(rng) for _ in range(150)]
    assert min(num_differences(a, b, LARGE) for a, b in itertools.combinations(people, 2)) >= 2


def test_a_large_cast_still_differs_in_two_attributes() -> None:
    cast, rng = Cast(), np.random.default_rng(0)
    people = [cast.add(rng) for _ in range(450)]
    for a, b in itertools.combinations(people, 2):
        assert num_differences(a, b, LARGE + FURTHER) >= 2
        assert num_differences(a, b, LARGE) >= 1


def test_every_character_can_be_drawn_from_every_side() -> None:
    for character in characters(60):
        drawings = {draw_figure(character, view) for view in ("front", "back", "side")}
        drawings.add(draw_chibi(character))
        assert len(drawings) == 4
        assert not any("nan" in drawing or "None" in drawing for drawing in drawings)


def test_tags_name_what_is_seen() -> None:
    for character in characters(200):
        tags = set(character.tags())
        assert f"{character.hair_colour}_hair" in tags
        assert set(OUTFITS[character.outfit]) <= tags
        assert set(HEADWEAR[character.headwear]) <= tags
        assert (f"{character.eye_colour}_eyes" in tags) == (character.expression != "closed")


def test_nobody_names_a_face_seen_from_behind() -> None:
    for character in characters(200):
        tags = set(character.tags("back"))
        assert not {tag for tag in tags if tag.endswith("_eyes")}
        assert tags.isdisjoint({"smile", "blush", "glasses", "looking_at_viewer", "necktie"})
        assert tags.isdisjoint(BANGS.values())


@pytest.mark.parametrize("view", ["front", "back", "side"])
def test_equal_characters_are_drawn_equally(view: str) -> None:
    one, other = characters(1), characters(1)
    assert draw_figure(one[0], view) == draw_figure(other[0], view)  # type: ignore[arg-type]
