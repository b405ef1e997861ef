// The model: its name in the header, and the card to choose another.

import { ofSeed } from "./characters.js";
import { count, el, facts, many } from "./dom.js";
import { card } from "./files.js";
import { picture } from "./pictures.js";
import { change, state } from "./state.js";

const SAMPLES = 5; // of each model: enough to know its style, and one row on a phone

/** The button in the header; `draw` follows the state. */
export function chooser(root, models, modelOf) {
  const button = el("button", { id: "choose-model", class: "bare", "aria-haspopup": "dialog", onclick: () => choose(models, modelOf(state())) });
  root.append(button);
  return function draw(shown) {
    const model = modelOf(shown);
    button.replaceChildren(el("span", {}, model ? nameOf(model) : "unknown model"), el("span", { "aria-hidden": "true" }, " ▾"));
    button.setAttribute("aria-label", `Model ${model ? nameOf(model) : shown.model}: choose another`);
  };
}

/** Choose on a card; another model has other characters, so pick and tray begin anew. */
function choose(models, inUse) {
  const rights = [...new Set(models.map((model) => model.rights))];
  const use = (model) => {
    dialog.close();
    change({ model: model.id, pick: null, tray: [], tags: [], notTags: [] });
  };
  const dialog = card(models.length === 1 ? "The model" : "Models",
    el("div", { class: "model-list" }, models.map((model) => article(model, model === inUse, use))),
    el("h3", {}, "Rights"), rights.map((text) => el("p", { class: "soft small" }, text)));
}

function article(model, isInUse, use) {
  const wishes = { ...state(), model: model.id, tags: [], notTags: [] };
  return el("article", { class: "panel" },
    el("div", { class: "row between" }, el("h3", {}, nameOf(model)),
      isInUse ? el("span", { class: "chip" }, "in use") : el("button", { class: "main", "data-model": model.id, onclick: () => use(model) }, "Use")),
    el("div", { class: "samples" }, Array.from({ length: SAMPLES }, (_, seed) => picture(ofSeed(seed, wishes), { alt: "" }))),
    facts([
      ["learned from", model.dataset],
      ["trained for", `${count(model.nimg)} pictures shown`],
      ["can be asked for", model.tags.length ? many(model.tags.length, "tag") : "nothing: it knows no tags"],
      ["can mix", model.styles ? "shape, features and colours of two" : null],
    ]),
    measured(model.metrics));
}

/** What evaluations gave; floors, which no model reaches, are for those who read reports. */
function measured(metrics) {
  const told = Object.entries(metrics).filter(([name]) => !name.endsWith("_floor"));
  return told.length > 0 && el("details", {}, el("summary", { class: "small" }, "Measured quality"),
    facts(told.map(([name, value]) => [name, value.toPrecision(3)])));
}

function nameOf(model) {
  return `${model.recipe} · ${model.resolution} px · ${model.name.slice(0, 8)}`;
}
