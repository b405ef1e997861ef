"""The page in a real browser, driven by the DevTools protocol: keys are keys, clicks are clicks."""

import json
from typing import Any

import pytest

from ganime.store.labels import Answer, LabelLog
from ganime.store.rule_settings import current
from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_CARDS = "document.querySelectorAll('.card').length"
_TOTAL = "document.getElementById('total')?.textContent"
_SAID = "document.querySelectorAll('.card .said').length"
_MARKED = "document.activeElement.dataset.id"
_TITLE = "document.querySelector('main h1')?.textContent"


def said(workspace: Workspace) -> list[tuple[str, bool | None, str]]:
    """What the label log holds: question, answer, who."""
    return [(one.question, one.answer, one.by) for one in LabelLog(workspace).current()]


VIEWS = (
    *("", "?view=queue", "?view=questions", "?view=thresholds", "?view=funnel", "?view=models"),
    *("?view=models&model=aaaa", "?view=models&model=aaaa&with=bbbb"),
)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_every_page_renders_without_errors_or_sideways_scrolling(
    trained: tuple[str, str], drive: Any, width: int, dark: bool
) -> None:
    async def visit(tab: Any) -> None:
        for view in VIEWS:
            await tab.open(view)
            await tab.until(
                f"!!{_TITLE} && !document.querySelector('main').textContent.includes('Loading')"
            )
            assert await tab.value(_OVERFLOW) <= 0, view
            assert await tab.value("[...document.images].every(one => one.hasAttribute('alt'))")
            color = await tab.value("getComputedStyle(document.body).backgroundColor")
            assert (color == "rgb(18, 22, 31)") == dark
        assert tab.complaints == []

    drive(visit, width=width, dark=dark)


