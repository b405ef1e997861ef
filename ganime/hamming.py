"""Exact search for hashes that differ by few bits, among millions, on one core.

Norouzi, Punjani, Fleet: Fast Exact Search in Hamming Space with Multi-Index Hashing, 2013,
arXiv:1307.2982. Hashes are cut into chunks. If two differ by at most r bits, they differ by few in
one of the chunks, so only hashes with nearly equal chunks need be compared.

All lookups of one kind are made together: a mask is fixed, and the hashes, sorted by chunk, are
held against those whose chunk is theirs with the mask's bits turned over. Both sides are then read
nearly in order, which is what makes it fast.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
Block = tuple[Indices, Indices, Indices]
BLOCK = 1 << 20  # pairs handed out at once: 20 MB
_BITS = 64
_MOST_CHUNK_BITS = 22  # a table of 16 MB; the next division, in two, would need one of 16 GB
_MOST_CHUNKS = 8
_SAMPLE = 20_000  # hashes looked at to plan a search
_SCAN_COST = 2.0  # of a lookup, in comparisons; a rough guess, which only picks the plan
_MOST_MASKS = 200_000  # beyond it the list of masks itself is slow to make


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some of the bits, and by how many of them a pair may differ here (-1: not looked at)."""

    shift: int
    width: int
    radius: int

    @property
    def num_masks(self) -> int:
        return sum(comb(self.width, k) for k in range(self.radius + 1))

    def masks(self) -> Hashes:
        """All ways to turn over at most `radius` bits, fewest first."""
        turned = (
            sum(1 << bit for bit in bits)
            for k in range(self.radius + 1)
            for bits in combinations(range(self.width), k)
        )
        return np.fromiter(turned, np.uint64, self.num_masks)


def pairs_within(hashes: Hashes, radius: int, block: int = BLOCK) -> Iterator[Block]:
    """All pairs of a set, each once.

    Args:
        hashes: [N].
        radius: Largest difference [bits], 0-64.
        block: Most pairs handed out at once; with it goes the memory that is needed.

    Yields:
        Index of one, of the other, which is smaller, and the bits that differ [P], in no order.
    """
    for one, other, distance in _search(hashes, None, radius, block):
        yield np.maximum(one, other), np.minimum(one, other), distance


def matches_within(
    queries: Hashes, hashes: Hashes, radius: int, block: int = BLOCK
) -> Iterator[Block]:
    """All pairs of a query and a hash.

    Args:
        queries: [M].
        hashes: [N].
        radius: Largest difference [bits], 0-64.
        block: Most pairs handed out at once.

    Yields:
        Index of the query, of the hash, and the bits that differ [P], in no order.
    """
    yield from _search(queries, hashes, radius, block)


def _search(queries: Hashes, hashes: Hashes | None, radius: int, block: int) -> Iterator[Block]:
    if not 0 <= radius <= _BITS:
        raise ValueError(f"radius is {radius} bits, wanted 0 to {_BITS}")
    held = queries if hashes is None else hashes
    if not len(queries) or not len(held):
        return
    order = _spread(held)
    held = _permute(held, order)
    asked = held if hashes is None else _permute(queries, order)
    chunks = _plan(asked, held, radius)
    table = np.array([(c.shift, c.width, c.radius) for c in chunks], np.int64)
    for number, chunk in enumerate(chunks):
        if chunk.radius < 0:
            continue
        ids, values, starts = _by_chunk(held, chunk.shift, chunk.width)
        mine, mine_values = ids, values
        if hashes is not None:
            mine, mine_values, _ = _by_chunk(asked, chunk.shift, chunk.width)
        masks, state = chunk.masks(), np.zeros(3, np.int64)
        while state[0] < len(masks):
            out = np.empty((3, block), np.int64)
            count = _join(
                mine_values,
                values,
                starts,
                masks,
                table,
                number,
                radius,
                hashes is None,
                state,
                out,
            )
            if count:
                yield mine[out[0, :count]], ids[out[1, :count]], out[2, :count]


def _spread(hashes: Hashes) -> Indices:
    """An order of the bits that gives each chunk its share of those that tell hashes apart.

    On white ground many bits are nearly always the same; a chunk of such bits would put nearly all
    hashes in one bucket.
    """
    sample = _sample(hashes)
    set_bits = (sample[:, None] >> np.arange(_BITS, dtype=np.uint64)) & np.uint64(1)
    telling: Indices = np.argsort(np.abs(set_bits.mean(axis=0) - 0.5), kind="stable")
    return telling


