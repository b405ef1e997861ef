import subprocess
import sys

import numpy as np
import pytest

from ganime import hamming
from ganime.hamming import matches_within, pairs_within


def uniform(num: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, num, np.uint64)


def skewed(num: int, seed: int = 0) -> np.ndarray:
    """Hashes as on white ground: half of the bits are nearly always the same."""
    rng = np.random.default_rng(seed)
    chance = np.where(np.arange(64) % 2, 0.5, 0.03)
    bits = (rng.random((num, 64)) < chance).astype(np.uint64)
    return np.bitwise_or.reduce(bits << np.arange(64, dtype=np.uint64), axis=1)


def with_near_ones(hashes: np.ndarray) -> np.ndarray:
    """A third of them again, with up to 20 bits turned over."""
    rng = np.random.default_rng(9)
    few = hashes[: len(hashes) // 3].copy()
    for _ in range(20):
        few ^= np.where(rng.random(len(few)) < 0.5, 1, 0).astype(np.uint64) << rng.integers(
            0, 64, len(few), np.uint64
        )
    return np.concatenate([hashes, few])


def listed(blocks) -> list[tuple[int, int, int]]:
    return sorted(
        (int(i), int(j), int(d)) for block in blocks for i, j, d in zip(*block, strict=True)
    )


def brute(queries: np.ndarray, hashes: np.ndarray, radius: int) -> list[tuple[int, int, int]]:
    distance = np.bitwise_count(queries[:, None] ^ hashes)
    one, other = np.nonzero(distance <= radius)
    return sorted((int(i), int(j), int(distance[i, j])) for i, j in zip(one, other, strict=True))


@pytest.mark.parametrize("radius", [0, 1, 3, 8, 10, 16, 20])
@pytest.mark.parametrize("make", [uniform, skewed])
def test_all_pairs_are_found_once_and_no_others(make, radius: int) -> None:
    hashes = with_near_ones(make(900))
    expected = [(i, j, d) for i, j, d in brute(hashes, hashes, radius) if j < i]
    assert listed(pairs_within(hashes, radius)) == expected


@pytest.mark.parametrize("make", [uniform, skewed])
def test_new_hashes_are_held_against_all(make) -> None:
    hashes = with_near_ones(make(900))
    queries = np.concatenate([make(50, 1), hashes[::40] ^ np.uint64(5)])
    assert listed(matches_within(queries, hashes, 9)) == brute(queries, hashes, 9)


@pytest.mark.parametrize("num_chunks", [3, 4, 5, 7, 8])
@pytest.mark.parametrize("radius", [2, 8, 11])
def test_every_division_into_chunks_is_exact(
    monkeypatch: pytest.MonkeyPatch, num_chunks: int, radius: int
) -> None:
    hashes = with_near_ones(skewed(400))
    monkeypatch.setattr(hamming, "_plan", lambda *_: hamming._divide(num_chunks, radius))
    expected = [(i, j, d) for i, j, d in brute(hashes, hashes, radius) if j < i]
    assert listed(pairs_within(hashes, radius)) == expected
    assert listed(matches_within(hashes[:90], hashes, radius)) == brute(hashes[:90], hashes, radius)


def test_chunks_are_planned_where_there_are_many_hashes() -> None:
    hashes = uniform(50_000)
    assert len(hamming._plan(hashes, hashes, 8)) > 2


def test_equal_hashes_come_in_blocks_that_fit() -> None:
    blocks = list(pairs_within(np.zeros(300, np.uint64), 4, block=1000))
    assert max(len(block[0]) for block in blocks) == 1000
    assert listed(blocks) == [(i, j, 0) for i in range(300) for j in range(i)]


def test_all_64_bits_may_differ() -> None:
    hashes = np.array([0, 2**64 - 1], np.uint64)
    assert listed(pairs_within(hashes, 64)) == [(1, 0, 64)]
    assert listed(pairs_within(hashes, 63)) == []


def test_nothing_has_no_pairs() -> None:
    assert listed(pairs_within(uniform(0), 8)) == []
    assert listed(matches_within(uniform(0), uniform(3), 8)) == []
    assert listed(matches_within(uniform(3), uniform(0), 8)) == []
    assert listed(pairs_within(uniform(1), 8)) == []


def test_a_radius_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="radius is 65 bits, wanted 0 to 64"):
        listed(pairs_within(uniform(3), 65))


def test_the_arguments_stay_as_they_were() -> None:
    hashes = uniform(100)
    listed(pairs_within(hashes, 8))
    assert np.array_equal(hashes, uniform(100))


def test_nothing_is_compiled_on_import() -> None:
    code = "import ganime.hamming as h; print(h._join.signatures)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
