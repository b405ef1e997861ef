"""What axe-core finds on every view, and the whole page by keyboard alone."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ganime.store.rule_settings import save
from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow
_READY = (
    "!!document.querySelector('main h1')"
    " && !document.querySelector('main').textContent.includes('Loading …')"
)

VIEWS = [
    "",
    "?status=dropped&score=chibi&tag=full_body",
    "?view=queue&queue=random-audit",
    "?view=queue&queue=duplicates",
    "?view=queue&queue=suspects&question=chibi",
    "?view=thresholds&rule=chibi&value=0.4",
    "?view=funnel",
    "?view=questions",
    "?view=models",
    "?view=models&model=aaaa",
    "?view=models&model=aaaa&with=bbbb",
]


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)]
)
def test_axe_finds_nothing_on_any_view(
    trained: tuple[str, str],
    workspace: Workspace,
    drive: Any,
    complaints: Callable[[Any], Awaitable[list[str]]],
    width: int,
    dark: bool,
) -> None:
    save(workspace, "characters", rule="chibi", option="threshold", value=0.5, by="ann", note="why")

    async def visit(tab: Any) -> None:
        found = {}
        for view in VIEWS:
            await tab.open(view)
            await tab.until(_READY)
            found[view] = await complaints(tab)
        await tab.open("?rule=duplicate")
        await tab.until("document.querySelectorAll('.card').length > 0")
        await tab.press("ArrowRight")
        found["marked"] = await complaints(tab)
        await tab.press("?")
        await tab.until("!!document.querySelector('dialog[open]')")
        found["help"] = await complaints(tab)
        await tab.press("Escape")
        await tab.click("#who button")
        await tab.until("document.activeElement.id", "person")
        found["who answers"] = await complaints(tab)
        await tab.press("Escape")
        await tab.until("!document.querySelector('dialog')")
        await tab.value("document.querySelector('.card').focus()")
        await tab.press("Enter")
        await tab.until("!!document.querySelector('.decisions')")
        found["image"] = await complaints(tab)
        assert {view: told for view, told in found.items() if told} == {}, json.dumps(found)

    drive(visit, width=width, dark=dark)


def test_the_whole_page_works_by_keyboard_alone(drive: Any, workspace: Workspace) -> None:
    """Tab to a filter, into the grid, answer, undo, open, step, go back: no pointer anywhere."""
    focused = "document.activeElement.id || document.activeElement.className"

    async def tab_to(tab: Any, wanted: str, most: int = 80) -> None:
        for _ in range(most):
            await tab.press("Tab")
            if await tab.value(f"document.activeElement.matches({json.dumps(wanted)})"):
                return
        pytest.fail(f"Tab does not reach {wanted}, but {await tab.value(focused)}")

    async def visit(tab: Any) -> None:
        await tab.open("?question=keep")
        await tab.until("document.querySelectorAll('.card').length > 2")
        await tab_to(tab, ".skip", 1)
        await tab_to(tab, "#pages a[href*=questions]")
        await tab_to(tab, "#f-status-dropped")
        outline = await tab.value("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        await tab.press(" ")
        await tab.until("location.search.includes('status=dropped')")
        await tab.until("document.activeElement.id", "f-status-dropped")  # and not lost
        await tab_to(tab, ".card")
        await tab.press("ArrowRight")
        await tab.press("d")
        await tab.until("document.querySelectorAll('.card .said').length", 1)
        await tab.press("z")
        await tab.until("document.querySelectorAll('.card .said').length", 0)
        await tab.press("Enter")
        await tab.until("!!document.querySelector('.decisions')")
        await tab_to(tab, "article a.button")
        await tab.press("Enter")
        await tab.until("!!document.querySelector('#grid') && location.search.includes('dropped')")
        await tab.press("?")
        await tab.until("!!document.querySelector('dialog[open]')")
        await tab.press("Escape")
        await tab.until("!document.querySelector('dialog')")

    drive(visit)
