import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from ganime.decide import decide, kept_images
from ganime.duplicates import duplicate_groups
from ganime.errors import ConfigError
from ganime.filters import Facts
from ganime.filters.duplicate import DuplicateOf
from ganime.rows import ImageRow, NeighbourRow
from ganime.store.word_sets import WordSets

Edges = Mapping[tuple[str, str], float]
ImageMaker = Callable[..., ImageRow]
FactsMaker = Callable[[Sequence[ImageRow], Edges], Facts]


@pytest.fixture
def facts(edge_rows: Callable[..., list[NeighbourRow]]) -> FactsMaker:
    """What the rule may look at: images and the edges between them."""

    def make(images: Sequence[ImageRow], edges: Edges) -> Facts:
        by_id, rows = {row.image_id: row for row in images}, edge_rows(edges)
        return Facts(
            image_ids=list(by_id),
            columns={},
            problems=[None] * len(images),
            tags=WordSets.of([[]] * len(images)),
            scores={},
            duplicates=lambda ids, similarity: duplicate_groups(
                by_id, rows, ids, min_similarity=similarity
            ),
        )

    return make


@pytest.fixture
def states(image_row: ImageMaker) -> list[ImageRow]:
    """A drawing, its smile and a copy of its smile, all on one canvas, best first."""
    names = ("plain", "smile", "smile_again")
    return [image_row(name, num_bytes=30 - i) for i, name in enumerate(names)]


def dropped(rule: DuplicateOf, known: Facts, alive: Sequence[bool] = ()) -> dict[str, str]:
    flags = np.array(alive or [True] * len(known.image_ids))
    verdicts = rule.judge(known, flags)
    chosen = np.flatnonzero(verdicts.drop)
    return {known.image_ids[i]: verdicts.evidence[i]["kept"] for i in chosen}


STATE_EDGES = {
    ("smile", "plain"): 0.87,
    ("smile_again", "plain"): 0.86,
    ("smile_again", "smile"): 0.97,
}


def test_variants_are_copies_unless_told_otherwise(
    facts: FactsMaker, states: list[ImageRow]
) -> None:
    known = facts(states, STATE_EDGES)
    assert dropped(DuplicateOf(), known) == {"smile": "plain", "smile_again": "plain"}


def test_the_best_of_each_state_is_kept_where_variants_are(
    facts: FactsMaker, states: list[ImageRow]
) -> None:
    known = facts(states, STATE_EDGES)
    assert dropped(DuplicateOf(variants="keep"), known) == {"smile_again": "smile"}


def test_kept_variants_do_not_save_smaller_copies(
    facts: FactsMaker, states: list[ImageRow], image_row: ImageMaker
) -> None:
    known = facts([*states, image_row("small", 300)], {**STATE_EDGES, ("small", "plain"): 0.87})
    assert dropped(DuplicateOf(variants="keep"), known) == {
        "smile_again": "smile",
        "small": "plain",
    }


def test_what_an_earlier_rule_dropped_is_not_kept_instead(
    facts: FactsMaker, states: list[ImageRow]
) -> None:
    known = facts(states, STATE_EDGES)
    assert dropped(DuplicateOf(), known, [False, True, True]) == {"smile_again": "smile"}


def test_a_group_that_is_too_large_is_kept_and_says_so(
    facts: FactsMaker, image_row: ImageMaker
) -> None:
    images = [image_row(f"{i:02d}", num_bytes=100 - i) for i in range(6)]
    known = facts(images, {(f"{i:02d}", "00"): 0.95 for i in range(1, 6)})
    assert len(dropped(DuplicateOf(max_group=6), known)) == 5
    (judged,) = [
        item for item in decide(known, [DuplicateOf(max_group=5)], []) if item.rule == "duplicate"
    ]
    assert set(judged.verdict) == {"keep"}
    assert json.loads(judged.evidence[3] or "") == {"large_group_of": "00", "size": 6}
    assert kept_images([judged]).all()


def test_a_policy_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match="variants"):
        DuplicateOf.parse({"variants": "maybe"})
