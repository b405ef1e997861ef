from collections.abc import Mapping
from dataclasses import replace

from ganime.duplicates import Duplicate, duplicate_groups
from ganime.rows import ImageRow, NeighbourRow


def image(
    image_id: str,
    *,
    side: int = 500,
    box: list[int] | None = None,
    form: str = "JPEG",
    size: int = 9,
) -> ImageRow:
    return ImageRow(
        image_id=image_id,
        problem=None,
        format=form,
        mode="RGB",
        width=side,
        height=side,
        frames=1,
        num_bytes=size,
        phash=0,
        phash_mirrored=0,
        trim_box=box or [10, 10, side - 10, side - 10],
        thumbnail=b"",
        alpha_fraction=0.0,
        border_colour=[255, 255, 255],
        background_fraction=1.0,
        background_texture=0.0,
        sharpness=1.0,
        run_id="",
    )


def groups(
    images: list[ImageRow],
    edges: Mapping[tuple[str, str], float],
    *,
    among: str = "",
    min_similarity: float = 0.85,
) -> dict[str, str]:
    rows = [
        NeighbourRow(
            image_id=one,
            others=[other],
            hamming=[4],
            similarity=[similarity],
            mirrored=[True],
            run_id="",
        )
        for (one, other), similarity in edges.items()
    ]
    facts = {row.image_id: row for row in images}
    wanted = list(among) or list(facts)
    found = duplicate_groups(facts, rows, wanted, min_similarity=min_similarity)
    assert all(isinstance(value, Duplicate) and value.mirrored for value in found.values())
    return {dropped: duplicate.kept for dropped, duplicate in found.items()}


def test_the_larger_one_stays() -> None:
    assert groups([image("a", side=400), image("b", side=800)], {("b", "a"): 0.9}) == {"a": "b"}


def test_a_caption_does_not_make_an_image_larger() -> None:
    plain = image("b", box=[10, 10, 490, 490], size=100)
    captioned = image("a", side=600, box=[10, 10, 490, 490], size=90)
    assert groups([plain, captioned], {("b", "a"): 0.9}) == {"a": "b"}


def test_the_one_that_is_not_cut_off_stays() -> None:
    cut = image("a", side=480, box=[0, 0, 480, 480])
    assert groups([cut, image("b", box=[10, 10, 490, 490])], {("b", "a"): 0.9}) == {"a": "b"}


def test_lossless_then_more_bytes_then_the_smaller_id_stays() -> None:
    edges = {("b", "a"): 0.9}
    assert groups([image("a", size=99), image("b", form="PNG")], edges) == {"a": "b"}
    assert groups([image("a", size=5), image("b", size=6)], edges) == {"a": "b"}
    assert groups([image("a"), image("b")], edges) == {"b": "a"}


def test_a_chain_does_not_join_what_is_not_alike() -> None:
    images = [image("a", side=900), image("b", side=700), image("c", side=400)]
    # a is like b and b like c, but c is not like a: c stays.
    assert groups(images, {("b", "a"): 0.9, ("c", "b"): 0.9}) == {"b": "a"}


def test_the_threshold_moves_without_new_measurements() -> None:
    images, edges = [image("a"), image("b"), image("c")], {("b", "a"): 0.9, ("c", "a"): 0.8}
    assert groups(images, edges) == {"b": "a"}
    assert groups(images, edges, min_similarity=0.75) == {"b": "a", "c": "a"}
    assert groups(images, edges, min_similarity=0.95) == {}


def test_only_the_given_images_count() -> None:
    images = [image("a", side=900), image("b", side=700), image("c", side=400)]
    edges = {("b", "a"): 0.9, ("c", "b"): 0.9, ("c", "a"): 0.9}
    assert groups(images, edges) == {"b": "a", "c": "a"}
    assert groups(images, edges, among="bc") == {"c": "b"}
    assert groups(images, edges, among="c") == {}


def test_the_order_of_the_edges_does_not_matter() -> None:
    images = [image(name, side=400 + i) for i, name in enumerate("abcdef")]
    edges = {("b", "a"): 0.9, ("d", "c"): 0.9, ("c", "b"): 0.9, ("f", "a"): 0.9}
    turned = dict(reversed(edges.items()))
    assert groups(images, edges) == groups(images, turned)


def is_variant(one: ImageRow, other: ImageRow, similarity: float, mirrored: bool = False) -> bool:
    edge = NeighbourRow(
        image_id=other.image_id,
        others=[one.image_id],
        hamming=[2],
        similarity=[similarity],
        mirrored=[mirrored],
        run_id="",
    )
    facts = {row.image_id: row for row in (one, other)}
    (found,) = duplicate_groups(facts, [edge], list(facts)).values()
    return found.variant


def test_another_expression_on_the_same_canvas_is_a_variant() -> None:
    one, other = image("a"), image("b", box=[11, 10, 490, 488])
    assert is_variant(one, other, 0.87)
    assert not is_variant(one, other, 0.95), "the same picture encoded anew"
    assert not is_variant(one, other, 0.87, mirrored=True)
    assert not is_variant(one, image("b", side=400), 0.87), "a smaller copy"
    assert not is_variant(one, image("b", box=[30, 10, 490, 490]), 0.87), "a crop"
    assert not is_variant(one, replace(other, width=502), 0.87)
