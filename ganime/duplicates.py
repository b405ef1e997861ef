"""Which images show the same picture, and which of them stays.

The best one shows the whole picture, has the most pixels of content, no added strip, no loss and
the most bytes, in this order. A copy that was cropped from another, or enlarged from a smaller one,
gives way to it although it has more pixels.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log

from ganime.rows import ImageRow, NeighbourRow

_LOSSLESS = ("PNG", "BMP")
# Of 12 drawn figures, those given another mouth or eyes have at most 0.88, copies that were encoded
# anew or tinted at least 0.92. Not yet checked on real art.
_VARIANT_SIMILARITY = 0.9
_SAME_BOX = 3  # [px] by which encoding moves the edge of the content
_TOUCHED = 0.03  # of a side of the frame: less is a hair or a toe
_FREE = 0.01  # of a side: with no more touched, nothing is cut off there
_THUMBNAIL_AREA = 0.25  # of a crop's content: a whole picture smaller than that does not replace it
_MEASURED_SIDE = 256  # [px]: sharpness is measured at this side at most
_ENLARGED = 0.8  # of the larger one's side: from more than that, nothing tells an enlarged copy


_Edges = dict[str, dict[str, tuple[float, int, bool]]]  # similarity, bits, mirrored, both ways


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
    sharpness: float | None
    touched_left: float | None
    touched_top: float | None
    touched_right: float | None
    touched_bottom: float | None


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
    best_first = sorted(
        edges,
        key=lambda image_id: (_gives_way(images, image_id, edges), _rank(images[image_id])),
    )
    place = {image_id: i for i, image_id in enumerate(best_first)}
    for kept in best_first:
        if kept in dropped:
            continue
        for other, (similarity, hamming, mirrored) in sorted(edges[kept].items()):
            if other not in dropped and place[other] > place[kept]:
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


def _edges(neighbours: Sequence[NeighbourRow], wanted: set[str], min_similarity: float) -> _Edges:
    edges: _Edges = {}
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


def _gives_way(images: Mapping[str, Picture | ImageRow], image_id: str, edges: _Edges) -> bool:
    image = images[image_id]
    return any(
        _is_enlarged(image, images[other]) or _is_crop(image, images[other])
        for other in edges[image_id]
    )


def _is_enlarged(image: Picture | ImageRow, other: Picture | ImageRow) -> bool:
    """Whether an image is a smaller one enlarged: it is more blurred than its size allows.

    Sharpness, the energy of the finest details, falls with the third to fourth power of the factor
    where details are only spread, and less where there are new ones: of 120 real drawings, shrunk
    to 64, 128 and 192 px, all that were enlarged again have less than the third power, all
    originals more. What is enlarged from 256 px and more is as good as new at 256 px.
    """
    measured, side = (
        min(_MEASURED_SIDE, max(one.width or 0, one.height or 0)) for one in (image, other)
    )
    if not side or side > _ENLARGED * measured:
        return False
    factor = side / measured
    return (image.sharpness or 0.0) < factor**3 * (other.sharpness or 0.0)


def _is_crop(image: Picture | ImageRow, other: Picture | ImageRow) -> bool:
    """Whether the frame cuts a figure that lies within the other one's frame."""
    if _content(other) < _THUMBNAIL_AREA * _content(image):
        return False
    mine, theirs = _touched(image), _touched(other)
    if not mine or not theirs:
        return False
    # Mirror images have left and right exchanged, so which of the two it is does not count.
    pairs = zip((*sorted(mine[:2]), *mine[2:]), (*sorted(theirs[:2]), *theirs[2:]), strict=True)
    return any(one >= _TOUCHED and another <= _FREE for one, another in pairs)


def _touched(image: Picture | ImageRow) -> tuple[float, ...]:
    """Shares of the left, right, top and bottom that figures touch; empty if not known."""
    shares = (image.touched_left, image.touched_right, image.touched_top, image.touched_bottom)
    return tuple(share for share in shares if share is not None)


def _content(image: Picture | ImageRow) -> int:
    """Area of the content [px]; paper does not count."""
    left, top, right, bottom = image.trim_box
    return max(1, (right - left) * (bottom - top))


def _num_strips(image: Picture | ImageRow) -> int:
    """Sides at which the figure ends at a strip, as of a caption, and not at the frame."""
    left, top, right, bottom = image.trim_box
    reaches = (left <= 0, right >= (image.width or 0), top <= 0, bottom >= (image.height or 0))
    return sum(
        share >= _TOUCHED and not at_frame
        for share, at_frame in zip(_touched(image), reaches, strict=False)
    )


def _rank(image: Picture | ImageRow) -> tuple[int, int, bool, int, str]:
    """Smaller is better: more content, no strips, without loss, more bytes, smaller id."""
    # Steps of a tenth, as the box of a re-encoded copy may vary by 1 px.
    content = round(log(_content(image)) / log(1.1))
    lossy = image.format not in _LOSSLESS
    return -content, _num_strips(image), lossy, -image.num_bytes, image.image_id