def test_a_facet_narrows_the_gallery_and_back_widens_it(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 0 && !!{_TOTAL}")
        every = await tab.value(_CARDS)
        label = "document.getElementById('f-status-dropped').closest('label')"
        await tab.until(f"!!{label}")
        num = int(await tab.value(f"{label}.querySelector('.num').textContent"))
        await tab.click("#f-status-dropped")
        await tab.until(_CARDS, num)
        await tab.until(f"{_TOTAL}.startsWith('{num} of ')")
        assert 0 < num < every
        asked = "[...document.querySelector('.orders').lastChild.querySelector('select').options]"
        assert await tab.value(f"{asked}.map(one => one.value).join()") == "keep,chibi"
        assert "status=dropped" in await tab.value("location.search")
        assert await tab.value("document.querySelectorAll('.card .badge.dropped').length") == num
        await tab.value("history.back()")
        await tab.until(_CARDS, every)

    drive(visit)


def test_a_reload_keeps_filters_order_and_question(drive: Any) -> None:
    address = "?status=dropped&sort=lowest&by=min_side&question=chibi"

    async def visit(tab: Any) -> None:
        await tab.open(address)
        await tab.until(f"{_CARDS} > 0 && !!{_TOTAL}")
        ids = "[...document.querySelectorAll('.card')].map(one => one.dataset.id).join()"
        before = await tab.value(ids)
        await tab.reload()
        await tab.until(f"{_CARDS} > 0 && !!document.getElementById('f-status-dropped')?.checked")
        assert await tab.value(ids) == before
        assert await tab.value("location.search") == address
        values = "[...document.querySelectorAll('.orders select')].map(one => one.value).join()"
        assert await tab.value(values) == "lowest,min_side,chibi"

    drive(visit)


def test_search_suggests_tags_and_takes_one(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 0")
        await tab.press("/")
        await tab.until("document.activeElement.id", "tag-search")
        for letter in "full":
            await tab.press(letter)
        await tab.until("document.querySelector('#tag-list li bdi')?.textContent", "full_body")
        await tab.press("ArrowDown")
        await tab.press("Enter")
        await tab.until("location.search", "?tag=full_body")
        await tab.until(
            "document.querySelector('#chips .chip')?.textContent.startsWith('full_body')"
        )
        for letter in "no_such_tag":
            await tab.press(letter)
        await tab.press("Enter")
        await tab.until(
            "document.querySelector('.toast.refused')?.textContent.includes('no_such_tag')"
        )
        assert await tab.value("location.search") == "?tag=full_body"

    drive(visit)


def test_keys_move_answer_and_undo(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Any) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 2")
        first, second = await tab.value(
            "[...document.querySelectorAll('.card')].slice(0, 2).map(one => one.dataset.id)"
        )
        await tab.press("ArrowRight")
        assert await tab.value(_MARKED) == first
        await tab.press("d")
        assert await tab.value(_SAID) == 1
        assert await tab.value(_MARKED) == second  # on to the next
        await tab.until("document.getElementById('saving').textContent", "")
        assert said(workspace) == [("keep", False, "ann")]
        await tab.press("z")
        await tab.until(_SAID, 0)
        await tab.until("document.getElementById('saving').textContent", "")
        assert [answer for _, answer, _ in said(workspace)] in ([], [None])

    drive(visit)


def test_shift_and_arrows_select_many_and_one_key_answers_all(
    drive: Any, workspace: Workspace
) -> None:
    async def visit(tab: Any) -> None:
        await tab.open("?question=chibi")
        await tab.until(f"{_CARDS} > 3")
        await tab.press("ArrowRight")
        await tab.press("ArrowRight", shift=True)
        await tab.press("ArrowRight", shift=True)
        assert await tab.value("document.querySelectorAll('.card[aria-selected=true]').length") == 3
        await tab.press("k")  # says keep, which is not the question
        await tab.press("1")
        await tab.until(_SAID, 3)
        await tab.until("document.querySelectorAll('.card[aria-selected=true]').length", 0)
        assert said(workspace) == [("chibi", True, "ann")] * 3
        await tab.press("z")
        await tab.until(_SAID, 0)

    drive(visit)


def test_the_buttons_answer_without_taking_the_focus_away(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Any) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 2")
        await tab.press("ArrowRight")
        await tab.value("document.querySelector('.bar .to-true').focus()")
        for num in (1, 2):
            await tab.value("document.activeElement.click()")
            await tab.until(_SAID, num)
        await tab.until("document.getElementById('saving').textContent", "")
        assert said(workspace) == [("keep", True, "ann")] * 2

    drive(visit)


def test_a_refused_answer_says_so_and_shows_what_is_there(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Any) -> None:
        await tab.open()
        await tab.until(f"{_CARDS} > 0")
        await tab.press("ArrowRight")
        image = await tab.value(_MARKED)
        bob = Answer(image_id=image, question="keep", answer=True)
        LabelLog(workspace).append([bob], by="bob", how="by hand")
        await tab.press("d")
        await tab.until("document.querySelector('.toast.refused')?.textContent.includes('bob')")
        badge = "document.querySelector('.card .said')?.title"
        await tab.until(badge, "bob said so")

    drive(visit)


def test_who_answers_is_asked_once(drive: Any, workspace: Workspace) -> None:
    async def visit(tab: Any) -> None:
        await tab.open()
        await tab.value("localStorage.clear()")
        await tab.until(f"{_CARDS} > 0")
        await tab.press("ArrowRight")
        await tab.press("k")
        await tab.until("document.activeElement.id", "person")
        for letter in "eve":
            await tab.press(letter)
        await tab.value("document.querySelector('dialog form').requestSubmit()")
        await tab.until("document.getElementById('who').textContent", "eve")
        await tab.until(_SAID, 1)
        await tab.until("document.getElementById('saving').textContent", "")
        assert said(workspace) == [("keep", True, "eve")]
        await tab.press("d")
        await tab.until(_SAID, 2)

    drive(visit, before="")


def test_the_image_page_tells_the_story_and_goes_back_to_the_same_place(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await tab.open("?status=dropped&rule=duplicate")
        await tab.until(f"{_CARDS} > 0")
        await tab.press("ArrowRight")
        image = await tab.value(_MARKED)
        await tab.press("Enter")
        await tab.until(f"document.title.includes('/') && !!{_TITLE}")
        assert f"id={image}" in await tab.value("location.search")
        headings = await tab.value(
            "[...document.querySelectorAll('main h2')].map(one => one.textContent)"
        )
        assert headings[:3] == ["Decisions", "Near-duplicates", "What people said"]
        assert await tab.value("document.querySelectorAll('.decisions tbody tr').length") >= 5
        assert await tab.value("document.querySelectorAll('.decisions .gauge').length") >= 2
        assert await tab.value("document.querySelector('.members .stays')?.textContent") == "✓ kept"
        title = await tab.value("document.title")
        await tab.press("d")
        await tab.until(f"document.title === {json.dumps(title)}", False)  # on to the next
        await tab.press("ArrowLeft")
        await tab.until("document.querySelector('#history td:nth-child(4)')?.textContent", "drop")
        await tab.press("Escape")
        await tab.until(f"{_CARDS} > 0")
        assert await tab.value(_MARKED) == image
        assert "rule=duplicate" in await tab.value("location.search")

    drive(visit)


def test_a_queue_goes_on_after_each_answer_and_undo_comes_back(
    drive: Any, workspace: Workspace
) -> None:
    post = "document.querySelector('#stage bdi')?.textContent"
    waiting = "document.getElementById('left')?.textContent"

    async def visit(tab: Any) -> None:
        await tab.open("?view=queue&queue=random-audit")
        await tab.until(f"!!{post}")
        first, num = await tab.value(post), int((await tab.value(waiting)).split()[0])
        await tab.press("k")
        await tab.until(waiting, f"{num - 1} waiting")
        assert await tab.value(post) != first
        await tab.until("document.getElementById('audit').textContent.startsWith('100.0 % right')")
        assert LabelLog(workspace).current()[0].how == "random-audit"
        await tab.press("z")
        await tab.until(post, first)
        await tab.press("u")  # unsure: on to the next, and not back at once
        await tab.until(waiting, f"{num - 1} waiting")
        await tab.until("document.getElementById('saving').textContent", "")
        assert await tab.value(post) != first

    drive(visit)


@pytest.mark.parametrize("queue", ["most-uncertain", "suspects", "duplicates"])
def test_every_queue_shows_an_image_to_answer(drive: Any, queue: str) -> None:
    async def visit(tab: Any) -> None:
        await tab.open(f"?view=queue&queue={queue}&question=chibi")
        await tab.until("document.querySelectorAll('#stage .answer').length", 3)
        assert await tab.value("document.querySelectorAll('#stage .shot').length") >= 1
        assert (
            await tab.value("document.querySelectorAll('#stage .answer')[0].dataset.answer")
            == "true"
        )

    drive(visit)


def test_the_slider_counts_flips_saves_with_a_note_and_undoes(
    drive: Any, workspace: Workspace
) -> None:
    tile = "Number(document.querySelector('#flip-drop dd')?.textContent)"
    move = """(() => {
      const slider = document.getElementById("slider");
      slider.value = slider.max; slider.dispatchEvent(new Event("input"));
      return Number(slider.value);
    })()"""

    async def visit(tab: Any) -> None:
        await tab.open("?view=thresholds&rule=background")
        await tab.until(tile, 0)
        await tab.value(move)
        await tab.until(f"{tile} > 0")
        await tab.until("document.querySelectorAll('.strips .member').length > 0")
        flips = await tab.value(tile)
        await tab.reload()
        await tab.until(tile, flips)
        await tab.value("document.getElementById('why').value = 'too many flat ones'")
        await tab.click("#save")
        row = "[...document.querySelectorAll('#saved tbody td')].map(one => one.textContent)"
        await tab.until(f"{row}.includes('too many flat ones')")
        assert (await tab.value(row))[2] == "ann"
        assert [one.by for one in current(workspace, "characters")] == ["ann"]
        await tab.click("#saved button")
        await tab.until(f"{row}.length", 0)

    drive(visit)
    assert current(workspace, "characters") == []


def test_two_models_stand_side_by_side_and_one_slider_moves_both(
    trained: tuple[str, str], drive: Any
) -> None:
    sources = "[...document.querySelectorAll('#two img')].map(one => one.src.split('/').at(-1))"
    move = """(() => {
      const slider = document.querySelector("#two > input");
      slider.value = 0; slider.dispatchEvent(new Event("input"));
    })()"""

    async def visit(tab: Any) -> None:
        await tab.open("?view=models&model=bbbb&with=aaaa")
        await tab.until("document.querySelectorAll('#two img').length", 2)
        assert await tab.value(sources) == ["2500", "2000"]
        await tab.value(move)
        await tab.until(f"{sources}.join()", "1000,1000")
        cells = "[...document.querySelectorAll('#compared tbody td')].map(one => one.textContent)"
        # They were compared the other way round: A and B change places.
        assert await tab.value(cells) == ["fd", "20", "30", "10 ± 4", "A is better"]
        rows = "[...document.querySelectorAll('tbody tr')].map(one => one.textContent).join()"
        assert "config.lr1.10.1" in await tab.value(rows)

    drive(visit)


def test_hostile_tags_run_nothing_and_links_lead_to_the_web_only(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await tab.open("?tag=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&view=gallery")
        await tab.until("document.querySelectorAll('#chips .chip').length", 1)
        assert await tab.value("document.querySelectorAll('#chips img').length") == 0
        schemes = "[...new Set([...document.links].map(one => one.protocol))].join()"
        assert await tab.value(schemes) == "http:"
        assert not any("x-onerror" in one or "alert" in one for one in tab.complaints)

    drive(visit)
