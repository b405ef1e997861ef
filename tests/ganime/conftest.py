from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

import pytest

from ganime.rows import ImageRow, NeighbourRow, PostRow

ImageMaker = Callable[..., ImageRow]
PostMaker = Callable[..., PostRow]
EdgeMaker = Callable[..., list[NeighbourRow]]
_ASK_AXE = """
window.found = null;
axe.run(document, {resultTypes: ["violations"]}).then((told) => {
  window.found = told.violations.map((one) =>
    `${one.id} (${one.impact}): ${one.nodes.map((node) => node.html.slice(0, 160)
      + " " + node.any.map((why) => why.message).join(" ")).slice(0, 3).join(" | ")}`);
});
"""


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
def post_row() -> PostMaker:
    """Makes post `i` of the crawl `crawl`, with a fetched image; `changes` are columns."""

    def make(i: int, image_id: str, **changes: Any) -> PostRow:
        nothing: dict[str, Any] = dict.fromkeys(
            (
                *("score", "width", "height", "site_md5", "posted_at", "changed_at"),
                *("parent_id", "source_link", "reason", "fetched_at"),
            )
        )
        lists: dict[str, Any] = {
            name: [] for name in ("artist_tags", "copyright_tags", "character_tags", "meta_tags")
        }
        facts: dict[str, Any] = {
            "crawl_id": "crawl",
            "source": "safebooru",
            "post_id": str(i),
            "position": i,
            "post_url": f"http://localhost/{i}",
            "file_url": f"http://localhost/{i}.png",
            "query": "1girl",
            "tags": ["1girl"],
            "rating": "general",
            "state": "active",
            "version": 1,
            "outcome": "fetched",
            "transient": False,
            "attempt": 1,
            "http_status": 200,
            "num_bytes": 1,
            "run_id": "run",
        }
        return PostRow(image_id=image_id, **{**nothing, **lists, **facts, **changes})

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


@pytest.fixture
def complaints() -> Callable[[Any], Awaitable[list[str]]]:
    """What axe finds on a page as a browser's tab shows it."""
    pytest.importorskip("axe_playwright_python", reason="bundles axe-core; in the dev extra")
    file = resources.files("axe_playwright_python") / "axe.min.js"
    axe = file.read_text(encoding="utf-8")

    async def found(tab: Any) -> list[str]:
        if not await tab.value("!!window.axe"):
            await tab.value(axe + ";0")
        await tab.value(_ASK_AXE + "0")
        await tab.until("window.found !== null")
        return list(await tab.value("window.found"))

    return found
