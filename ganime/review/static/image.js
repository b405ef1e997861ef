// All about one image, and its answers.

import { get } from "./api.js";
import { answerButtons, answerOfKey } from "./answering.js";
import { answerBadge, statusBadge } from "./card.js";
import { choice, count, el, moment } from "./dom.js";
import { galleryPlace, neighbours } from "./gallery.js";
import { answer, known, onAnswers } from "./labels.js";
import { at, changed, galleryOf, go, here } from "./place.js";
import { question, questions } from "./session.js";
import * as story from "./story.js";

/** Draw the image of the address. */
export async function show(root) {
  const id = here().get("id") ?? "";
  const told = await get(`images/${encodeURIComponent(id)}`);
  const image = known(told.image);
  const around = neighbours(id);
  const said = el("span", { id: "said" });
  const history = el("div", { id: "history" });
  const leave = onAnswers((ids) => ids.has(id) && refresh());

  function drawSaid() {
    said.replaceChildren(answerBadge(image, question()) ?? el("span", { class: "soft" }, "no answer yet"));
  }

  async function refresh() {
    drawSaid();
    if (Object.keys(image.pending).length) return; // the history holds what was acknowledged
    const again = await get(`images/${id}`).catch(() => null);
    if (again) history.replaceChildren(story.labels(again.labels));
  }

  const to = (other) => at(changed(galleryOf(here()), { view: "image", id: other }));
  const step = (other, text, mark) => other
    ? el("a", { class: "button", href: to(other), rel: mark }, text)
    : el("span", { class: "button off", "aria-hidden": "true" }, text);
  const say = async (value) => {
    const isSaved = await answer([image], question(), value);
    const isHere = here().get("id") === id && here().get("view") === "image";
    if (isSaved && isHere && around.after) go(changed(here(), { id: around.after }), { replace: true });
  };

  drawSaid();
  history.append(story.labels(told.labels));
  root.append(el("article", { class: "image" },
    el("nav", { class: "row", "aria-label": "Images" },
      el("a", { class: "button", href: at(galleryPlace().size ? galleryPlace() : galleryOf(here())) }, "← gallery"),
      step(around.before, "‹ before", "prev"), step(around.after, "next ›", "next")),
    el("h1", {}, el("bdi", {}, image.post)),
    el("p", { class: "row" }, statusBadge(image), said,
      el("span", { class: "soft" }, image.problem ? "" : `${count(image.width)} × ${count(image.height)} px`),
      el("span", { class: "soft" }, "fetched ", moment(image.fetched))),
    el("div", { class: "row asking" },
      choice("question", questions().map((one) => [one, one]), question(),
        (value) => go(changed(here(), { question: value }), { replace: true })),
      answerButtons(question(), say)),
    story.pictures(told),
    story.decisions(told.decisions),
    story.duplicates(told.duplicates, told.look_alikes, id),
    el("section", {}, el("h2", {}, "What people said"), history),
    story.posts(told.posts),
    story.measured(told.facts, told.scores, told.faces),
    story.usedBy(told.used_by),
    story.provenance(told.provenance)));

  function keys(event) {
    const value = answerOfKey(event.key, question());
    if (value !== undefined) { say(value); return true; }
    if (event.key === "ArrowRight" && around.after) { go(changed(here(), { id: around.after }), { replace: true }); return true; }
    if (event.key === "ArrowLeft" && around.before) { go(changed(here(), { id: around.before }), { replace: true }); return true; }
    if (event.key === "Escape") { go(galleryPlace()); return true; }
    return false;
  }
  return { title: image.post, keys, leave };
}
