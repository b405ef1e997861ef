// What is wished of all characters: how varied they are, and what they show.

import { wished } from "./characters.js";
import { count, el, words } from "./dom.js";
import { change, state } from "./state.js";

const SHOWN = 24; // tags without a search; a person reads no longer list
const PAUSE_MS = 120; // between the last key and the list

/** The controls; `draw` follows the state. */
export function wishes(root, modelOf) {
  const range = el("input", { type: "range", id: "truncation", min: 0, max: 1, step: 0.05,
    "aria-describedby": "truncation-ends", onchange: () => wish({ truncation: Number(range.value) }), oninput: () => tell() });
  const value = el("output", { for: "truncation", class: "num" });
  const tell = () => { value.textContent = Number(range.value).toFixed(2); };
  const search = el("input", { type: "search", id: "tag-search", placeholder: "search tags", "aria-label": "Search tags",
    autocomplete: "off", spellcheck: "false", oninput: later, onkeydown: first });
  const list = el("div", { class: "switches", role: "group", "aria-label": "Tags" });
  const rest = el("p", { class: "soft small" });
  const reset = el("button", { class: "bare small", onclick: () => wish({ tags: [], notTags: [] }) }, "none of them");
  const about = el("p", { class: "soft small" }, "One press: with it. Two: without. Three: as it comes.");
  const tags = el("div", { class: "wish" },
    el("div", { class: "row between" }, el("h2", {}, "Tags"), reset), search, list, rest, about);
  const missing = el("p", { class: "missing small", hidden: true },
    "This model was trained without tags, so it cannot be asked for any. Train one with tags, or choose another model.");
  root.append(el("details", { open: innerWidth > 900, class: "fold" }, el("summary", {}, "Wishes"),
    el("div", { class: "wish" },
      el("label", { class: "row between", for: "truncation" }, el("h2", {}, "Variety"), value), range,
      el("div", { class: "ends", id: "truncation-ends" }, el("span", {}, "alike, clean"), el("span", {}, "varied, bold"))),
    tags, missing));
  let timer = 0;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(offer, PAUSE_MS);
  }

  /** Enter takes the first tag found. */
  function first(event) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    offer();
    list.querySelector("button:not(.chosen)")?.click();
    search.value = "";
    offer();
  }

  function offer() {
    const shown = state();
    const all = modelOf(shown).tags;
    const wanted = search.value.trim().toLowerCase().replaceAll(" ", "_");
    const chosen = [...shown.tags, ...shown.notTags];
    const found = all.filter((tag) => !chosen.includes(tag) && tag.toLowerCase().includes(wanted));
    const focused = document.activeElement?.dataset?.tag;
    list.replaceChildren(...[...chosen, ...found.slice(0, SHOWN)].map((tag) => toggle(tag, shown)));
    if (focused) list.querySelector(`[data-tag="${CSS.escape(focused)}"]`)?.focus();
    const hidden = found.length - SHOWN;
    rest.textContent = hidden > 0 ? `${count(hidden)} more: search for them` : "";
    if (wanted && !found.length) rest.textContent = `This model knows no tag like “${search.value.trim()}”.`;
  }

  return function draw(shown) {
    range.value = shown.truncation;
    tell();
    const has = modelOf(shown).tags.length > 0;
    tags.hidden = !has;
    missing.hidden = has;
    reset.hidden = !shown.tags.length && !shown.notTags.length;
    if (has) offer();
  };
}

/** Wish something else of all, the picked character among them. */
function wish(changes) {
  const next = { ...state(), ...changes };
  change({ ...changes, pick: next.pick && wished(next.pick, next) });
}

/** A switch with three places: as it comes, with, without. */
function toggle(tag, shown) {
  const place = shown.tags.includes(tag) ? "with" : shown.notTags.includes(tag) ? "without" : "";
  const without = (tags) => tags.filter((one) => one !== tag);
  const next = {
    "": { tags: [...shown.tags, tag] },
    with: { tags: without(shown.tags), notTags: [...shown.notTags, tag] },
    without: { notTags: without(shown.notTags) },
  }[place];
  return el("button", { class: `chip ${place ? `chosen ${place}` : ""}`, "data-tag": tag, "aria-pressed": place === "with" ? "true" : place ? "mixed" : "false",
    "aria-label": `${words(tag)}${place ? `: ${place}` : ""}`, onclick: () => wish(next) },
  place === "with" ? "✓ " : place === "without" ? "− " : null, el("bdi", {}, words(tag)));
}
