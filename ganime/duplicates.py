"""Which images show the same picture, and which of them stays."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log

from ganime.rows import ImageRow, NeighbourRow

_LOSSLESS = ("PNG", "BMP")
# Of 12 drawn figures, those given another mouth or eyes have at most 0.88, copies that were encoded
# anew or tinted at least 0.92. Not yet checked on real art.
_VARIANT_SIMILARITY = 0.9
_SAME_BOX = 3  # [px] by which encoding moves the edge of the content


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Why an image is not needed.

    Attributes:
        kept: Image id of the better one.
        similarity: Of the two, 0-1.
        hamming: Bits that differ between their hashes.
        mirrored: Whether one is the mirror image of the other.
        variant: Whether it rather is another state of one drawing (expression, small recolouring)
            than a copy: the same canvas, the same outline, and yet not the same picture.
    """

    kept: str
    similarity: float
    hamming: int
    mirrored: bool
    variant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The columns of `ganime.rows.ImageRow` that say which of two copies is the better."""

    image_id: str
    width: int | None
    height: int | None
    format: str | None
    num_bytes: int
    trim_box: list[int]


def duplicate_groups(
    images: Mapping[str, Picture | ImageRow],
    neighbours: Sequence[NeighbourRow],
    image_ids: Collection[str],
    *,
    min_similarity: float = 0.85,
) -> dict[str, Duplicate]:
    """Decide which images to drop as near-duplicates of better ones.

    Images are taken best first; each that is still there drops all its direct neighbours. So every
    dropped image was itself compared with the one that is kept for it, and no chain of small
    differences ever joins two different pictures.

    Args:
        images: Facts by image id; of all of `image_ids`.
        neighbours: Verified edges; those that lead outside `image_ids` do not count.
        image_ids: The images to decide on.
        min_similarity: Wanted of an edge to make two images the same, 0-1.

    Returns:
        The images to drop, by id.
    """
    edges = _edges(neighbours, set(image_ids), min_similarity)
    dropped: dict[str, Duplicate] = {}
    # Only images with an edge can drop or be dropped.
    for kept in sorted(edges, key=lambda image_id: _rank(images[image_id])):
        if kept in dropped:
            continue
        for other, (similarity, hamming, mirrored) in sorted(edges[kept].items()):
            if other not in dropped and _rank(images[other]) > _rank(images[kept]):
                dropped[other] = Duplicate(
                    kept=kept,
                    similarity=similarity,
                    hamming=hamming,
                    mirrored=mirrored,
                    variant=not mirrored
                    and similarity < _VARIANT_SIMILARITY
                    and _same_canvas(images[kept], images[other]),
                )
    return dropped


def _edges(
    neighbours: Sequence[NeighbourRow], wanted: set[str], min_similarity: float
) -> dict[str, dict[str, tuple[float, int, bool]]]:
    edges: dict[str, dict[str, tuple[float, int, bool]]] = {}
    for row in neighbours:
        if row.image_id not in wanted:
            continue
        for other, hamming, similarity, mirrored in zip(
            row.others, row.hamming, row.similarity, row.mirrored, strict=True
        ):
            if other in wanted and similarity >= min_similarity:
                edge = (similarity, hamming, mirrored)
                edges.setdefault(row.image_id, {})[other] = edge
                edges.setdefault(other, {})[row.image_id] = edge
    return edges


def _same_canvas(one: Picture | ImageRow, other: Picture | ImageRow) -> bool:
    if (one.width, one.height) != (other.width, other.height):
        return False
    return all(abs(a - b) <= _SAME_BOX for a, b in zip(one.trim_box, other.trim_box, strict=True))


def _rank(image: Picture | ImageRow) -> tuple[int, int, bool, int, str]:
    """Smaller is better: more content, less cut off, without loss, more bytes, smaller id."""
    left, top, right, bottom = image.trim_box
    # Content counts, not paper; steps of a tenth, as the box of a re-encoded copy may vary by 1 px.
    content = round(log(max(1, (right - left) * (bottom - top))) / log(1.1))
    touching = (left <= 0, top <= 0, right >= (image.width or 0), bottom >= (image.height or 0))
    lossy = image.format not in _LOSSLESS
    return -content, sum(touching), lossy, -image.num_bytes, image.image_id
