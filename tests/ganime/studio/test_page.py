"""The studio's page in a real browser: characters made, changed, kept, shared and taken away."""

import asyncio
import json
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganime.gans import Recipe
from ganime.gans.dcgan import Dcgan
from ganime.gans.stylegan2 import StyleGan2
from ganime.store.workspace import Workspace
from ganime.studio.models import Models
from ganime.studio.serve import StudioConfig, server_of
from ganime.studio.service import Service
from ganime.studio.torch_engine import load
from ganime.training.generator import Blueprint
from ganime.training.snapshot import save_snapshot
from ganime.web.server import listen

pytestmark = pytest.mark.slow
TAGS = ("blue_hair", "long_hair", "maid", "smile")
PATIENCE_S = 240  # a loaded machine draws slowly
Visit = Callable[[Any], Awaitable[None]]

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
TILES = "document.querySelectorAll('#grid .tile').length"
DRAWN = """(() => {
  const near = [...document.images].filter((one) =>
    one.getClientRects().length && one.getBoundingClientRect().top < innerHeight);
  return near.length > 1 && near.every((one) => one.complete && one.naturalWidth > 0)
    && !document.querySelector('.waiting');
})()"""
PIXELS = """((selector) => [...document.querySelectorAll(selector)].slice(0, 4).map((image) => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, byte) => (sum * 31 + byte) | 0, 7);
}).join())"""
# All that the notice ever said: it may be gone again before it is looked at.
NOTING = """
window.noted = [];
new MutationObserver(() => {
  const notice = document.getElementById('notice');
  if (notice && !notice.hidden) window.noted.push(notice.textContent);
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
LARGE, GRID = "#one > .stage img", "#grid img"


def pixels(selector: str) -> str:
    """An expression that tells the pixels of the first images apart."""
    return f"{PIXELS}({json.dumps(selector)})"


def make_model(workspace: Workspace, name: str, recipe: Recipe, tags: tuple[str, ...]) -> None:
    """A model with random weights, as training leaves it."""
    torch.manual_seed(0)
    examples = np.eye(len(tags), dtype=np.uint8)
    blueprint = Blueprint(recipe, 32, tags, examples) if tags else Blueprint(recipe, 32)
    settings = {"dataset_version": "girls/v1", "recipe": recipe.model_dump(mode="json")}
    workspace.write_text(f"models/{name}/config.json", json.dumps(settings))
    save_snapshot(workspace, name, 2000, blueprint.network().eval(), blueprint)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A model with styles and tags, which is the usual one, and one without either."""
    workspace = Workspace(str(tmp_path_factory.mktemp("studio")))
    make_model(workspace, "aaaa0001", Dcgan(latent=8, width_generator=4, widest=16), ())
    make_model(
        workspace,
        "bbbb0002",
        StyleGan2(latent=16, channel_base=512, channel_max=16, mapping_layers=2),
        TAGS,
    )
    return workspace


def patient(workspace: Workspace, **limits: Any) -> Service:
    """A studio that waits for what a loaded machine draws."""
    return Service(Models(workspace, "bbbb"), timeout_s=PATIENCE_S, **limits)


@pytest.fixture(scope="module")
def studio(workspace: Workspace, serve_with: Callable[..., Any]) -> Iterator[str]:
    with closing(patient(workspace)) as service, serve_with(service) as url:
        yield url


