// Style mixing: this character with the shape, the features or the colours of another (1812.04948).

import { changed, nameOf, ofSeed } from "./characters.js";
import { el } from "./dom.js";
import { picture } from "./pictures.js";
import { change } from "./state.js";

const GROUPS = [["coarse", "Shape"], ["middle", "Features"], ["fine", "Colours"]];
const OFFERED = 12; // characters of the grid to take from

/** The part of the panel. */
export function mixing() {
  const root = el("div", { class: "mixing" });
  let drawn = "";

  function draw(settings, model, shown) {
    const wanted = nameOf(settings) + model.id + shown.seeds.join();
    if (wanted === drawn) return;
    drawn = wanted;
    const focused = document.activeElement?.dataset?.mix;
    root.replaceChildren(others(settings, shown), ...results(settings, model));
    if (focused) root.querySelector(`[data-mix="${focused}"]`)?.focus();
  }

  return { root, draw };
}

/** Whom to take from. */
function others(settings, shown) {
  const offered = [...new Set([settings.mix?.seed, ...shown.seeds])].filter((seed) => seed !== undefined && seed !== settings.seed);
  const take = (seed) => change({ pick: changed(settings, { mix: { seed, layers: settings.mix?.layers ?? "coarse" } }) });
  const field = el("input", { type: "number", id: "mix-seed", min: 0, max: 2 ** 31 - 1, value: settings.mix?.seed ?? "",
    placeholder: "seed", "aria-label": "Take from the seed", onchange: () => field.value && field.checkValidity() && take(Number(field.value)) });
  return el("div", {},
    el("div", { class: "row between" }, el("h3", {}, "Take from"), field),
    el("div", { class: "shelf", role: "group", "aria-label": "Take from" }, offered.slice(0, OFFERED).map((seed) =>
      el("button", { class: "pick", "data-mix": `seed-${seed}`, "aria-label": `Character ${seed}`, "aria-pressed": String(seed === settings.mix?.seed),
        onclick: () => take(seed) }, picture(ofSeed(seed, shown), { alt: "" })))));
}

/** What each group of layers alone would change; pressed ones are in the mix. */
function results(settings, model) {
  if (!settings.mix) return [el("p", { class: "soft small" }, "Choose whom to take from, then what: its shape, its features, its colours.")];
  const layers = layersOf(settings.mix.layers, model);
  const made = GROUPS.filter(([group]) => model.layers[group].length).map(([group, name]) => {
    const own = model.layers[group];
    const isIn = own.every((layer) => layers.includes(layer));
    const next = isIn ? layers.filter((layer) => !own.includes(layer)) : [...new Set([...layers, ...own])].sort((one, other) => one - other);
    const mix = next.length ? { seed: settings.mix.seed, layers: next } : null;
    return el("button", { class: "pick group", "data-mix": group, "aria-pressed": String(isIn), onclick: () => change({ pick: changed(settings, { mix }) }) },
      picture(changed(settings, { mix: { seed: settings.mix.seed, layers: own } }), { alt: "" }), el("span", {}, isIn ? `✓ ${name}` : name));
  });
  return [el("h3", {}, "What to take"), el("div", { class: "groups" }, made)];
}

/** Layers as numbers; a group's name stands for its layers. */
function layersOf(layers, model) {
  return typeof layers === "string" ? model.layers[layers] : layers;
}
