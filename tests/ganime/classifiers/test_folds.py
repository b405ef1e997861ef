from pathlib import Path

import numpy as np

from ganime.classifiers.folds import assign_folds, neighbour_groups
from ganime.config import Config
from ganime.rows import NeighbourRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace


def test_every_fold_gets_its_share_of_both_answers() -> None:
    keys = [f"{i:03d}" for i in range(103)]
    answers = np.arange(103) < 12

    folds = assign_folds(keys, answers, keys, folds=5, seed=0)

    assert sorted(np.bincount(folds).tolist()) == [20, 20, 21, 21, 21]
    assert sorted(np.bincount(folds[answers]).tolist()) == [2, 2, 2, 3, 3]


def test_groups_stay_whole() -> None:
    keys = [f"{i:03d}" for i in range(60)]
    groups = [str(i // 3) for i in range(60)]

    folds = assign_folds(keys, np.arange(60) % 6 < 3, groups, folds=4, seed=0)

    assert all(len(set(folds[i : i + 3])) == 1 for i in range(0, 60, 3))


def test_folds_depend_on_the_keys_not_on_their_order() -> None:
    keys = [f"{i:03d}" for i in range(40)]
    answers = np.arange(40) % 4 == 0
    order = np.random.default_rng(0).permutation(40)

    plain = assign_folds(keys, answers, keys, folds=5, seed=0)
    mixed = [keys[i] for i in order]
    shuffled = assign_folds(mixed, answers[order], mixed, folds=5, seed=0)

    np.testing.assert_array_equal(plain[order], shuffled)


def test_few_answers_make_fewer_folds() -> None:
    keys = list("abcdefgh")

    folds = assign_folds(keys, np.array([True] * 3 + [False] * 5), keys, folds=5, seed=0)

    assert folds.max() == 2


def test_near_duplicates_are_one_group(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    rows = [
        NeighbourRow(
            image_id=image_id,
            others=others,
            hamming=[1] * len(others),
            similarity=[0.9] * len(others),
            mirrored=[False] * len(others),
            run_id="r",
        )
        for image_id, others in (("a", []), ("b", ["a"]), ("c", ["b"]), ("d", []), ("e", ["d"]))
    ]
    provenance = Provenance(stage="dedupe", revision=1, config=Config(), run_id="r")
    Table(workspace, NeighbourRow).write("part", rows, provenance)

    assert neighbour_groups(workspace) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}
