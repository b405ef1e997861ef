// Sliders along directions of the model: found without labels (2004.02546), or of its tags.

import { changed, nameOf } from "./characters.js";
import { count, el, words } from "./dom.js";
import { change } from "./state.js";

const FEW = 8; // the first ones change most
const STEPS = 12; // to either side

/** The part of the panel; `preview` shows a character while a slider moves. */
export function sliders(preview) {
  const root = el("div", { class: "sliders" });
  let isAll = false;
  let drawn = "";

  function draw(settings, model) {
    const wanted = `${nameOf(settings)} ${model.id} ${isAll}`;
    if (wanted === drawn) return;
    drawn = wanted;
    if (!model.directions.length) {
      root.replaceChildren(el("p", { class: "missing small" }, "No directions are known for this model."));
      return;
    }
    const moved = Object.keys(settings.shift ?? {});
    const shown = model.directions.filter(({ name }, place) => isAll || place < FEW || moved.includes(name));
    const focused = document.activeElement?.id;
    const hidden = model.directions.length - shown.length;
    root.replaceChildren(...shown.map((one) => slider(settings, one)),
      hidden > 0 ? el("button", { class: "bare", onclick: () => { isAll = true; draw(settings, model); } }, `${count(hidden)} more`) : "");
    if (focused) root.querySelector(`#${CSS.escape(focused)}`)?.focus();
  }

  function slider(settings, { name, scale }) {
    const now = settings.shift?.[name] ?? 0;
    const id = `slide-${name}`;
    const at = (amount) => changed(settings, { shift: changed(settings.shift ?? {}, { [name]: amount || null }) });
    const value = el("output", { for: id, class: "num" }, told(now));
    const range = el("input", { type: "range", id, min: -scale, max: scale, step: scale / STEPS, value: now,
      oninput: () => { value.textContent = told(Number(range.value)); preview(at(Number(range.value))); },
      onchange: () => change({ pick: at(Number(range.value)) }), ondblclick: () => change({ pick: at(0) }) });
    return el("div", { class: `slide ${now ? "moved" : ""}` }, el("label", { for: id }, titleOf(name)), value, range);
  }

  return { root, draw };
}

/** `pca-3` is the third strongest; `tag:blue_hair` goes towards what the tag shows. */
function titleOf(name) {
  const [kind, what] = name.split(/[-:](.*)/);
  return kind === "pca" ? `Direction ${what}` : words(what ?? kind);
}

function told(amount) {
  const text = String(Number(Math.abs(amount).toFixed(2)));
  return amount > 0 ? `+${text}` : amount < 0 ? `−${text}` : "0";
}
