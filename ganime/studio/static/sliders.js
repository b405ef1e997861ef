// Sliders along directions of the model: towards what classifiers or tags name (1907.10786), or found without
// labels (2004.02546).

import { post } from "./api.js";
import { changed, nameOf } from "./characters.js";
import { count, el, words } from "./dom.js";
import { change, state } from "./state.js";
import { toast } from "./toast.js";

const FEW = 8; // the first ones change most
const STEPS = 12; // to either side
const TOLD = 6; // names in a sentence; a person reads no longer list

/** The part of the panel; `preview` shows a character while a slider moves. */
export function sliders(preview) {
  const root = el("div", { class: "sliders" });
  let isAll = false;
  let sought = ""; // the model whose directions are looked for now
  let drawn = "";
  let last = null;
  // One element for ever: who types into it goes on while the list is drawn again.
  const search = el("input", { type: "search", id: "trait-search", placeholder: "search traits", "aria-label": "Search traits",
    autocomplete: "off", spellcheck: "false", oninput: () => draw(...last) });

  function draw(settings, model) {
    last = [settings, model];
    const wanted = `${nameOf(settings)} ${model.id} ${isAll} ${sought} ${model.directions.length} ${model.unsought} ${search.value}`;
    if (wanted === drawn) return;
    drawn = wanted;
    const focused = document.activeElement?.id;
    const told = [...traits(settings, model), ...others(settings, model)];
    root.replaceChildren(...(told.length ? told : [el("p", { class: "missing small" }, "No directions are known for this model.")]));
    if (focused) root.querySelector(`#${CSS.escape(focused)}`)?.focus();
  }

  /** What has a name; an older snapshot than the listed one has other directions of questions. */
  function traits(settings, model) {
    const isListed = state().model === model.id;
    const all = model.directions.filter(({ kind }) => kind === "tag" || (kind === "question" && isListed));
    const wanted = search.value.trim().toLowerCase();
    const used = [...Object.keys(settings.shift ?? {}), ...(settings.hold ?? [])];
    const found = all.filter(({ name }) => titleOf(name).toLowerCase().includes(wanted));
    const shown = all.filter((one) => used.includes(one.name) || found.indexOf(one) >= 0 && found.indexOf(one) < FEW);
    const hidden = found.filter((one) => !shown.includes(one)).length;
    return [
      all.length && el("h3", {}, "Traits"), all.length > FEW && search, ...shown.map((one) => slider(settings, one, one.kind === "question" || model.styles)),
      hidden > 0 && el("p", { class: "soft small" }, `${count(hidden)} more: search for them`),
      !found.length && all.length && el("p", { class: "soft small" }, `No trait is called like “${search.value.trim()}”.`),
      isListed && model.unsought.length && finder(settings, model),
      isListed && model.without.length && el("p", { class: "soft small" }, `No slider was found for ${listed(model.without)}: the model draws nothing like it, or nothing else.`),
    ].filter(Boolean);
  }

  function finder(settings, model) {
    const isBusy = sought === model.id;
    return el("div", { class: "finder" },
      el("p", { class: "soft small", role: "status" }, isBusy ? `Looking for ${listed(model.unsought)}: over a thousand characters are drawn and looked at …`
        : `There may be sliders for ${listed(model.unsought)}.`),
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
    const usual = model.directions.filter(({ kind }) => kind === "pca");
    const moved = Object.keys(settings.shift ?? {});
    const shown = usual.filter(({ name }, place) => isAll || place < FEW || moved.includes(name));
    const hidden = usual.length - shown.length;
    const head = usual.length && usual.length < model.directions.length ? [el("h3", {}, "Other changes")] : [];
    const more = el("button", { class: "bare", onclick: () => { isAll = true; draw(settings, model); } }, `${count(hidden)} more`);
    return [...head, ...shown.map((one) => slider(settings, one)), ...(hidden > 0 ? [more] : [])];
  }

  function slider(settings, { name, kind, scale, low, high }, canBeHeld = false) {
    const isNamed = kind !== "pca";
    const now = settings.shift?.[name] ?? 0;
    const id = `slide-${name}`;
    const at = (amount) => changed(settings, { shift: changed(settings.shift ?? {}, { [name]: amount || null }) });
    const value = el("output", { for: id, class: "num" }, told(now));
    const range = el("input", { type: "range", id, min: -scale, max: scale, step: scale / STEPS, value: now,
      oninput: () => { value.textContent = told(Number(range.value)); preview(at(Number(range.value))); },
      onchange: () => change({ pick: at(Number(range.value)) }), ondblclick: () => change({ pick: at(0) }) });
    return el("div", { class: `slide ${now ? "moved" : ""}` }, el("div", {}, el("label", { for: id }, titleOf(name)), canBeHeld && holder(settings, name), value), range,
      isNamed && ends(low, high));
  }

  return { root, draw };
}

/** What the ends of a slider mean; where characters were judged, how many of them show it there. */
function ends(low, high) {
  const isJudged = typeof low === "number";
  const text = (word, score) => el("span", {}, isJudged ? `${word} · ${share(score)}` : word);
  return el("p", { class: "ends", title: isJudged ? "How many of new characters show it at either end" : null }, text("less", low), text("more", high));
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
  if (kind === "pca") return `Change ${what}`;
  return words(kind === "question" ? what.replace(/@[^@]*$/, "") : what ?? kind);
}

function told(amount) {
  const text = String(Number(Math.abs(amount).toFixed(2)));
  return amount > 0 ? `+${text}` : amount < 0 ? `−${text}` : "0";
}

function share(score) {
  return `${Math.round(100 * score)} %`;
}

/** "chibi, long hair and dress"; of many the first ones and how many more. */
function listed(names) {
  const rest = names.length - TOLD;
  const said = (rest > 1 ? [...names.slice(0, TOLD), `${count(rest)} more`] : names).map(words);
  return said.length > 1 ? `${said.slice(0, -1).join(", ")} and ${said.at(-1)}` : said.join();
}
