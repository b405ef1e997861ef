// The keys, on a card.

import { el } from "./dom.js";

const KEYS = [
  ["← → ↑ ↓", "move; on the image page, the image before and after"],
  ["Enter", "open the marked image"],
  ["k  d  u", "keep, drop, unsure"],
  ["1  2  3", "yes, no, unsure to any question"],
  ["z", "undo the last answer of this visit"],
  ["x", "select or deselect the marked image"],
  ["Shift + arrow", "select many (or Shift + click)"],
  ["/", "search by tag; -tag leaves it out"],
  ["Esc", "select none; leave the image page"],
  ["?", "this card"],
];

/** Show it. */
export function help() {
  const dialog = el("dialog", { "aria-labelledby": "help-title" },
    el("h2", { id: "help-title" }, "Keys"),
    el("dl", { class: "facts" }, KEYS.map(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
    el("p", { class: "soft" }, "Answers outrank rules: the next run obeys them. Several answers at once: select, then answer."),
    el("button", { class: "main", onclick: () => dialog.close() }, "Close"));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
