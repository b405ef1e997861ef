import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from ganime.decide import decide, kept_images
from ganime.duplicates import duplicate_groups
from ganime.errors import ConfigError
from ganime.filters import Facts
from ganime.filters.duplicate import DuplicateOf
from ganime.rows import ImageRow, NeighbourRow

Edges = Mapping[tuple[str, str], float]


def image(image_id: str, num_bytes: int, side: int = 500) -> ImageRow:
    return ImageRow(
        image_id=image_id,
        problem=None,
        format="JPEG",
        mode="RGB",
        width=side,
        height=side,
        frames=1,
        num_bytes=num_bytes,
        phash=0,
        phash_mirrored=0,
        trim_box=[10, 10, side - 10, side - 10],
        thumbnail=b"",
        alpha_fraction=0.0,
        border_colour=[255, 255, 255],
        background_fraction=1.0,
        background_texture=0.0,
        sharpness=1.0,
        run_id="",
    )


def facts(images: Sequence[ImageRow], edges: Edges) -> Facts:
    rows = [
        NeighbourRow(
            image_id=one,
            others=[other],
            hamming=[2],
            similarity=[alike],
            mirrored=[False],
            run_id="",
        )
        for (one, other), alike in edges.items()
    ]
    by_id = {row.image_id: row for row in images}
    return Facts(
        image_ids=list(by_id),
        columns={},
        problems=[None] * len(images),
        tags=[frozenset()] * len(images),
        scores={},
        duplicates=lambda ids, similarity: duplicate_groups(
            by_id, rows, ids, min_similarity=similarity
        ),
    )


def dropped(rule: DuplicateOf, known: Facts, alive: Sequence[bool] = ()) -> dict[str, str]:
    flags = np.array(alive or [True] * len(known.image_ids))
    verdicts = rule.judge(known, flags)
    chosen = np.flatnonzero(verdicts.drop)
    return {known.image_ids[i]: verdicts.evidence[i]["kept"] for i in chosen}


# A drawing, its smile and a copy of its smile, all on one canvas, best first.
STATES = [image("plain", 30), image("smile", 20), image("smile_again", 10)]
STATE_EDGES = {
    ("smile", "plain"): 0.87,
    ("smile_again", "plain"): 0.86,
    ("smile_again", "smile"): 0.97,
}


def test_variants_are_copies_unless_told_otherwise() -> None:
    known = facts(STATES, STATE_EDGES)
    assert dropped(DuplicateOf(), known) == {"smile": "plain", "smile_again": "plain"}


def test_the_best_of_each_state_is_kept_where_variants_are() -> None:
    known = facts(STATES, STATE_EDGES)
    assert dropped(DuplicateOf(variants="keep"), known) == {"smile_again": "smile"}


def test_kept_variants_do_not_save_smaller_copies() -> None:
    known = facts([*STATES, image("small", 5, side=300)], {**STATE_EDGES, ("small", "plain"): 0.87})
    assert dropped(DuplicateOf(variants="keep"), known) == {
        "smile_again": "smile",
        "small": "plain",
    }


def test_what_an_earlier_rule_dropped_is_not_kept_instead() -> None:
    known = facts(STATES, STATE_EDGES)
    assert dropped(DuplicateOf(), known, [False, True, True]) == {"smile_again": "smile"}


def test_a_group_that_is_too_large_is_kept_and_says_so() -> None:
    images = [image(f"{i:02d}", 100 - i) for i in range(6)]
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