@pytest.fixture
def drive(studio: str, visit_page: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a visit to the studio on a laptop's screen; nothing outside of it is asked."""

    def run(visit: Visit, **how: Any) -> Any:
        return visit_page(studio, visit, **{"width": 1366, "height": 768, **how})

    return run


async def shown(tab: Any, path: str = "") -> None:
    """Open an address of the page and wait until its pictures are drawn."""
    await tab.open(path)
    await until(tab, DRAWN)


async def until(tab: Any, expression: str, wanted: Any = True) -> None:
    """As the tab's own, with the patience that drawing takes."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := await tab.value(expression)) != wanted:
        assert time.monotonic() < deadline, (expression, found, wanted, tab.complaints)
        await asyncio.sleep(0.05)


async def changes(tab: Any, expression: str, before: str) -> None:
    """Wait until something is no longer what it was."""
    await until(tab, f"({expression}) !== {json.dumps(before)}")


async def saved(folder: Path, name: str) -> Path:
    """A download, once it is whole."""
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / name).exists():
        assert time.monotonic() < deadline, list(folder.iterdir())
        await asyncio.sleep(0.05)
    return folder / name


@pytest.mark.parametrize(("width", "height", "dark"), [(1366, 768, False), (390, 844, True)])
def test_characters_are_drawn_without_errors_or_sideways_scrolling(
    drive: Any, width: int, height: int, dark: bool
) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab)
        assert await tab.value(TILES) == 40
        assert await tab.value(OVERFLOW) <= 0
        assert await tab.value("[...document.images].every(one => one.hasAttribute('alt'))")
        color = await tab.value("getComputedStyle(document.body).backgroundColor")
        assert (color == "rgb(18, 22, 31)") == dark
        await tab.click("#more")
        await until(tab, TILES, 80)
        assert "seeds=0-79" in await tab.value("location.search")
        assert tab.complaints == []

    drive(visit, width=width, height=height, dark=dark)


def test_a_tag_is_switched_on_off_and_away(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab)
        before = await tab.value(pixels(GRID))
        await tab.press("/")
        await until(tab, "document.activeElement.id", "tag-search")
        for letter in "maid":
            await tab.press(letter)
        await until(tab, "document.querySelectorAll('.switches button').length", 1)
        assert await tab.value("document.querySelector('.switches button').textContent") == "maid"
        await tab.press("Enter")
        await until(tab, "new URLSearchParams(location.search).get('tag')", "maid")
        await until(tab, DRAWN)
        assert await tab.value(pixels(GRID)) != before
        await tab.click("[data-tag='maid']")
        await until(tab, "new URLSearchParams(location.search).get('not')", "maid")
        assert "tag=" not in await tab.value("location.search")
        await tab.click("[data-tag='maid']")
        await until(tab, f"{DRAWN} && {pixels(GRID)}", before)
        assert tab.complaints == []

    drive(visit)


def test_styles_are_mixed_and_the_mix_is_taken_back(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab, "?tab=mix")
        await tab.click("#grid .tile:nth-child(3) .pick")
        await until(tab, "document.getElementById('one-title').textContent", "Seed 2")
        await until(tab, DRAWN)
        plain = await tab.value(pixels(LARGE))
        await tab.click("[data-mix='seed-5']")
        await until(
            tab, "document.getElementById('one-title').textContent", "Seed 2 · mixed with 5"
        )
        await changes(tab, pixels(LARGE), plain)
        coarse = await tab.value(pixels(LARGE))
        await tab.click("[data-mix='middle']")
        await changes(tab, pixels(LARGE), coarse)
        pressed = "[...document.querySelectorAll('.group[aria-pressed=true]')]"
        assert await tab.value(f"{pressed}.map(one => one.dataset.mix).join()") == "coarse,middle"
        await tab.click("#reset")
        await until(tab, pixels(LARGE), plain)
        assert tab.complaints == []

    drive(visit)


def test_a_slider_changes_the_character_and_a_variation_is_another_one(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab, "?tab=sliders")
        plain = await tab.value(pixels(LARGE))
        slider = "document.getElementById('slide-pca-1')"
        await tab.value(f"{slider}.value = {slider}.max")
        await tab.value(f"{slider}.dispatchEvent(new Event('change'))")
        await changes(tab, pixels(LARGE), plain)
        moved = await tab.value(pixels(LARGE))
        await tab.click("#tab-variations")
        await until(tab, "document.querySelectorAll('.few .tile').length", 8)
        await until(tab, DRAWN)
        await tab.click(".few .tile:nth-child(2) .pick")
        title = "document.getElementById('one-title').textContent"
        await until(tab, f"{title}.includes('variation')")
        await changes(tab, pixels(LARGE), moved)
        assert tab.complaints == []

    drive(visit)


def test_a_walk_is_looked_at_and_saved(drive: Any, tmp_path: Path) -> None:
    async def visit(tab: Any) -> None:
        await tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        await shown(tab)
        assert await tab.value("document.getElementById('walk').disabled")
        for place in (1, 4):
            await tab.click(f"#grid .tile:nth-child({place}) .plus")
        await tab.click("#walk")
        await until(tab, "document.querySelector('.strip img')?.naturalWidth", 8 * 32)
        await until(tab, "document.querySelector('dialog .stage img')?.naturalWidth", 32)
        await tab.click("#walk-gif")
        assert (await saved(tmp_path, "walk.gif")).read_bytes()[:4] == b"GIF8"
        assert tab.complaints == []

    drive(visit)


def test_sprites_are_saved_with_an_atlas(drive: Any, tmp_path: Path) -> None:
    async def visit(tab: Any) -> None:
        await tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
        await shown(tab)
        for place in (1, 2, 5):
            await tab.click(f"#grid .tile:nth-child({place}) .plus")
        await tab.click("#sprites")
        await tab.click("#make-sprites")
        with zipfile.ZipFile(await saved(tmp_path, "sprites.zip")) as archive:
            assert archive.testzip() is None
            assert {"sheet.png", "atlas.json"} <= set(archive.namelist())
            assert len(json.loads(archive.read("atlas.json"))["frames"]) == 3
        assert tab.complaints == []

    drive(visit)


def test_distinct_characters_fill_the_grid(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab)
        await tab.value("document.getElementById('distinct').value = '6'")
        await tab.value("document.getElementById('distinct').dispatchEvent(new Event('change'))")
        await until(tab, TILES, 6)
        assert await tab.value("location.search.match(/seeds=([^&]+)/)[1].split(',').length") > 1

    drive(visit)


def test_keys_do_what_the_mouse_does(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab)
        reached = "document.activeElement.closest('.tile')?.settings.seed"
        await tab.press("ArrowRight")
        assert await tab.value(reached) == 0
        await tab.press("ArrowRight")
        await tab.press("ArrowDown")
        seed = await tab.value(reached)
        assert seed > 1
        await tab.press("Enter")
        await until(tab, "document.getElementById('one-title').textContent", f"Seed {seed}")
        await tab.press("t")
        await until(tab, "document.querySelectorAll('#tray li').length", 1)
        await tab.press("f")
        await until(tab, "document.querySelector('[data-view=favourites]').textContent", "♥ 1")
        await tab.press("r")
        await until(tab, f"document.querySelector('#grid .tile').settings.seed > 0 && {DRAWN}")
        await tab.press("?")
        assert await tab.value("document.querySelector('dialog h2').textContent") == "Keys"
        await tab.press("r")  # a card has the keys to itself
        await tab.press("Escape")
        await until(tab, "document.querySelectorAll('dialog').length", 0)
        await tab.press("z")
        await until(tab, "document.querySelector('#grid .tile').settings.seed", 0)
        assert await tab.value("document.querySelectorAll('#tray li').length") == 1
        assert tab.complaints == []

    drive(visit)


def test_favourites_are_kept_for_the_model_and_survive_a_reload(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab)
        await tab.value("localStorage.clear()")
        await tab.click("#grid .tile:nth-child(4) .heart")
        await tab.reload()
        await until(tab, DRAWN)
        kept = "document.querySelector('#grid .tile:nth-child(4) .heart').ariaPressed"
        assert await tab.value(kept) == "true"
        await tab.click("[data-view='favourites']")
        await until(tab, TILES, 1)
        assert await tab.value("document.querySelector('#grid .tile').settings.seed") == 3
        await tab.click("#grid .heart")
        await until(tab, TILES, 0)
        assert not await tab.value("document.querySelector('#characters .missing').hidden")

    drive(visit)


def test_a_studio_that_comes_back_is_drawn_from_again(
    workspace: Workspace, serving: Callable[..., Any], visit_page: Callable[..., Any]
) -> None:
    said = "document.getElementById('notice')"

    async def visit(tab: Any, stop: Callable[[], None], start: Callable[[], None]) -> None:
        await shown(tab)
        await asyncio.to_thread(stop)
        await tab.click("#reroll")
        await until(tab, f"!{said}.hidden && {said}.textContent.includes('does not answer')")
        assert await tab.value("document.querySelectorAll('.frame .none').length") == 0
        await asyncio.to_thread(start)
        await until(tab, f"{said}.hidden && {DRAWN}")

    with closing(patient(workspace)) as service, ExitStack() as first, ExitStack() as second:
        config = StudioConfig(port=0)
        listener = listen(config)
        url = first.enter_context(serving(server_of(service, config, ""), listener))
        again = StudioConfig(port=int(url.rsplit(":", 1)[1]))

        def start() -> None:
            second.enter_context(serving(server_of(service, again, ""), listen(again)))

        visit_page(url, lambda tab: visit(tab, first.close, start))


def test_what_goes_wrong_on_a_card_is_told_on_it(
    workspace: Workspace, serve_with: Callable[..., Any], visit_page: Callable[..., Any]
) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab)
        await tab.click("#grid .tile .plus")
        await tab.click("#sprites")
        await tab.click("#make-sprites")
        said = "document.querySelector('dialog #notice')?.textContent ?? ''"
        await until(tab, f"({said}).includes('0 archives')")
        await tab.press("Escape")
        await until(tab, "document.querySelectorAll('dialog').length", 0)

    with closing(patient(workspace, most_archives=0)) as service, serve_with(service) as url:
        visit_page(url, visit)


def test_a_workspace_without_models_and_a_wrong_address_say_what_to_do(
    drive: Any, tmp_path: Path, serve_with: Callable[..., Any], visit_page: Callable[..., Any]
) -> None:
    card = "document.querySelector('.alone .panel')?.textContent ?? ''"
    parts = "['wishes', 'steps', 'tray', 'one'].every(id => document.getElementById(id).hidden)"

    async def wrong(tab: Any) -> None:
        await tab.open("?model=0123456789ab@5")
        await until(tab, f"({card}).includes('0123456789ab@5') && {parts}")
        await tab.click(".alone a.main")
        await until(tab, DRAWN)

    async def empty(tab: Any) -> None:
        await tab.open()
        await until(tab, f"({card}).includes('ganime train') && {parts}")

    drive(wrong)
    with (
        closing(Service(Models(Workspace(str(tmp_path))))) as service,
        serve_with(service) as url,
    ):
        visit_page(url, empty)


def test_a_trait_is_searched_for_and_moved(drive: Any) -> None:
    names = "[...document.querySelectorAll('.slide label')].map(one => one.textContent)"

    async def visit(tab: Any) -> None:
        await shown(tab, "?tab=sliders")
        assert (await tab.value(names))[:4] == ["blue hair", "long hair", "maid", "smile"]
        before = await tab.value(pixels(LARGE))
        slider = "document.getElementById('slide-tag:maid')"
        await tab.value(f"{slider}.value = 1; {slider}.dispatchEvent(new Event('change'))")
        await changes(tab, pixels(LARGE), before)
        assert await tab.value(f"{slider}.parentElement.querySelector('.ends').textContent") == (
            "lessmore"
        )
        assert tab.complaints == []

    drive(visit)


def test_another_model_is_chosen_by_its_pictures(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab)
        await tab.click("#choose-model")
        await until(tab, "document.querySelectorAll('dialog .samples img').length", 10)
        await until(tab, DRAWN)
        await tab.click("[data-model^='aaaa0001']")
        await until(tab, "location.search.includes('aaaa0001')")
        await until(tab, DRAWN)
        assert await tab.value("document.querySelectorAll('dialog').length") == 0
        assert tab.complaints == []

    drive(visit)


def test_undo_goes_back_and_a_shared_address_shows_the_same_pixels(drive: Any) -> None:
    address = "?seeds=7,100-120&truncation=0.6&tag=smile&tab=mix"

    async def visit(tab: Any) -> None:
        await shown(tab, address)
        assert not await tab.value("history.state.step")
        await tab.click("#grid .tile:nth-child(2) .pick")
        await tab.click("[data-mix='seed-7']")
        await tab.click("#grid .tile:nth-child(6) .plus")
        await until(tab, DRAWN)
        told = [await tab.value(pixels(one)) for one in (GRID, LARGE, "#tray img")]
        shared = await tab.value("location.search")
        await tab.press("z")
        await until(tab, "document.querySelectorAll('#tray li').length", 0)
        await tab.click("#undo")
        await until(tab, "document.getElementById('one-title').textContent", "Seed 100")
        await tab.press("Z", shift=True)
        await tab.click("#redo")
        await until(tab, "document.querySelectorAll('#tray li').length", 1)
        assert await tab.value("document.getElementById('redo').disabled")
        assert await tab.value("location.search") == shared
        await tab.open("static/base.css")
        await shown(tab, shared)
        assert [await tab.value(pixels(one)) for one in (GRID, LARGE, "#tray img")] == told
        assert await tab.value("location.search") == shared
        assert tab.complaints == []

    drive(visit)


def test_a_model_without_tags_says_so_and_one_without_styles_offers_no_mixing(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await shown(tab, "?tab=mix")
        await tab.click("#choose-model")
        await tab.click("dialog [data-model='aaaa0001@2000']")
        told = "document.querySelector('#wishes .missing')"
        await until(tab, f"!{told}.hidden")
        assert "without tags" in await tab.value(f"{told}.textContent")
        assert await tab.value("!document.getElementById('tab-mix')")
        assert await tab.value("document.getElementById('tab-variations').ariaSelected") == "true"
        await until(tab, DRAWN)
        assert tab.complaints == []

    drive(visit)


def test_a_busy_studio_is_asked_again_until_all_is_drawn(
    workspace: Workspace, serve_with: Callable[..., Any], visit_page: Callable[..., Any]
) -> None:
    may_draw = threading.Event()

    def opened(*which: Any) -> Any:
        engine = load(*which)
        draw = engine.draw

        def draw_later(codes: Any, tags: Any) -> Any:
            assert may_draw.wait(PATIENCE_S)
            return draw(codes, tags)

        engine.draw = draw_later  # type: ignore[method-assign]
        return engine

    async def visit(tab: Any) -> None:
        await tab.open("")
        await until(tab, "window.noted.some((told) => told.includes('Trying again'))")
        may_draw.set()
        await until(tab, DRAWN)
        await until(tab, "document.getElementById('notice').hidden")
        assert any("429" in one for one in tab.complaints)

    models = Models(workspace, "bbbb", open_engine=opened)
    service = Service(models, timeout_s=PATIENCE_S, most_waiting=1)
    with closing(service), serve_with(service) as url:
        visit_page(url, visit, width=1366, height=768, before=NOTING)


def test_an_address_of_a_model_that_is_not_here_offers_another(drive: Any) -> None:
    async def visit(tab: Any) -> None:
        await tab.open("?model=ffff0000@9")
        await until(
            tab, "document.querySelector('#characters h2')?.textContent", "This model is not here"
        )
        await tab.click("#characters a.main")
        await until(tab, DRAWN)

    drive(visit)


@pytest.mark.parametrize(
    ("width", "height", "dark"),
    [(1366, 768, False), (1366, 768, True), (390, 844, False), (390, 844, True)],
)
def test_axe_finds_nothing_on_any_part_of_the_page(
    drive: Any,
    complaints: Callable[[Any], Awaitable[list[str]]],
    width: int,
    height: int,
    dark: bool,
) -> None:
    async def visit(tab: Any) -> None:
        found = {}
        for part in ("variations", "sliders", "mix"):
            await shown(tab, f"?tab={part}&tag=smile&not=maid")
            found[part] = await complaints(tab)
        for place in (2, 3):
            await tab.click(f"#grid .tile:nth-child({place}) .plus")
        await tab.click("#grid .tile:nth-child(4) .heart")
        await until(tab, DRAWN)
        found["kept"] = await complaints(tab)
        for opened in ("choose-model", "walk", "sprites"):
            await tab.click(f"#{opened}")
            await until(tab, "!!document.querySelector('dialog[open]')")
            await until(tab, DRAWN)
            found[opened] = await complaints(tab)
            await tab.press("Escape")
            await until(tab, "document.querySelectorAll('dialog').length", 0)
        await tab.press("?")
        await until(tab, "!!document.querySelector('dialog[open]')")
        found["keys"] = await complaints(tab)
        await tab.open("?model=ffff0000@9")
        await until(
            tab, "document.querySelector('#characters h2')?.textContent", "This model is not here"
        )
        found["no such model"] = await complaints(tab)
        assert {part: told for part, told in found.items() if told} == {}, json.dumps(found)

    drive(visit, width=width, height=height, dark=dark)
