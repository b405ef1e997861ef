"""The page in a real browser, driven by the DevTools protocol."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganime.report import build_report

pytestmark = pytest.mark.slow
_HANDLERS = 'count(//@*[starts-with(name(), "on")])'
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_LOADED = "location.protocol === 'file:' && document.readyState === 'complete'"

Look = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def page(made: Any) -> Path:
    return Path(made.workspace.describe(build_report(made.workspace, made.inputs)))


@pytest.fixture
def look(page: Path, visit_page: Callable[..., Any]) -> Look:
    """Opens the page as a file at a width, lets it settle and evaluates expressions by name.

    It may ask for nothing but itself.
    """

    def run(expressions: dict[str, str], width: int, *, dark: bool = False) -> dict[str, Any]:
        said: dict[str, Any] = {}

        async def visit(tab: Any) -> None:
            await tab.open(page.name)
            await tab.until(_LOADED)
            await asyncio.sleep(0.5)  # what a late request or error would need
            for name, text in expressions.items():
                said[name] = await tab.value(text)

        tab = visit_page(page.parent.as_uri(), visit, width=width, dark=dark)
        assert [url for url in tab.requests if not url.startswith("data:")] == [page.as_uri()]
        assert tab.complaints == []
        return said

    return run


@pytest.mark.parametrize(
    ("width", "dark"), [(1400, False), (1400, True), (390, False), (320, True)]
)
def test_it_renders_without_errors_outside_requests_or_sideways_scrolling(
    look: Look, width: int, dark: bool
) -> None:
    asked = {
        "sections": "[...document.querySelectorAll('section')].map(s => s.id).join(' ')",
        "broken": "[...document.images].filter(i => i.src && i.naturalWidth === 0).length",
        "images": "document.images.length",
        "overflow": _OVERFLOW,
        "background": "getComputedStyle(document.body).backgroundColor",
        "alts": "[...document.images].filter(i => !i.hasAttribute('alt')).length",
    }
    said = look(asked, width, dark=dark)
    assert said["sections"] == (
        "result funnel examples duplicates classifiers training metric provenance settings"
    )
    assert said["images"] > 50
    assert said["broken"] == said["alts"] == 0
    assert said["overflow"] <= 0
    assert (said["background"] == "rgb(18, 22, 31)") == dark


def test_the_slider_shows_another_snapshot(look: Look) -> None:
    move = """(() => {
      const viewer = document.getElementById("viewer"), slider = viewer.querySelector("input");
      const before = viewer.querySelector("img").src;
      slider.value = 0; slider.dispatchEvent(new Event("input"));
      const caption = viewer.querySelector("figcaption").textContent;
      return [viewer.hidden, viewer.querySelector("img").src !== before, caption].join("|");
    })()"""
    said = look({"moved": move}, 1400)
    assert said["moved"] == "false|true|After 4,000 images shown"


def test_a_click_on_a_snapshot_shows_it(look: Look) -> None:
    click = """(() => {
      document.querySelectorAll("#film img")[1].click();
      const viewer = document.getElementById("viewer");
      const marked = [...document.querySelectorAll("#film .shown span")].map(s => s.textContent);
      return [viewer.querySelector("input").value, marked].join("|");
    })()"""
    said = look({"clicked": click}, 390)
    assert said["clicked"] == "1|8,000"


def test_a_hostile_tag_runs_nothing_and_links_nowhere(look: Look) -> None:
    asked = {
        "scripts": "document.scripts.length",
        "schemes": "[...new Set([...document.links].map(a => a.protocol))].sort().join(' ')",
        "handlers": f"document.evaluate('{_HANDLERS}', document).numberValue",
    }
    said = look(asked, 1400)
    assert said["scripts"] == 1
    assert said["schemes"] == "file: http: https:"  # file: are the page's own anchors
    assert said["handlers"] == 0
