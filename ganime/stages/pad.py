"""Make images square: scale the longer side, fill the rest with the colour of the border.

Scaling comes first and the bars after, so that no bar is ever blurred into the picture and a fifth
of the work is saved.
"""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from ganime.config import Config, digest_of
from ganime.errors import ImageError
from ganime.images import Pixels, border_colour, decode, resize
from ganime.rows import PaddedRow
from ganime.store.manifest import Manifest, Provenance, Table
from ganime.store.originals import Originals
from ganime.store.pixels import write_shard
from ganime.store.workspace import Workspace

REVISION = 1
log = logging.getLogger(__name__)

Colour = tuple[int, int, int]


class PadConfig(Config):
    """How a picture becomes square."""

    size: int = Field(256, ge=64, le=512, multiple_of=8, description="Side of the output [px].")
    fill: Literal["border"] | Colour = Field(
        "border", description="Colour of the bars: the border's own median, or sRGB 0-255."
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


def scope(config: PadConfig) -> str:
    """Which padded images these settings make: equal scopes hold equal pixels."""
    changes_pixels = config.model_dump_json(include={"size", "fill"})
    return f"{digest_of(changes_pixels)}-r{REVISION}"


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
    padded = np.empty((size, size, 3), np.uint8)
    padded[:] = fill
    top, left = (size - new_height) // 2, (size - new_width) // 2
    padded[top : top + new_height, left : left + new_width] = resize(image, new_height, new_width)
    return padded, scale


def plan(workspace: Workspace, image_ids: Sequence[str], config: PadConfig) -> list[list[str]]:
    """Shards of images that are not padded yet, in the order of their ids."""
    missing = sorted(_table(workspace, config).missing(image_ids))
    return [missing[i : i + config.shard_size] for i in range(0, len(missing), config.shard_size)]


def run(workspace: Workspace, config: PadConfig, image_ids: Sequence[str], run_id: str) -> Manifest:
    """Pad one shard of images; a broken image becomes a row with its problem.

    Pixels are committed before the rows that point at them, both under names that follow from the
    ids, so a run killed in between leaves nothing wrong and the next one writes the same bytes.

    Raises:
        StoreError: an original is missing, or nothing can be written.
    """
    name = digest_of(*image_ids)
    shard = f"padded/{scope(config)}/{name}.npy"
    pixels = np.empty((len(image_ids), config.size, config.size, 3), np.uint8)
    rows: list[PaddedRow] = []
    count = 0
    originals = Originals(workspace)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = pool.map(lambda image_id: _pad(originals.get(image_id), config), image_ids)
        for image_id, padded in zip(image_ids, done, strict=True):
            whole = padded.pixels is not None
            if padded.pixels is not None:
                pixels[count] = padded.pixels
            rows.append(
                PaddedRow(
                    image_id=image_id,
                    shard=shard if whole else None,
                    offset=count if whole else None,
                    scale=padded.scale,
                    fill=list(padded.fill),
                    problem=padded.problem,
                    run_id=run_id,
                )
            )
            count += whole
    if count:  # an array without images cannot be memory-mapped
        write_shard(workspace, shard, pixels[:count])
    provenance = Provenance(stage="pad", revision=REVISION, config=config, run_id=run_id)
    manifest = _table(workspace, config).write(name, rows, provenance)
    problems = Counter(row.problem for row in rows if row.problem)
    detail = ", ".join(f"{problem} {number}" for problem, number in sorted(problems.items()))
    log.info(
        "pad: %d in, %d padded, %d not%s",
        *(len(rows), count, len(rows) - count, f" ({detail})" if detail else ""),
    )
    return manifest


def _pad(content: bytes, config: PadConfig) -> _Padded:
    try:
        image = decode(content).pixels
        fill = border_colour(image) if config.fill == "border" else config.fill
        pixels, scale = pad_to_square(image, config.size, fill)
    except ImageError as error:
        return _Padded(problem=error.reason)
    return _Padded(pixels, scale, fill)


def _table(workspace: Workspace, config: PadConfig) -> Table[PaddedRow]:
    return Table(workspace, PaddedRow, scope=scope(config))
