// The tray: characters put together, to walk between them or to take them away as sprites.

import { isSame, titleOf } from "./characters.js";
import { el, many } from "./dom.js";
import { picture } from "./pictures.js";
import { sprites } from "./sprites.js";
import { change, state } from "./state.js";
import { toast } from "./toast.js";
import { walk } from "./walk.js";

const MOST = 64; // characters; the address holds them all

/** Whether a character lies in it. */
export function inTray(settings) {
  return state().tray.some((one) => isSame(one, settings));
}

/** Put it in, or take it out. */
export function toggleTray(settings) {
  const { tray } = state();
  const rest = tray.filter((one) => !isSame(one, settings));
  if (rest.length < tray.length) change({ tray: rest });
  else if (tray.length >= MOST) toast(`The tray holds ${MOST} characters: take some out first.`, "refused");
  else change({ tray: [...tray, settings] });
}

/** The bar at the foot of the page; `draw` follows the state. */
export function tray(root) {
  const items = el("ul", { class: "items" });
  const about = el("p", { class: "soft small" });
  const toWalk = el("button", { id: "walk", onclick: () => walk(state().tray) }, "Walk …");
  const toSprites = el("button", { id: "sprites", onclick: () => sprites(state().tray) }, "Sprites …");
  const clear = el("button", { class: "bare", id: "clear", onclick: () => change({ tray: [] }) }, "Clear");
  root.append(items, about, el("div", { class: "row actions" }, toWalk, toSprites, clear));

  return function draw(shown) {
    const num = shown.tray.length;
    const old = new Map([...items.children].map((one) => [one.settings, one]));
    items.replaceChildren(...shown.tray.map((settings) => old.get(settings) ?? item(settings)));
    about.textContent = num ? many(num, "character") : "The tray: put characters in (+) to walk between them or to take them away as sprites.";
    about.classList.toggle("only", !num);
    toWalk.disabled = num < 2;
    toWalk.title = num < 2 ? "Needs two characters or more" : "";
    toSprites.disabled = clear.disabled = num < 1;
    root.classList.toggle("empty", !num);
  };
}

function item(settings) {
  const made = el("li", {},
    el("button", { class: "pick", "aria-label": `Show ${titleOf(settings)}`, onclick: () => change({ pick: settings }) }, picture(settings, { alt: "" })),
    el("button", { class: "out", "aria-label": `Take ${titleOf(settings)} out`, onclick: () => toggleTray(settings) }, "×"));
  made.settings = settings;
  return made;
}
