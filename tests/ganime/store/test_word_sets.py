import numpy as np
import pyarrow as pa
import pytest

from ganime.store.word_sets import Gathered, WordSets

RANDOM = np.random.default_rng(7)
MANY = [
    [set(RANDOM.choice(list("abcdefg"), RANDOM.integers(0, 7)).tolist()) for _ in range(num)]
    for num in (0, 1, 2, 5, 40)
] + [[set(), set()]]


@pytest.mark.parametrize("sets", MANY)
def test_sets_read_as_sorted_lists(sets: list[set[str]]) -> None:
    column = WordSets.of(sets)
    assert list(column) == [sorted(words) for words in sets]
    assert column.to_arrow().to_pylist() == [sorted(words) for words in sets]
    assert column.words == sorted(set[str]().union(*sets))
    counted = dict(zip(column.words, column.counts().tolist(), strict=True))
    assert counted == {word: sum(word in words for words in sets) for word in column.words}


@pytest.mark.parametrize("sets", MANY)
@pytest.mark.parametrize("wanted", [set(), {"a"}, {"z"}, {"b", "x", "g"}])
def test_those_that_hold_a_word_are_found(sets: list[set[str]], wanted: set[str]) -> None:
    found = WordSets.of(sets).holding(wanted)
    assert found == {i: sorted(words & wanted) for i, words in enumerate(sets) if words & wanted}
    matrix = WordSets.of(sets).matrix(sorted(wanted))
    by_hand = [[int(word in words) for word in sorted(wanted)] for words in sets]
    assert matrix.tolist() == by_hand
    assert matrix.shape == (len(sets), len(wanted))
    assert matrix.dtype == np.uint8


@pytest.mark.parametrize("sets", MANY)
def test_a_union_has_the_words_of_all_its_sets(sets: list[set[str]]) -> None:
    groups = RANDOM.integers(-1, 4, len(sets))
    united = WordSets.of(sets).united(groups, 4)
    wanted: list[set[str]] = [set(), set(), set(), set()]
    for words, group in zip(sets, groups.tolist(), strict=True):
        if group >= 0:
            wanted[group] |= words
    assert list(united) == [sorted(words) for words in wanted]
    assert united.words == sorted(set[str]().union(*wanted))


def test_pieces_come_in_any_order() -> None:
    gathered = Gathered()
    gathered.add(np.array([2, 0]), pa.array(["b", "a"]))
    gathered.add(np.array([1, 2, 2]), pa.array(["c", "a", "b"]))
    assert list(gathered.sets(np.array([1, 0, 1]), 3)) == [["c"], ["a", "b"], []]


def test_a_place_beyond_the_end_is_an_error() -> None:
    column = WordSets.of([["a"], ["b"]])
    assert column[-1] == ["b"]
    with pytest.raises(IndexError):
        column[2]
