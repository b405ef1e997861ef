// The grid: characters of many seeds, or the favourites; arrows move, Enter picks.

import { post } from "./api.js";
import { described, isSame, nameOf, ofSeed, plain, titleOf } from "./characters.js";
import { count, el } from "./dom.js";
import { favourites, isFavourite, toggle } from "./favourites.js";
import { picture } from "./pictures.js";
import { change, FIRST_SEEDS, MOST_SEEDS, seedsFrom, state } from "./state.js";
import { toast } from "./toast.js";
import { inTray, toggleTray } from "./tray.js";

const HIGHEST = 2 ** 31; // seeds below it are seeds everywhere: numpy, torch, ONNX
const DISTINCT = [6, 12, 24, 48];
const POOL = 8; // candidates for each distinct character: enough to choose from, quick enough to wait for

/** New characters from a random seed on. */
export function reroll() {
  change({ seeds: seedsFrom(anySeed()), view: "grid" });
}

function anySeed() {
  return Math.floor(Math.random() * (HIGHEST - MOST_SEEDS));
}

/** The grid and its tools; `draw` follows the state, `keys` the keyboard. */
export function grid(root) {
  const tiles = el("div", { id: "grid", class: "tiles", role: "group", "aria-label": "Characters", tabindex: -1 });
  const more = el("button", { id: "more", onclick: addMore });
  const empty = el("p", { class: "missing", hidden: true }, "No favourites of this model yet: pick a character and press ♥ Keep.");
  const size = el("input", { type: "range", id: "size", min: 72, max: 280, step: 4, "aria-label": "Size of the pictures",
    oninput: () => tiles.style.setProperty("--tile", `${size.value}px`), onchange: () => change({ tile: Number(size.value) }) });
  const views = el("div", { class: "views", role: "group", "aria-label": "What to show" });
  const distinct = el("select", { id: "distinct", "aria-label": "Characters that differ most", onchange: find },
    el("option", { value: "" }, "Distinct …"), DISTINCT.map((num) => el("option", { value: num }, `${num} distinct`)));
  root.replaceChildren(
    el("div", { class: "tools" }, views,
      el("button", { class: "main", id: "reroll", onclick: reroll, title: "New characters (R)" }, "Reroll"), distinct,
      el("label", { class: "size" }, el("span", { "aria-hidden": "true", class: "soft" }, "▫"), size, el("span", { "aria-hidden": "true", class: "soft" }, "◻"))),
    tiles, empty, el("p", { class: "end" }, more));

  function addMore() {
    const { seeds } = state();
    const from = Math.max(...seeds) + 1;
    change({ seeds: [...seeds, ...seedsFrom(from, Math.min(FIRST_SEEDS, MOST_SEEDS - seeds.length))] });
  }

  async function find() {
    const shown = state();
    const num = Number(distinct.value);
    distinct.value = "";
    distinct.disabled = true;
    tiles.classList.add("waiting");
    try {
      const { seed: _, ...wishes } = ofSeed(0, shown);
      const told = await (await post("v1/diverse", { ...wishes, count: num, pool: num * POOL, first: anySeed() })).json();
      change({ seeds: told.images.map((one) => one.seed), view: "grid" });
      toast(`${num} characters that differ most of ${count(num * POOL)}`);
    } catch (error) {
      toast(error.message, "refused");
    }
    tiles.classList.remove("waiting");
    distinct.disabled = false;
  }

  function shownOnes(shown) {
    return shown.view === "favourites" ? favourites(shown.model) : shown.seeds.map((seed) => ofSeed(seed, shown));
  }

  /** Tiles that stay are the same elements, so that nothing flickers and the focus stays. */
  function draw(shown) {
    tiles.style.setProperty("--tile", `${shown.tile}px`);
    size.value = shown.tile;
    const all = shownOnes(shown);
    const old = new Map([...tiles.children].map((one) => [one.dataset.name, one]));
    const at = [...tiles.children].findIndex((one) => one.contains(document.activeElement));
    const made = all.map((settings) => old.get(nameOf(settings)) ?? tile(settings));
    if (made.length !== tiles.children.length || made.some((one, place) => one !== tiles.children[place])) {
      tiles.replaceChildren(...made);
      if (at >= 0) made[Math.min(at, made.length - 1)]?.firstChild.focus({ preventScroll: true });
    }
    marks(shown);
    empty.hidden = all.length > 0;
    more.parentElement.hidden = shown.view !== "grid" || shown.seeds.length >= MOST_SEEDS;
    more.textContent = `${FIRST_SEEDS} more`;
    views.replaceChildren(...[["grid", "Characters", "Characters"], ["favourites", `♥ ${count(favourites(shown.model).length)}`, "Favourites"]].map(
      ([view, text, name]) => el("button", { class: "view", title: name, "aria-label": view === "favourites" ? `${name}: ${count(favourites(shown.model).length)}` : null, "aria-pressed": String(shown.view === view), "data-view": view,
        onclick: () => change({ view }) }, text)));
  }

  function marks(shown) {
    const base = shown.pick && plain(shown.pick);
    const reached = tiles.querySelector(".pick[tabindex='0']") ?? tiles.querySelector(".pick");
    for (const one of tiles.children) {
      one.classList.toggle("picked", isSame(one.settings, base));
      mark(one.querySelector(".heart"), isFavourite(one.settings));
      mark(one.querySelector(".plus"), inTray(one.settings));
      one.firstChild.tabIndex = one.firstChild === reached ? 0 : -1;
      one.firstChild.setAttribute("aria-pressed", String(isSame(one.settings, base)));
    }
  }

  function keys(event) {
    const here = document.activeElement?.closest(".tile");
    const all = [...tiles.children];
    const columns = getComputedStyle(tiles).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (!step || !all.length || (document.activeElement !== document.body && !here)) return false;
    const next = here ? all[all.indexOf(here) + step] : all[0];
    if (next) reach(next);
    return true;
  }

  function reach(one) {
    for (const other of tiles.querySelectorAll(".pick")) other.tabIndex = -1;
    one.firstChild.tabIndex = 0;
    one.firstChild.focus();
    one.scrollIntoView({ block: "nearest" });
  }

  return { draw, keys };
}

/** The character that has the focus, else null. */
export function focused() {
  return document.activeElement?.closest(".tile")?.settings ?? null;
}

/** A character as a tile: the picture picks it, the corners keep it or put it into the tray. */
export function tile(settings) {
  const made = el("div", { class: "tile", "data-name": nameOf(settings) },
    el("button", { class: "pick", "aria-label": described(settings), tabindex: -1, title: titleOf(settings),
      onclick: () => change({ pick: settings }) }, picture(settings, { alt: "" })),
    el("button", { class: "corner heart", tabindex: -1, "aria-label": "Favourite", onclick: () => toggle(settings) }, "♥"),
    el("button", { class: "corner plus", tabindex: -1, "aria-label": "In the tray", onclick: () => toggleTray(settings) }, "+"));
  made.settings = settings;
  return made;
}

function mark(button, is) {
  button.setAttribute("aria-pressed", String(is));
}
