from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ganime.rows import ImageRow, NeighbourRow

ImageMaker = Callable[..., ImageRow]
EdgeMaker = Callable[..., list[NeighbourRow]]


@pytest.fixture(scope="session")
def image_row() -> ImageMaker:
    """Makes the facts of a whole image on white, 500 px a side; `changes` are columns."""

    def make(image_id: str, side: int = 500, **changes: Any) -> ImageRow:
        facts: dict[str, Any] = {
            "problem": None,
            "format": "JPEG",
            "mode": "RGB",
            "width": side,
            "height": side,
            "frames": 1,
            "num_bytes": 9,
            "phash": 0,
            "phash_mirrored": 0,
            "trim_box": [10, 10, side - 10, side - 10],
            "thumbnail": b"",
            "alpha_fraction": 0.0,
            "border_colour": [255, 255, 255],
            "background_fraction": 1.0,
            "background_texture": 0.0,
            "sharpness": 1000.0,
            "run_id": "run",
        }
        return ImageRow(image_id=image_id, **{**facts, **changes})

    return make


@pytest.fixture(scope="session")
def edge_rows() -> EdgeMaker:
    """Makes verified edges of similarities by pair of ids, the one compared later first."""

    def make(
        similarity: Mapping[tuple[str, str], float], *, mirrored: bool = False
    ) -> list[NeighbourRow]:
        return [
            NeighbourRow(
                image_id=one,
                others=[other],
                hamming=[4],
                similarity=[alike],
                mirrored=[mirrored],
                run_id="run",
            )
            for (one, other), alike in similarity.items()
        ]

    return make
