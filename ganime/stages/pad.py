"""Make images square: the whole image with bars, or the square around its largest face.

What lies outside the image has the colour of its border. Scaling comes first and the bars after,
so that no bar is ever blurred into the picture and a fifth of the work is saved.
"""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from ganime.borders import border_colour
from ganime.config import Config, digest_of
from ganime.detectors import Box
from ganime.errors import ConfigError, ImageError, ManifestError
from ganime.images import Pixels, decode
from ganime.rows import FaceRow, PaddedRow
from ganime.scaling import resize
from ganime.store.manifest import Manifest, Provenance, Table, from_arrow, read_part
from ganime.store.originals import Originals
from ganime.store.pixels import write_shard
from ganime.store.workspace import Workspace

REVISION = 3
log = logging.getLogger(__name__)

Colour = tuple[int, int, int]


class PadConfig(Config):
    """How a picture becomes square."""

    size: int = Field(256, ge=64, le=512, multiple_of=8, description="Side of the output [px].")
    fill: Literal["border"] | Colour = Field(
        "border", description="Colour of the bars: the border's own median, or sRGB 0-255."
    )
    crop: Literal["pad", "face"] = Field(
        "pad", description="pad keeps the whole image, face the square around its largest face."
    )
    enlarge: float = Field(
        1.6, ge=1, le=4, description="Side of the square, in longer sides of the face's box."
    )
    shard_size: int = Field(500, ge=1, le=10_000, description="Images per shard.")

    @field_validator("fill")
    @classmethod
    def _in_range(cls, fill: Literal["border"] | Colour) -> Literal["border"] | Colour:
        if fill != "border" and not all(0 <= channel <= 255 for channel in fill):
            raise ValueError("wanted `border` or three numbers of 0-255")
        return fill


@dataclass(frozen=True, slots=True)
class _Padded:
    pixels: Pixels | None = None
    scale: float | None = None
    fill: tuple[int, ...] = ()
    problem: str | None = None


def scope(config: PadConfig, faces: str = "") -> str:
    """Which padded images these settings make: equal scopes hold equal pixels.

    Args:
        config: How images become square.
        faces: `ganime.stages.detect.scope`: whose faces are cropped. It counts for faces alone.

    Raises:
        ConfigError: faces are to be cropped, and no scope of theirs is given.
    """
    if config.crop == "pad":
        changes_pixels = config.model_dump_json(include={"size", "fill"})
        return f"{digest_of(changes_pixels)}-r{REVISION}"
    if not faces:
        raise ConfigError(
            "pad.crop is face, and nothing says whose: run detect first and give its scope, or "
            "set pad.crop=pad"
        )
    changes_pixels = config.model_dump_json(include={"size", "fill", "crop", "enlarge"})
    return f"{digest_of(changes_pixels, faces)}-r{REVISION}"


def pad_to_square(image: Pixels, size: int, fill: Colour) -> tuple[Pixels, float]:
    """Scale the longer side to `size` and centre the image on a square.

    Args:
        image: uint8 sRGB [H, W, 3].
        size: Side of the result [px].
        fill: Colour of the bars, sRGB 0-255.

    Returns:
        uint8 sRGB [size, size, 3] and the scale, padded px per original px.

    Raises:
        ImageError: `too_narrow`, a side would vanish (aspect ratio beyond 2 `size`:1).
    """
    height, width = image.shape[:2]
    scale = size / max(height, width)
    new_height, new_width = round(height * scale), round(width * scale)
    if min(new_height, new_width) < 1:
        raise ImageError("too_narrow", f"{width} x {height} px has no side left at {size} px")
    top, left = (size - new_height) // 2, (size - new_width) // 2
    rows, columns = slice(top, top + new_height), slice(left, left + new_width)
    return _on_square(resize(image, new_height, new_width), rows, columns, size, fill), scale


