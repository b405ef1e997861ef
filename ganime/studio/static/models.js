// The model: its name in the header, and the card to choose another.

import { count, el, facts, many } from "./dom.js";
import { card } from "./files.js";
import { change } from "./state.js";

/** The button in the header; `draw` follows the state. */
export function chooser(root, models, modelOf) {
  const button = el("button", { id: "choose-model", class: "bare", "aria-haspopup": "dialog", onclick: () => choose(models) });
  root.append(button);
  return function draw(shown) {
    const model = modelOf(shown);
    button.replaceChildren(el("span", {}, model ? nameOf(model) : "unknown model"), el("span", { "aria-hidden": "true" }, " ▾"));
    button.setAttribute("aria-label", `Model ${model ? nameOf(model) : shown.model}: choose another`);
  };
}

/** Choose on a card; another model has other characters, so pick and tray begin anew. */
function choose(models) {
  const dialog = card(models.length === 1 ? "The model" : "Models", el("div", { class: "model-list" }, models.map((model) => el("article", { class: "panel" },
    el("div", { class: "row between" }, el("h3", {}, nameOf(model)), model.current && el("span", { class: "chip" }, "current")),
    facts([
      ["dataset", model.dataset],
      ["images", `${model.resolution} × ${model.resolution} px`],
      ["trained", `${count(model.nimg)} images shown`],
      ...Object.entries(model.metrics ?? {}).map(([name, value]) => [name, typeof value === "number" ? value.toFixed(2) : value]),
      ["can", [model.tags.length ? many(model.tags.length, "tag") : "no tags", model.styles ? "style mixing" : "no style mixing"].join(", ")],
      ["rights", model.rights],
    ]),
    el("button", { class: "main", "data-model": model.id, onclick: () => { dialog.close(); change({ model: model.id, pick: null, tray: [], tags: [], notTags: [] }); } },
      "Use this model")))));
}

function nameOf(model) {
  return `${model.recipe} · ${model.resolution} px · ${model.name.slice(0, 8)}`;
}
