// Sliders along directions of the model: of questions (1907.10786), of its tags, or found without labels (2004.02546).

import { post } from "./api.js";
import { changed, nameOf } from "./characters.js";
import { count, el, words } from "./dom.js";
import { change, state } from "./state.js";
import { toast } from "./toast.js";

const FEW = 8; // the first ones change most
const STEPS = 12; // to either side

/** The part of the panel; `preview` shows a character while a slider moves. */
export function sliders(preview) {
  const root = el("div", { class: "sliders" });
  let isAll = false;
  let sought = ""; // the model whose directions are looked for now
  let drawn = "";

  function draw(settings, model) {
    const wanted = `${nameOf(settings)} ${model.id} ${isAll} ${sought} ${model.directions.length} ${model.unsought}`;
    if (wanted === drawn) return;
    drawn = wanted;
    const focused = document.activeElement?.id;
    const told = [...named(settings, model), ...others(settings, model)];
    root.replaceChildren(...(told.length ? told : [el("p", { class: "missing small" }, "No directions are known for this model.")]));
    if (focused) root.querySelector(`#${CSS.escape(focused)}`)?.focus();
  }

  /** What classifiers answer; an older snapshot than the listed one has other directions. */
  function named(settings, model) {
    const isListed = state().model === model.id;
    const found = isListed ? model.directions.filter(({ kind }) => kind === "question") : [];
    const head = found.length ? [el("h3", {}, "By question")] : [];
    return [...head, ...found.map((one) => slider(settings, one)), isListed && model.unsought.length && finder(settings, model),
      isListed && model.without.length && el("p", { class: "soft small" }, `No direction was found for ${listed(model.without)}.`)].filter(Boolean);
  }

  function finder(settings, model) {
    const isBusy = sought === model.id;
    return el("div", { class: "finder" },
      el("p", { class: "soft small", role: "status" }, isBusy ? `Looking for ${listed(model.unsought)}: over a thousand characters are drawn and judged …`
        : `The classifiers here tell ${listed(model.unsought)}: there may be a slider for each.`),
      !isBusy && el("button", { id: "find-sliders", onclick: () => find(settings, model) }, "Find these sliders"));
  }

  async function find(settings, model) {
    sought = model.id;
    draw(settings, model);
    try {
      const { models } = await (await post("v1/directions", { model: model.id })).json();
      Object.assign(model, models.find(({ id }) => id === model.id));
    } catch (error) {
      toast(error.message, "refused");
    }
    sought = "";
    document.dispatchEvent(new Event("ganime:directions"));
  }

  function others(settings, model) {
    const usual = model.directions.filter(({ kind }) => kind !== "question");
    const moved = Object.keys(settings.shift ?? {});
    const shown = usual.filter(({ name }, place) => isAll || place < FEW || moved.includes(name));
    const hidden = usual.length - shown.length;
    const head = usual.length < model.directions.length ? [el("h3", {}, "Other directions")] : [];
    const more = el("button", { class: "bare", onclick: () => { isAll = true; draw(settings, model); } }, `${count(hidden)} more`);
    return [...head, ...shown.map((one) => slider(settings, one)), ...(hidden > 0 ? [more] : [])];
  }

  function slider(settings, { name, kind, scale, low, high }) {
    const now = settings.shift?.[name] ?? 0;
    const id = `slide-${name}`;
    const at = (amount) => changed(settings, { shift: changed(settings.shift ?? {}, { [name]: amount || null }) });
    const value = el("output", { for: id, class: "num" }, told(now));
    const range = el("input", { type: "range", id, min: -scale, max: scale, step: scale / STEPS, value: now,
      oninput: () => { value.textContent = told(Number(range.value)); preview(at(Number(range.value))); },
      onchange: () => change({ pick: at(Number(range.value)) }), ondblclick: () => change({ pick: at(0) }) });
    const isNamed = kind === "question";
    return el("div", { class: `slide ${now ? "moved" : ""}` }, el("div", {}, el("label", { for: id }, titleOf(name)), isNamed && holder(settings, name), value), range,
      isNamed && el("p", { class: "ends", title: "What the classifier said of new characters at either end" }, el("span", {}, share(low)), el("span", {}, `${share(high)} yes`)));
  }

  return { root, draw };
}

/** Keeps what a direction names as it is while others move. */
function holder(settings, name) {
  const held = settings.hold ?? [];
  const isHeld = held.includes(name);
  const next = isHeld ? held.filter((one) => one !== name) : [...held, name];
  return el("button", { class: "hold", id: `hold-${name}`, "aria-pressed": String(isHeld), "aria-label": `Hold ${titleOf(name)}`,
    title: "Hold: the other sliders leave it as it is", onclick: () => change({ pick: changed(settings, { hold: next }) }) }, isHeld ? "held" : "hold");
}

/** `pca-3` is the third strongest; `tag:blue_hair` and `question:chibi@…` go towards what they name. */
function titleOf(name) {
  const [kind, what] = name.split(/[-:](.*)/);
  return kind === "pca" ? `Direction ${what}` : words((what ?? kind).split("@")[0]);
}

function told(amount) {
  const text = String(Number(Math.abs(amount).toFixed(2)));
  return amount > 0 ? `+${text}` : amount < 0 ? `−${text}` : "0";
}

function share(score) {
  return `${Math.round(100 * score)} %`;
}

/** "chibi, long hair and dress" */
function listed(names) {
  const said = names.map(words);
  return said.length > 1 ? `${said.slice(0, -1).join(", ")} and ${said.at(-1)}` : said.join();
}
