import dataclasses
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from ganime.duplicates import duplicate_groups
from ganime.errors import ConfigError, StoreError
from ganime.images import decode, encode_jpeg, encode_png
from ganime.rows import ImageRow, NeighbourRow
from ganime.similarity import similarity
from ganime.stages import dedupe
from ganime.stages.dedupe import DedupeConfig, Pairs, candidates
from ganime.store.manifest import Table, read_footer, stable_columns
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

SHARED = Path(os.environ.get("GANIME_SHARED", Path(__file__).parents[4] / "shared"))
CONFIG = DedupeConfig(shard_size=4)


def figure(seed: int, height: int = 360) -> np.ndarray:
    """A figure of random parts and colours on white, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    image = np.full((400, 260, 3), 255, np.uint8)

    def colour() -> tuple[int, ...]:
        return tuple(int(value) for value in rng.integers(0, 220, 3))

    cv2.circle(image, (130, 70), int(rng.integers(30, 46)), colour(), -1)
    cv2.circle(image, (130, 78), 24, (255, 224, 205), -1)
    spread = int(rng.integers(20, 80))
    skirt = np.array([(110, 110), (150, 110), (130 + spread, 260), (130 - spread, 260)])
    cv2.fillPoly(image, [skirt], colour())
    for side in (-1, 1):
        hand = (130 + side * int(rng.integers(30, 100)), int(rng.integers(60, 240)))
        cv2.line(image, (130 + side * 20, 120), hand, colour(), 14)
        cv2.line(image, (130 + side * 18, 255), (130 + side * 24, 380), colour(), 16)
    width = round(260 * height / 400)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def altered(image: np.ndarray) -> dict[str, bytes]:
    height, width = image.shape[:2]
    signed = image.copy()
    corner = (width - 60, height - 8)
    cv2.putText(signed, "(c) mika", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.3, (80, 60, 60), 1)
    ramp = np.round(255 * (np.arange(256) / 255)[:, None] ** np.array([1.1, 1.0, 1.06]))
    tinted = np.stack([ramp[image[..., i], i] for i in range(3)], axis=2).astype(np.uint8)
    half = cv2.resize(image, None, fx=0.55, fy=0.55, interpolation=cv2.INTER_AREA)
    return {
        "reencoded": encode_jpeg(image, 60),
        "resized": encode_jpeg(half, 85),
        "cropped": encode_jpeg(image[4:-6, 8:-5], 90),
        "mirrored": encode_jpeg(image[:, ::-1], 85),
        "tinted": encode_png(tinted),
        "captioned": encode_png(signed),
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


def put(workspace: Workspace, contents: list[bytes]) -> list[str]:
    originals = Originals(workspace)
    return [originals.put(content) for content in contents]


def measure(workspace: Workspace, ids: list[str], config: DedupeConfig = CONFIG) -> None:
    for shard in dedupe.plan(workspace, ids, config):
        dedupe.run_fingerprints(workspace, config, shard, "run")


def stable(workspace: Workspace, row: type) -> list[dict[str, object]]:
    table = Table(workspace, row).read(stable_columns(row))
    return sorted(table.to_pylist(), key=lambda item: str(item["image_id"]))


def edges(workspace: Workspace) -> set[frozenset[str]]:
    rows = Table(workspace, NeighbourRow).rows()
    return {frozenset((row.image_id, other)) for row in rows for other in row.others}


def test_every_image_gets_a_row_and_a_broken_one_says_why(workspace: Workspace) -> None:
    whole = encode_jpeg(figure(1))
    ids = put(workspace, [whole, whole[:-400], b"", b"<html></html>"])
    measure(workspace, ids)
    rows = {row.image_id: row for row in Table(workspace, ImageRow).rows()}
    assert [rows[image_id].problem for image_id in ids] == [
        None,
        "truncated",
        "empty",
        "not_an_image",
    ]
    good, broken = rows[ids[0]], rows[ids[1]]
    assert (good.format, good.height, good.num_bytes) == ("JPEG", 360, len(whole))
    assert (broken.phash, broken.trim_box, broken.num_bytes) == (None, [], len(whole) - 400)


def test_what_is_measured_is_not_measured_again(workspace: Workspace) -> None:
    ids = put(workspace, [encode_jpeg(figure(seed)) for seed in range(6)])
    plan = dedupe.plan(workspace, ids, CONFIG)
    assert [len(shard) for shard in plan] == [4, 2]
    assert [image_id for shard in plan for image_id in shard] == sorted(ids)
    dedupe.run_fingerprints(workspace, CONFIG, plan[0], "run")  # and killed here
    assert dedupe.plan(workspace, ids, CONFIG) == [plan[1]]
    dedupe.run_fingerprints(workspace, CONFIG, plan[1], "run")
    assert dedupe.plan(workspace, ids, CONFIG) == []


def test_the_same_shard_gives_the_same_part(workspace: Workspace) -> None:
    ids = put(workspace, [encode_jpeg(figure(seed)) for seed in range(3)])
    once = dedupe.run_fingerprints(workspace, CONFIG, ids, "run")
    assert dedupe.run_fingerprints(workspace, CONFIG, ids, "run") == once
    assert once.num_rows == 3
    assert read_footer(workspace, once.key)["revision"] == dedupe.REVISION


def test_a_missing_original_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(StoreError, match="it is not there"):
        dedupe.run_fingerprints(workspace, CONFIG, ["ab" * 32], "run")


def test_altered_copies_are_found_and_other_figures_are_not(workspace: Workspace) -> None:
    kind = {}
    for seed in range(12):
        (original,) = put(workspace, [encode_png(figure(seed))])
        kind[original] = (seed, "original")
        for name, content in altered(figure(seed)).items():
            kind[put(workspace, [content])[0]] = (seed, name)
    measure(workspace, list(kind))
    dedupe.compare(workspace, CONFIG, "run")
    rows = {row.image_id: row for row in Table(workspace, ImageRow).rows()}
    dropped = duplicate_groups(rows, Table(workspace, NeighbourRow).rows(), list(kind))
    assert len(dropped) == len(kind) - 12
    for image_id, duplicate in dropped.items():
        assert kind[image_id][0] == kind[duplicate.kept][0]
        turned = [kind[one][1] == "mirrored" for one in (image_id, duplicate.kept)]
        assert duplicate.mirrored == (turned[0] != turned[1])


def test_broken_images_are_not_compared(workspace: Workspace) -> None:
    ids = put(workspace, [encode_jpeg(figure(1)), b"<html></html>"])
    measure(workspace, ids)
    part = dedupe.compare(workspace, CONFIG, "run")
    assert part is not None
    assert part.num_rows == 1
    assert dedupe.compare(workspace, CONFIG, "run") is None


def test_nothing_new_is_nothing_to_do(workspace: Workspace) -> None:
    assert dedupe.compare(workspace, CONFIG, "run") is None


def test_one_by_one_finds_the_same_pairs_as_all_at_once(tmp_path: Path) -> None:
    contents = [encode_png(figure(seed)) for seed in range(3)]
    contents += [content for seed in range(3) for content in altered(figure(seed)).values()]
    found = []
    for name, step in (("once", len(contents)), ("three", 3)):
        workspace = Workspace(str(tmp_path / name))
        for start in range(0, len(contents), step):
            measure(workspace, put(workspace, contents[start : start + step]))
            dedupe.compare(workspace, CONFIG, "run")
        found.append((edges(workspace), stable(workspace, ImageRow)))
    assert found[0] == found[1]
    assert len(found[0][0]) >= 3 * 6


def test_edges_equal_those_of_comparing_all_with_all(workspace: Workspace) -> None:
    contents = [content for seed in range(5) for content in altered(figure(seed)).values()]
    half = len(contents) // 2
    measure(workspace, put(workspace, contents[:half]))
    dedupe.compare(workspace, CONFIG, "run")
    early = set(Table(workspace, NeighbourRow).column("image_id"))
    measure(workspace, put(workspace, [*contents[half:], b"<html></html>"]))
    dedupe.compare(workspace, CONFIG, "run")
    images = [row for row in Table(workspace, ImageRow).rows() if row.problem is None]
    images.sort(key=lambda row: (row.image_id not in early, row.image_id))
    expected = {}
    for i, newer in enumerate(images):
        for other in images[:i]:
            if (edge := edge_of(newer, other)) is not None:
                expected[newer.image_id, other.image_id] = edge
    found = {
        (row.image_id, other): (hamming, pytest.approx(alike, abs=2e-4), mirrored)
        for row in Table(workspace, NeighbourRow).rows()
        for other, hamming, alike, mirrored in zip(
            row.others, row.hamming, row.similarity, row.mirrored, strict=True
        )
    }
    assert expected == found
    assert len(expected) > 60


def edge_of(newer: ImageRow, other: ImageRow) -> tuple[int, float, bool] | None:
    """One pair by itself, without any index: bits, similarity, mirrored."""
    hashes = (newer.phash, newer.phash_mirrored)
    straight, turned = ((int(value or 0) ^ int(other.phash or 0)).bit_count() for value in hashes)
    aspects = []
    for left, top, right, bottom in (newer.trim_box, other.trim_box):
        aspects.append(np.log((right - left) / (bottom - top)))
    if min(straight, turned) > CONFIG.max_hamming:
        return None
    if abs(aspects[0] - aspects[1]) > np.log1p(CONFIG.aspect_tolerance):
        return None
    one, held = (
        np.frombuffer(row.thumbnail or b"", np.uint8).reshape(1, 32, 32, 3)
        for row in (newer, other)
    )
    alike = float(similarity(one, held[:, :, ::-1] if turned < straight else held)[0])
    return (min(straight, turned), alike, turned < straight) if alike >= 0.75 else None


def test_new_settings_compare_anew_and_leave_no_old_edges(workspace: Workspace) -> None:
    ids = put(workspace, [encode_png(figure(1)), *altered(figure(1)).values()])
    measure(workspace, ids)
    dedupe.compare(workspace, CONFIG, "run")
    strict = CONFIG.model_copy(update={"min_similarity": 1.0})
    assert dedupe.compare(workspace, strict, "run") is not None
    assert len(Table(workspace, NeighbourRow).parts()) == 1
    assert len(edges(workspace)) < 10
    assert dedupe.plan(workspace, ids, strict) == []


def test_the_size_of_shards_changes_no_fact(workspace: Workspace) -> None:
    measure(workspace, put(workspace, [encode_png(figure(1))]))
    dedupe.compare(workspace, CONFIG, "run")
    other = CONFIG.model_copy(update={"shard_size": 7})
    assert dedupe.compare(workspace, other, "run") is None


def test_the_search_is_exact() -> None:
    rng = np.random.default_rng(0)
    num, num_old, radius = 400, 150, 24
    straight = rng.integers(0, 2**64, num, np.uint64)
    straight[200:260] = straight[:60] ^ rng.integers(0, 2**20, 60, np.uint64)
    mirrored = rng.integers(0, 2**64, num, np.uint64)
    mirrored[300:320] = straight[100:120]
    expected = {}
    for i in range(num_old, num):
        for j in range(i):
            near = [(int(h[i]) ^ int(straight[j])).bit_count() for h in (straight, mirrored)]
            if min(near) <= radius:
                expected[i, j] = (min(near), near[1] < near[0])
    pairs = Pairs.joined(list(candidates(straight, mirrored, num_old, radius)))
    assert len(pairs) == len(expected)
    found = zip(pairs.one, pairs.other, pairs.hamming, pairs.mirrored, strict=True)
    assert {(int(i), int(j)): (int(h), bool(m)) for i, j, h, m in found} == expected
    assert len(expected) > 70


@pytest.mark.parametrize("field", ["max_hamming", "min_similarity", "aspect_tolerance"])
def test_a_setting_out_of_range_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        DedupeConfig.parse({field: -1})


def test_a_row_holds_every_fact() -> None:
    row = dedupe.image_row("ab", encode_png(figure(1)), "run")
    assert all(
        getattr(row, item.name) is not None
        for item in dataclasses.fields(row)
        if item.name != "problem"
    )


@pytest.mark.slow
def test_real_art_keeps_its_copies_together_and_its_characters_apart(workspace: Workspace) -> None:
    if not (SHARED / "real").exists():
        pytest.skip(f"no real images in {SHARED}: set GANIME_SHARED")
    kind = {}
    for path in sorted((SHARED / "real" / "fullbody").iterdir())[:60]:
        content = path.read_bytes()
        kind[put(workspace, [content])[0]] = path.name
        for copy in altered(decode(content).pixels).values():
            kind[put(workspace, [copy])[0]] = path.name
    measure(workspace, list(kind), DedupeConfig())
    dedupe.compare(workspace, DedupeConfig(), "run")
    rows = {row.image_id: row for row in Table(workspace, ImageRow).rows()}
    dropped = duplicate_groups(rows, Table(workspace, NeighbourRow).rows(), list(kind))
    assert all(kind[image_id] == kind[found.kept] for image_id, found in dropped.items())
    assert len(dropped) >= 0.95 * 60 * 6
