from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ganime.duplicates import duplicate_groups
from ganime.images import decode, encode_jpeg, encode_png
from ganime.rows import ImageRow, NeighbourRow
from ganime.stages.dedupe import image_row as measured

ImageMaker = Callable[..., ImageRow]
EdgeMaker = Callable[..., list[NeighbourRow]]
Groups = Callable[..., dict[str, str]]


@pytest.fixture
def groups(edge_rows: EdgeMaker) -> Groups:
    """What is dropped, and for which."""

    def decided(
        images: list[ImageRow],
        edges: Mapping[tuple[str, str], float],
        *,
        among: str = "",
        min_similarity: float = 0.85,
        mirrored: bool = False,
    ) -> dict[str, str]:
        facts = {row.image_id: row for row in images}
        rows = edge_rows(edges, mirrored=mirrored)
        found = duplicate_groups(
            facts, rows, list(among) or list(facts), min_similarity=min_similarity
        )
        assert all(value.mirrored == mirrored for value in found.values())
        return {dropped: duplicate.kept for dropped, duplicate in found.items()}

    return decided


ONE_EDGE = {("b", "a"): 0.9}


def test_the_larger_one_stays(groups: Groups, image_row: ImageMaker) -> None:
    assert groups([image_row("a", 400), image_row("b", 800)], ONE_EDGE) == {"a": "b"}


def test_a_caption_does_not_make_an_image_larger(groups: Groups, image_row: ImageMaker) -> None:
    box = [10, 10, 490, 490]
    plain = image_row("b", trim_box=box, num_bytes=100)
    captioned = image_row("a", 600, trim_box=box, num_bytes=90)
    assert groups([plain, captioned], ONE_EDGE) == {"a": "b"}


def test_lossless_then_more_bytes_then_the_smaller_id_stays(
    groups: Groups, image_row: ImageMaker
) -> None:
    many = image_row("a", num_bytes=99)
    assert groups([many, image_row("b", format="PNG")], ONE_EDGE) == {"a": "b"}
    assert groups([image_row("a"), image_row("b", num_bytes=10)], ONE_EDGE) == {"a": "b"}
    assert groups([image_row("a"), image_row("b")], ONE_EDGE) == {"b": "a"}


def figure(height: int = 400) -> np.ndarray:
    """A figure with a striped skirt on white, uint8 [height, 0.65 * height, 3]."""
    image = np.full((1600, 1040, 3), 255, np.uint8)
    cv2.circle(image, (520, 280), 150, (150, 90, 60), -1)
    cv2.circle(image, (520, 310), 100, (255, 224, 205), -1)
    for side in (-1, 1):
        cv2.circle(image, (520 + 40 * side, 310), 16, (20, 30, 90), -1)
        cv2.line(image, (520 + 60 * side, 480), (520 + 260 * side, 760), (250, 215, 190), 50)
        cv2.line(image, (520 + 70 * side, 1020), (520 + 90 * side, 1500), (60, 50, 70), 64)
    cv2.fillPoly(
        image, [np.array([(440, 430), (600, 430), (760, 1060), (280, 1060)])], (60, 60, 130)
    )
    for y in range(470, 1060, 40):
        cv2.line(image, (440 - (y - 430) // 4, y), (600 + (y - 430) // 4, y), (240, 200, 80), 8)
    return scaled(image, height / 1600)


def scaled(image: np.ndarray, factor: float) -> np.ndarray:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=method))


def test_a_crop_gives_way_although_it_was_enlarged(groups: Groups) -> None:
    whole = figure(600)
    feet_cut = scaled(whole[:520], 1.5)
    images = [measured("a", encode_png(feet_cut), ""), measured("b", encode_jpeg(whole), "")]
    assert groups(images, ONE_EDGE) == {"a": "b"}


def test_a_mirror_image_is_cut_at_the_other_side(groups: Groups) -> None:
    cut = figure(600)[:, :280]
    crop = scaled(np.ascontiguousarray(cut[:, ::-1]), 1.5)
    images = [measured("a", encode_png(crop), ""), measured("b", encode_jpeg(cut), "")]
    assert groups(images, ONE_EDGE, mirrored=True) == {"b": "a"}, "neither shows more"


def test_a_thumbnail_does_not_replace_a_crop_with_more_details(groups: Groups) -> None:
    crop, small = encode_png(figure(1200)[:1050]), encode_png(figure(300))
    assert groups([measured("a", crop, ""), measured("b", small, "")], ONE_EDGE) == {"b": "a"}


