"""Sets of words, one per image, as columns: millions of tag lists in a few bytes per tag."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Places = npt.NDArray[np.int64]


class WordSets(Sequence[list[str]]):
    """N sets of words; each reads as a sorted list.

    Args:
        words: The words that occur, sorted.
        codes: Places in `words`, rising within each set, int32 [M].
        starts: Where each set begins in `codes`, and the end, int64 [N + 1].
    """

    def __init__(self, words: list[str], codes: npt.NDArray[np.int32], starts: Places) -> None:
        self.words, self.codes, self.starts = words, codes, starts

    @classmethod
    def of(cls, sets: Iterable[Collection[str]]) -> "WordSets":
        """From sets at hand."""
        listed = [list(words) for words in sets]
        owners = np.repeat(np.arange(len(listed)), [len(words) for words in listed])
        gathered = Gathered()
        gathered.add(owners, pa.array(chain.from_iterable(listed), pa.string()))
        return gathered.sets(np.arange(len(listed)), len(listed))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, place: int) -> list[str]:  # type: ignore[override] # no slices
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        first, last = self.starts[place % len(self)], self.starts[place % len(self) + 1]
        return [self.words[code] for code in self.codes[first:last].tolist()]

    def __iter__(self) -> Iterator[list[str]]:
        return (self[place] for place in range(len(self)))

    def part(self, first: int, last: int) -> "WordSets":
        """The sets from a place to before another."""
        starts = self.starts[first : last + 1]
        return WordSets(self.words, self.codes[starts[0] : starts[-1]], starts - starts[0])

    def owners(self) -> Places:
        """Place of the set that each of `codes` belongs to [M]."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def counts(self) -> Places:
        """How many sets hold each of `words`."""
        return np.bincount(self.codes, minlength=len(self.words))

    def holding(self, words: Collection[str]) -> dict[int, list[str]]:
        """Places of the sets that hold any of these words, and which of them."""
        wanted = np.array([word in words for word in self.words], bool)
        hits = np.flatnonzero(wanted[self.codes]) if len(wanted) else np.zeros(0, np.int64)
        owners = np.searchsorted(self.starts, hits, side="right") - 1
        found: dict[int, list[str]] = {}
        for owner, code in zip(owners.tolist(), self.codes[hits].tolist(), strict=True):
            found.setdefault(owner, []).append(self.words[code])
        return found

    def united(self, groups: Places, num: int) -> "WordSets":
        """Unions of sets.

        Args:
            groups: The union that each set goes into [N]; -1 leaves it out.
            num: How many unions there are.
        """
        owners = np.repeat(groups, np.diff(self.starts))
        codes, owners = self.codes[owners >= 0], owners[owners >= 0]
        order, rank = _ranks(self.words, np.bincount(codes, minlength=len(self.words)))
        return _united(
            [self.words[code] for code in order], _pairs(owners, rank[codes], order), num
        )

    def matrix(self, words: Sequence[str]) -> npt.NDArray[np.uint8]:
        """1 where a set holds a word, uint8 [N, len(words)]."""
        column = {word: place for place, word in enumerate(words)}
        columns = np.array([column.get(word, -1) for word in self.words], np.int64)[self.codes]
        held = np.zeros((len(self), len(words)), np.uint8)
        held[self.owners()[columns >= 0], columns[columns >= 0]] = 1
        return held

    def to_arrow(self) -> pa.ListArray:
        """As a column of lists of text."""
        words = pa.array(self.words, pa.string()).take(pa.array(self.codes))
        return pa.ListArray.from_arrays(pa.array(self.starts.astype(np.int32)), words)


class Gathered:
    """Words that come in pieces, for owners whose final places are known only at the end."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._owners: list[npt.NDArray[np.int32]] = []
        self._codes: list[npt.NDArray[np.int32]] = []

    def add(self, owners: npt.NDArray[np.integer], words: pa.Array) -> None:
        """Words [M] of owners [M], any numbers from 0."""
        encoded = words.dictionary_encode()
        known = self._known
        codes = [known.setdefault(word, len(known)) for word in encoded.dictionary.to_pylist()]
        self._owners.append(np.asarray(owners, np.int32))
        self._codes.append(np.array(codes, np.int32)[np.asarray(encoded.indices)])

    def sets(self, places: Places, num: int) -> WordSets:
        """The union of the words of all owners with the same place.

        Args:
            places: Place of the set of each owner.
            num: How many sets there are.
        """
        words, num_pairs = list(self._known), sum(map(len, self._codes))
        counts = np.zeros(len(words), np.int64)
        for codes in self._codes:
            counts += np.bincount(codes, minlength=len(words))
        order, rank = _ranks(words, counts)
        pairs, end = np.empty(num_pairs, np.int64), 0
        while self._codes:  # piece by piece they give way to what is made of them
            owners, codes = self._owners.pop(), self._codes.pop()
            pairs[end : end + len(codes)] = _pairs(places[owners], rank[codes], order)
            end += len(codes)
        return _united([words[code] for code in order], pairs, num)


def _ranks(words: list[str], counts: Places) -> tuple[Places, npt.NDArray[np.int32]]:
    """Places of the words that occur, sorted by word; and of every word its place among those."""
    used = np.flatnonzero(counts)
    order = used[np.argsort(np.array([words[code] for code in used], object))]
    rank = np.zeros(len(words), np.int32)
    rank[order] = np.arange(len(order))
    return order, rank


def _pairs(owners: Places, ranks: npt.NDArray[np.int32], order: Places) -> Places:
    """One number per pair of an owner and a word: they sort as fast as numbers do."""
    return owners * len(order) + ranks


def _united(words: list[str], pairs: Places, num: int) -> WordSets:
    """Sets of sorted words from pairs, which are overwritten: of 260 million a copy is 2 GB."""
    pairs.sort()
    pairs = pairs[: _keep_distinct(pairs)]
    starts = np.searchsorted(pairs, np.arange(num + 1) * len(words))
    pairs %= max(1, len(words))
    return WordSets(words, pairs.astype(np.int32), starts)


def _keep_distinct(numbers: Places, block: int = 1 << 20) -> int:
    """Move the distinct ones of sorted numbers to the front, and give how many they are."""
    end = 0
    for start in range(0, len(numbers), block):
        some = numbers[start : start + block]
        is_first = np.empty(len(some), bool)
        is_first[0] = end == 0 or some[0] != numbers[end - 1]
        np.not_equal(some[1:], some[:-1], out=is_first[1:])
        found = some[is_first]
        numbers[end : end + len(found)] = found
        end += len(found)
    return end
