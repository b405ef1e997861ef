// Keys and buttons that answer the question for some images.

import { el } from "./dom.js";
import { undo, word } from "./labels.js";

const LETTERS = { k: true, d: false, u: null };
const NUMBERS = { 1: true, 2: false, 3: null };

/** What a key answers: true, false, null for unsure; undefined for any other key. */
export function answerOfKey(key, question) {
  if (key in NUMBERS) return NUMBERS[key];
  // The letters say keep and drop: to another question they would say something else.
  if (question === "keep" || key === "u") return LETTERS[key];
  return undefined;
}

/** Whether a key press is meant for the page: no modifier, and not typed into a field. */
export function isOurs(event) {
  const typing = event.target.closest?.('input:not([type="checkbox"]), select, textarea, dialog');
  return !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
}

/** Buttons for who has no keyboard; `say` is given the answer. */
export function answerButtons(question, say) {
  const letters = question === "keep" ? "kdu" : "123";
  const button = (value, mark, place) =>
    el("button", { class: `answer to-${value}`, "data-answer": `${value}`, onclick: () => say(value) },
      el("span", { "aria-hidden": "true" }, `${mark} `), word(question, value),
      el("kbd", { "aria-hidden": "true" }, letters[place]));
  return el("div", { class: "answers", role: "group", "aria-label": `Answer “${question}”` },
    button(true, "✓", 0), button(false, "✕", 1), button(null, "~", 2),
    el("button", { class: "undo", onclick: undo }, "↶ undo",
      el("kbd", { "aria-hidden": "true" }, "z")));
}