def crop_to_square(
    image: Pixels, box: Box, enlarge: float, size: int, fill: Colour
) -> tuple[Pixels, float]:
    """Cut out the square around a box, and scale it to `size`.

    Args:
        image: uint8 sRGB [H, W, 3].
        box: left, top, right, bottom, inside the image [px].
        enlarge: Side of the square, in longer sides of the box.
        size: Side of the result [px].
        fill: Colour of what lies outside the image, sRGB 0-255.

    Returns:
        uint8 sRGB [size, size, 3] and the scale, padded px per original px.

    Raises:
        ImageError: `too_narrow`, the image is too thin to leave anything of it at `size`.
    """
    left, top, right, bottom = box
    side = max(1, round(max(right - left, bottom - top) * enlarge))
    rows, down = _cut((top + bottom - side) // 2, side, image.shape[0], size)
    columns, across = _cut((left + right - side) // 2, side, image.shape[1], size)
    part = resize(image[rows, columns], down.stop - down.start, across.stop - across.start)
    return _on_square(part, down, across, size, fill), size / side


def plan(
    workspace: Workspace, image_ids: Sequence[str], config: PadConfig, faces: str = ""
) -> list[list[str]]:
    """Shards of images that are not padded yet, in the order of their ids.

    Raises:
        ConfigError: as `scope`, whose `faces` this is.
    """
    missing = sorted(_table(workspace, config, faces).missing(image_ids))
    return [missing[i : i + config.shard_size] for i in range(0, len(missing), config.shard_size)]


def run(
    workspace: Workspace, config: PadConfig, image_ids: Sequence[str], run_id: str, faces: str = ""
) -> Manifest:
    """Pad one shard of images; a broken image, or one without a face, becomes a row that says so.

    Pixels are committed before the rows that point at them, both under names that follow from the
    ids, so a run killed in between leaves nothing wrong and the next one writes the same bytes.

    Raises:
        ConfigError: as `scope`, whose `faces` this is.
        ManifestError: faces are to be cropped and some images were not searched for them.
        StoreError: an original is missing, or nothing can be written.
    """
    table = _table(workspace, config, faces)
    by_id = _faces(workspace, image_ids, faces) if config.crop == "face" else {}
    name = digest_of(*image_ids)
    shard = f"padded/{scope(config, faces)}/{name}.npy"
    pixels = np.empty((len(image_ids), config.size, config.size, 3), np.uint8)
    rows: list[PaddedRow] = []
    count = 0
    originals = Originals(workspace)

    def pad(image_id: str) -> _Padded:
        return _pad(originals, image_id, config, by_id.get(image_id))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for image_id, padded in zip(image_ids, pool.map(pad, image_ids), strict=True):
            rows.append(_row(image_id, padded, shard, count, run_id))
            if padded.pixels is not None:
                pixels[count] = padded.pixels
                count += 1
    if count:  # an array without images cannot be memory-mapped
        write_shard(workspace, shard, pixels[:count])
    parents = {"faces": faces} if config.crop == "face" else {}
    provenance = Provenance(
        stage="pad", revision=REVISION, config=config, run_id=run_id, parents=parents
    )
    manifest = table.write(name, rows, provenance)
    _report(rows)
    return manifest


def _cut(start: int, side: int, length: int, size: int) -> tuple[slice, slice]:
    """What of an image lies in a square, along one axis: where in the image, where in the result.

    Args:
        start: Of the square, in the image; may be negative [px].
        side: Of the square [px].
        length: Of the image [px].
        size: Of the result [px].
    """
    first, last = max(0, start), min(length, start + side)
    scale = size / side
    source, target = (
        slice(first, last),
        slice(round((first - start) * scale), round((last - start) * scale)),
    )
    if target.stop <= target.start:
        raise ImageError("too_narrow", f"{last - first} px of {side} px vanish at {size} px")
    return source, target


def _on_square(part: Pixels, down: slice, across: slice, size: int, fill: Colour) -> Pixels:
    """The part at its place, bars around it; numpy takes thirty times as long to fill them."""
    top, bottom, left, right = down.start, size - down.stop, across.start, size - across.stop
    square = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_CONSTANT, value=fill)
    return np.asarray(square, np.uint8)


def _faces(workspace: Workspace, image_ids: Sequence[str], faces: str) -> dict[str, FaceRow]:
    table = Table(workspace, FaceRow, scope=faces)
    name = digest_of(*image_ids)
    # Where both stages cut their shards alike one part holds just these images; it is quick to
    # read, where the whole table of millions is not.
    if table.has(name):
        found = read_part(workspace, table.part_key(name), FaceRow)
    else:
        found = table.read()
        found = found.filter(pc.is_in(found["image_id"], pa.array(image_ids, pa.string())))
    by_id = {row.image_id: row for row in from_arrow(FaceRow, found)}
    if missing := [image_id for image_id in image_ids if image_id not in by_id]:
        raise ManifestError(
            f"{len(missing)} of {len(image_ids)} images have no row in "
            f"{workspace.describe(table.folder)}, the first {missing[0]}: pad.crop=face needs the "
            "faces of all; run detect first, or set pad.crop=pad"
        )
    return by_id


def _pad(originals: Originals, image_id: str, config: PadConfig, faces: FaceRow | None) -> _Padded:
    if faces is not None and not faces.boxes:
        return _Padded(problem=faces.problem or "no_face")
    try:
        image = decode(originals.get(image_id)).pixels
        fill = border_colour(image) if config.fill == "border" else config.fill
        if faces is None:
            pixels, scale = pad_to_square(image, config.size, fill)
        else:
            largest = max((Box(*box) for box in faces.boxes), key=lambda box: box.area)
            pixels, scale = crop_to_square(image, largest, config.enlarge, config.size, fill)
    except ImageError as error:
        return _Padded(problem=error.reason)
    return _Padded(pixels, scale, fill)


def _row(image_id: str, padded: _Padded, shard: str, offset: int, run_id: str) -> PaddedRow:
    whole = padded.pixels is not None
    return PaddedRow(
        image_id=image_id,
        shard=shard if whole else None,
        offset=offset if whole else None,
        scale=padded.scale,
        fill=list(padded.fill),
        problem=padded.problem,
        run_id=run_id,
    )


def _report(rows: Sequence[PaddedRow]) -> None:
    problems = Counter(row.problem for row in rows if row.problem)
    detail = ", ".join(f"{problem} {number}" for problem, number in sorted(problems.items()))
    log.info(
        "pad: %d in, %d padded, %d not%s",
        *(len(rows), len(rows) - problems.total(), problems.total()),
        f" ({detail})" if detail else "",
    )


def _table(workspace: Workspace, config: PadConfig, faces: str) -> Table[PaddedRow]:
    return Table(workspace, PaddedRow, scope=scope(config, faces))