def _sample(hashes: Hashes) -> Hashes:
    return hashes[:: max(1, len(hashes) // _SAMPLE)]


def _divide(num_chunks: int, radius: int) -> list[_Chunk]:
    """Chunks of nearly equal width; for r = m r' + a, the first a + 1 within r', others r' - 1."""
    each, rest = divmod(radius, num_chunks)
    chunks, shift = list[_Chunk](), 0
    for i in range(num_chunks):
        width = _BITS // num_chunks + (i < _BITS % num_chunks)
        within = min(each if i <= rest else each - 1, width)
        chunks.append(_Chunk(shift, width, within))
        shift += width
    return chunks


def _plan(queries: Hashes, hashes: Hashes, radius: int) -> list[_Chunk]:
    """The cheapest division for these hashes; a chunk of no bits compares all with all."""
    everything = [_Chunk(0, 0, 0)]
    plans = [everything]
    for num_chunks in range(1, _MOST_CHUNKS + 1):
        chunks = _divide(num_chunks, radius)
        if max(chunk.width for chunk in chunks) <= _MOST_CHUNK_BITS:
            plans.append(chunks)
    plans = [p for p in plans if sum(c.num_masks for c in p) <= _MOST_MASKS]
    return min(plans, key=lambda chunks: _cost(queries, hashes, chunks))


def _cost(queries: Hashes, hashes: Hashes, chunks: list[_Chunk]) -> float:
    """Expected comparisons, from how often a sample's chunks collide."""
    sample = _sample(hashes)
    total = 0.0
    for chunk in chunks:
        keys = (sample >> np.uint64(chunk.shift)) & np.uint64((1 << chunk.width) - 1)
        counts = np.bincount(keys.astype(np.int64)).astype(np.float64)
        chance = max(
            (counts * (counts - 1)).sum() / max(1, len(sample) * (len(sample) - 1)),
            0.5**chunk.width,
        )
        per_mask = len(queries) * (_SCAN_COST + chance * len(hashes))
        total += chunk.num_masks * per_mask + 4.0 * len(hashes) + 2.0**chunk.width
    return total


def _permute(hashes: Hashes, order: Indices) -> Hashes:
    """Hashes with the bits dealt out to chunks: distances stay as they are."""
    places = np.empty(_BITS, np.uint64)
    # Dealt like cards, so that each chunk, whatever the number of chunks, has its share of each.
    stride = 25  # coprime to 64: neighbours in the order come to lie far apart
    places[order] = (np.arange(_BITS) * stride % _BITS).astype(np.uint64)
    permuted: Hashes = _move_bits(np.ascontiguousarray(hashes, np.uint64), places)
    return permuted


@intrinsic
def _popcount(_: Any, value: Any) -> Any:
    """The processor's own count of set bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@numba.njit(cache=True)
def _move_bits(hashes: Hashes, places: Hashes) -> Hashes:
    # By byte: one lookup moves eight bits.
    moved = np.zeros((8, 256), np.uint64)
    for byte in range(8):
        for value in range(256):
            for bit in range(8):
                if (value >> bit) & 1:
                    moved[byte, value] |= np.uint64(1) << places[byte * 8 + bit]
    result = np.zeros(len(hashes), np.uint64)
    for i in range(len(hashes)):
        rest = hashes[i]
        for byte in range(8):
            result[i] |= moved[byte, np.int64(rest & np.uint64(255))]
            rest >>= np.uint64(8)
    return result


@numba.njit(cache=True)
def _by_chunk(hashes: Hashes, shift: int, width: int) -> tuple[Any, Any, Any]:
    """Counting sort by one chunk: indices, hashes, and where each value of the chunk starts."""
    low = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    by = np.uint64(shift)
    starts = np.zeros((1 << width) + 1, np.int32)
    for i in range(len(hashes)):
        starts[np.int64((hashes[i] >> by) & low) + 1] += 1
    for key in range(1 << width):
        starts[key + 1] += starts[key]
    ends = starts[:-1].copy()
    ids = np.empty(len(hashes), np.int64)
    values = np.empty(len(hashes), np.uint64)
    for i in range(len(hashes)):
        bucket = np.int64((hashes[i] >> by) & low)
        ids[ends[bucket]] = i
        values[ends[bucket]] = hashes[i]
        ends[bucket] += 1
    return ids, values, starts


@numba.njit(cache=True)
def _seen_before(differ: np.uint64, table: Indices, number: int) -> bool:
    """Whether an earlier chunk has found this pair already."""
    for k in range(number):
        low = (np.uint64(1) << np.uint64(table[k, 1])) - np.uint64(1)
        part = (differ >> np.uint64(table[k, 0])) & low
        if np.int64(_popcount(part)) <= table[k, 2]:  # type: ignore[call-arg]
            return True
    return False


@numba.njit(cache=True)
def _join(
    mine: Hashes,
    others: Hashes,
    starts: npt.NDArray[np.int32],
    masks: Hashes,
    table: Indices,
    number: int,
    radius: int,
    same: bool,
    state: Indices,
    out: Indices,
) -> int:
    """Fill `out` [3, block] from where `state` (mask, mine, other) stands; how many were found."""
    by = np.uint64(table[number, 0])
    low = (np.uint64(1) << np.uint64(table[number, 1])) - np.uint64(1)
    count, first, resumed = 0, state[1], state[2]
    for m in range(state[0], len(masks)):
        for i in range(first, len(mine)):
            key = np.int64((mine[i] >> by) & low)
            partner = np.int64(np.uint64(key) ^ masks[m])
            if same and partner < key:
                continue  # found from the other side
            start = i + 1 if same and partner == key else np.int64(starts[partner])
            for j in range(max(start, resumed), starts[partner + 1]):
                differ = mine[i] ^ others[j]
                distance = np.int64(_popcount(differ))  # type: ignore[call-arg]
                if distance <= radius and not _seen_before(differ, table, number):
                    if count == out.shape[1]:
                        state[0], state[1], state[2] = m, i, j
                        return count
                    out[0, count], out[1, count], out[2, count] = i, j, distance
                    count += 1
            resumed = 0
        first = 0
    state[0] = len(masks)
    return count
