// One image in a grid: its picture, what was decided, and what people said.

import { count, el, figure, words } from "./dom.js";
import { answerOf, word } from "./labels.js";

const MARKS = { kept: "✓", dropped: "✕", undecided: "?" };

/** What was decided, as a badge: a sign and words, so that the colour only helps. */
export function statusBadge(image) {
  const why = [image.rule, image.reason].filter(Boolean).map(words);
  const text = image.status === "dropped" ? [...new Set(why)].join(": ") : image.status;
  return el("span", { class: `badge ${image.status}`, title: statusText(image) },
    el("span", { "aria-hidden": "true" }, `${MARKS[image.status]} `), text);
}

/** The same as a sentence. */
export function statusText(image) {
  const by = image.by_person ? ", as a person said" : "";
  if (image.status !== "dropped") return image.status + by;
  return `dropped by ${image.rule}${image.reason ? ` (${words(image.reason)})` : ""}${by}`;
}

/** The current answer, as a badge; null where there is none. */
export function answerBadge(image, question) {
  const said = answerOf(image, question);
  if (!said) return null;
  const text = question === "keep" ? word(question, said.answer)
    : `${question}: ${word(question, said.answer)}`;
  const title = said.pending ? "being saved" : `${said.by} said so`;
  return el("span", { class: `badge said to-${said.answer}${said.pending ? " pending" : ""}`, title },
    el("span", { "aria-hidden": "true" }, "✎ "), text);
}

/** A thumbnail, or words where there is none. */
export function picture(image, lazy = true) {
  if (image.problem) return el("span", { class: "none" }, `no picture: ${words(image.problem)}`);
  const fail = (event) => event.target.replaceWith(el("span", { class: "none" }, "no picture"));
  return el("img", { src: `thumbnails/${image.id}`, alt: "", decoding: "async", draggable: "false",
    loading: lazy ? "lazy" : "eager", onerror: fail });
}

/** A whole card; `by` is the score to show. */
export function card(image, question, by) {
  const score = by && by in image.scores ? el("span", { class: "soft" }, ` ${by} ${figure(image.scores[by])}`) : null;
  return el("div", { class: "card", role: "option", tabindex: -1, id: `i${image.id}`,
    "data-id": image.id, "aria-selected": "false", "aria-label": label(image, question) },
  el("div", { class: "shot" }, picture(image), answerBadge(image, question),
    el("span", { class: "tick", "aria-hidden": "true" }, "✓")),
  el("div", { class: "under" }, statusBadge(image), score));
}

/** Show an answer that came or went. */
export function refreshCard(node, image, question) {
  node.querySelector(".said")?.remove();
  const badge = answerBadge(image, question);
  if (badge) node.querySelector(".shot").append(badge);
  node.setAttribute("aria-label", label(image, question));
}

function label(image, question) {
  const said = answerOf(image, question);
  const answer = said ? `, ${question} answered ${word(question, said.answer)} by ${said.by}` : "";
  const size = image.problem ? "" : `, ${count(image.width)} by ${count(image.height)} pixels`;
  return `${image.post}: ${statusText(image)}${answer}${size}`;
}
