// The keys, on a card.

import { el } from "./dom.js";
import { card } from "./files.js";

const KEYS = [
  ["← → ↑ ↓", "move in the grid"],
  ["Enter", "pick the character: look at it, vary it, mix it"],
  ["F", "favourite"],
  ["T", "put into the tray, or take out"],
  ["R", "reroll: new characters"],
  ["Z", "undo; Shift + Z redo"],
  ["/", "search tags"],
  ["Esc", "close"],
  ["?", "this card"],
];

/** Show it. */
export function help() {
  card("Keys",
    el("p", {}, "Pick a character, vary it or move its sliders, put those you like into the tray, and take the tray away as sprites or as a walk."),
    el("dl", { class: "facts" }, KEYS.map(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
    el("p", { class: "soft" }, "The address of this page holds all you see: send it, and the same model draws the same pixels. Favourites stay in this browser."));
}