@pytest.mark.parametrize("small", [64, 128, 192])
def test_an_enlarged_copy_gives_way_and_a_larger_original_does_not(
    groups: Groups, small: int
) -> None:
    original = figure(small)
    enlarged = scaled(original, 512 / small)
    rows = [measured("a", encode_png(enlarged), ""), measured("b", encode_jpeg(original), "")]
    assert groups(rows, ONE_EDGE) == {"a": "b"}
    rows[0] = measured("a", encode_jpeg(figure(512)), "")
    assert groups(rows, ONE_EDGE) == {"b": "a"}


@pytest.mark.parametrize("folder", ["fullbody", "halfbody", "chibi"])
def test_enlarged_real_art_gives_way_and_larger_real_art_does_not(
    groups: Groups, shared: Path, folder: str
) -> None:
    for path in sorted((shared / "real" / folder).iterdir())[:12]:
        pixels = decode(path.read_bytes()).pixels
        original = scaled(pixels, 150 / max(pixels.shape[:2]))
        enlarged = encode_jpeg(scaled(original, 2.5), 92)
        rows = [measured("a", enlarged, ""), measured("b", encode_jpeg(original, 80), "")]
        assert groups(rows, ONE_EDGE) == {"a": "b"}, path.name
        rows[0] = measured("a", path.read_bytes(), "")
        assert groups(rows, ONE_EDGE) == {"b": "a"}, path.name


def test_a_strip_with_a_caption_is_no_reason_to_stay(groups: Groups) -> None:
    waist_up = figure(600)[:300]
    strip = cv2.copyMakeBorder(waist_up, 0, 30, 0, 0, cv2.BORDER_CONSTANT, value=(20, 20, 20))
    captioned = encode_png(np.asarray(strip))
    images = [measured("a", captioned, ""), measured("b", encode_jpeg(waist_up), "")]
    assert groups(images, ONE_EDGE) == {"a": "b"}


def test_a_chain_does_not_join_what_is_not_alike(groups: Groups, image_row: ImageMaker) -> None:
    images = [image_row("a", 900), image_row("b", 700), image_row("c", 400)]
    # a is like b and b like c, but c is not like a: c stays.
    assert groups(images, {("b", "a"): 0.9, ("c", "b"): 0.9}) == {"b": "a"}


def test_the_threshold_moves_without_new_measurements(
    groups: Groups, image_row: ImageMaker
) -> None:
    images = [image_row("a"), image_row("b"), image_row("c")]
    edges = {("b", "a"): 0.9, ("c", "a"): 0.8}
    assert groups(images, edges) == {"b": "a"}
    assert groups(images, edges, min_similarity=0.75) == {"b": "a", "c": "a"}
    assert groups(images, edges, min_similarity=0.95) == {}


def test_only_the_given_images_count(groups: Groups, image_row: ImageMaker) -> None:
    images = [image_row("a", 900), image_row("b", 700), image_row("c", 400)]
    edges = {("b", "a"): 0.9, ("c", "b"): 0.9, ("c", "a"): 0.9}
    assert groups(images, edges) == {"b": "a", "c": "a"}
    assert groups(images, edges, among="bc") == {"c": "b"}
    assert groups(images, edges, among="c") == {}


def test_the_order_of_the_edges_does_not_matter(groups: Groups, image_row: ImageMaker) -> None:
    images = [image_row(name, 400 + i) for i, name in enumerate("abcdef")]
    edges = {("b", "a"): 0.9, ("d", "c"): 0.9, ("c", "b"): 0.9, ("f", "a"): 0.9}
    turned = dict(reversed(edges.items()))
    assert groups(images, edges) == groups(images, turned)


def test_another_expression_on_the_same_canvas_is_a_variant(
    image_row: ImageMaker, edge_rows: EdgeMaker
) -> None:
    def is_variant(other: ImageRow, similarity: float, *, mirrored: bool = False) -> bool:
        edges = edge_rows({("b", "a"): similarity}, mirrored=mirrored)
        facts = {"a": image_row("a"), "b": other}
        (found,) = duplicate_groups(facts, edges, "ab").values()
        return found.variant

    smile = image_row("b", trim_box=[11, 10, 490, 488])
    assert is_variant(smile, 0.87)
    assert not is_variant(smile, 0.95), "the same picture encoded anew"
    assert not is_variant(smile, 0.87, mirrored=True)
    assert not is_variant(image_row("b", 400), 0.87), "a smaller copy"
    assert not is_variant(image_row("b", trim_box=[30, 10, 490, 490]), 0.87), "a crop"
    assert not is_variant(replace(smile, width=502), 0.87)
